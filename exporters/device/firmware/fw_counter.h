/* SPDX-License-Identifier: Apache-2.0 */
/* Exact instruction counts under QEMU's -icount, in which each instruction takes the same emulated time: 128
   ns on Cortex-M boards, whose timers tick two to four times meanwhile, so that rounding recovers the number.
 */
#ifndef FW_COUNTER_H
#define FW_COUNTER_H

#include <stdint.h>

/* Starts the timer and measures the cost of counting. */
void counter_start(void);

/* Runs `function` on a stack of its own and returns the instructions that it executed, its return included.
   Ends the run when the timer wrapped meanwhile: after 10^9 instructions. */
uint32_t counted_call(void (*function)(void), uint32_t *stack_top);

/* A loop of known length, to check the counter; `counter_rounds` holds the rounds, at least 1. */
extern uint32_t counter_rounds;
void counter_loop(void);
uint32_t counter_loop_instructions(uint32_t rounds);

#endif
