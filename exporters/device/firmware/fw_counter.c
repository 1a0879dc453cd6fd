/* SPDX-License-Identifier: Apache-2.0 */
#include "fw_counter.h"

#include "fw_isa.h"

uint32_t counter_rounds;
static uint32_t overhead; /* instructions between the two readings, besides the function's */

void counter_start(void) {
  uint32_t stack[8];
  isa_timer_start();
  overhead = isa_instructions_of(isa_empty, stack + 8) - 1;
}

uint32_t counted_call(void (*function)(void), uint32_t *stack_top) {
  return isa_instructions_of(function, stack_top) - overhead;
}
