/* SPDX-License-Identifier: Apache-2.0 */
/* Exact instruction counts on QEMU's MPS2 boards. Under -icount shift=7 each instruction takes 128 ns and the
   board's timer ticks every 40 ns: 3.2 ticks an instruction, so that rounding recovers the number exactly. */
#ifndef FW_COUNTER_H
#define FW_COUNTER_H

#include <stdint.h>

/* Starts the timer and measures the cost of counting. */
void counter_start(void);

/* Runs `function` on a stack of its own and returns the instructions that it executed, its return included.
   Ends the run when the timer wrapped meanwhile: after 1.3 * 10^9 instructions. */
uint32_t counted_call(void (*function)(void), uint32_t *stack_top);

/* A loop of known length, to check the counter; `counter_rounds` holds the rounds, at least 1. */
extern uint32_t counter_rounds;
void counter_loop(void);
#define COUNTER_LOOP_INSTRUCTIONS(rounds) (3U * (rounds) + 4U)

#endif
