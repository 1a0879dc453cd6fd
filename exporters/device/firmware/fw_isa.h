/* SPDX-License-Identifier: Apache-2.0 */
/* What an instruction set brings besides its start-up code: fw_arm.c, fw_riscv.c. */
#ifndef FW_ISA_H
#define FW_ISA_H

#include <stdint.h>

/* A semihosting call: the emulator does it for us. */
uint32_t isa_trap(uint32_t operation, const uint32_t *arguments);

void isa_timer_start(void);

/* Instructions of the call and of what stands around it, which is always the same. Ends the run when the
   timer wrapped meanwhile. */
uint32_t isa_instructions_of(void (*function)(void), uint32_t *stack_top);

/* One instruction, its return. */
void isa_empty(void);

#endif
