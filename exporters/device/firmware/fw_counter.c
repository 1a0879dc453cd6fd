/* SPDX-License-Identifier: Apache-2.0 */
#include "fw_counter.h"

#include "fw_semihosting.h"

/* CMSDK timer 0: counts down, reloads at 0 and notes that as an interrupt, which nobody takes. */
typedef struct {
  volatile uint32_t control, value, reload, interrupt;
} cmsdk_timer;
#define TIMER ((cmsdk_timer *)0x40000000)
#define TIMER_ENABLED 1U
#define TIMER_INTERRUPT_ENABLED 8U

uint32_t counter_rounds;
static uint32_t overhead; /* instructions between the two readings, besides the function's */

/* Ticks from just before to just after the call, on the given stack. */
__attribute__((naked)) static uint32_t ticks_of(void (*function)(void) __attribute__((unused)),
                                                uint32_t *stack_top __attribute__((unused))) {
  __asm__ volatile(
      "push {r4, r5, r6, r7, lr}\n\t"
      "mov r4, sp\n\t"
      "movw r5, #0x0004\n\t" /* the timer's value */
      "movt r5, #0x4000\n\t"
      "mov sp, r1\n\t"
      "ldr r6, [r5]\n\t"
      "blx r0\n\t"
      "ldr r7, [r5]\n\t"
      "mov sp, r4\n\t"
      "subs r0, r6, r7\n\t"
      "pop {r4, r5, r6, r7, pc}");
}

__attribute__((naked)) static void empty(void) { __asm__ volatile("bx lr"); }

__attribute__((naked)) void counter_loop(void) {
  __asm__ volatile(
      "movw r0, #:lower16:counter_rounds\n\t"
      "movt r0, #:upper16:counter_rounds\n\t"
      "ldr r0, [r0]\n"
      "1:\n\t"
      "nop\n\t"
      "subs r0, r0, #1\n\t"
      "bne 1b\n\t"
      "bx lr");
}

static uint32_t instructions_of(void (*function)(void), uint32_t *stack_top) {
  uint32_t ticks;
  TIMER->value = UINT32_MAX;
  TIMER->interrupt = 1;
  ticks = ticks_of(function, stack_top);
  if (TIMER->interrupt != 0) semihosting_exit(EXIT_TIMER);
  return (uint32_t)(((uint64_t)ticks * 5 + 8) / 16);
}

void counter_start(void) {
  uint32_t stack[8];
  TIMER->control = 0;
  TIMER->reload = UINT32_MAX;
  TIMER->control = TIMER_ENABLED | TIMER_INTERRUPT_ENABLED;
  overhead = instructions_of(empty, stack + 8) - 1;
}

uint32_t counted_call(void (*function)(void), uint32_t *stack_top) {
  return instructions_of(function, stack_top) - overhead;
}
