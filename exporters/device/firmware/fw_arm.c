/* SPDX-License-Identifier: Apache-2.0 */
/* Cortex-M: reset, faults, the trap to the host, and the board's timer. Everything of the firmware lies
   outside the target's flash and RAM but for the vectors. */
#include "fw_isa.h"

#include "fw_semihosting.h"

extern uint32_t firmware_stack_top;

int main(void);

#ifdef __ARM_FP
#define COPROCESSOR_ACCESS (*(volatile uint32_t *)0xE000ED88)
static void enable_fpu(void) {
  COPROCESSOR_ACCESS |= (uint32_t)0xF << 20;
  __asm__ volatile("dsb\n\tisb");
}
#else
static void enable_fpu(void) {}
#endif

void firmware_reset(void);
void firmware_reset(void) {
  enable_fpu();
  semihosting_exit(main());
}

static void fault(void) { semihosting_exit(EXIT_FAULT); }

typedef void (*vector)(void);

static const struct {
  uint32_t *stack_top;
  vector handlers[15];
} vectors __attribute__((section(".vectors"), used)) = {
    &firmware_stack_top,
    {firmware_reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault}};

uint32_t isa_trap(uint32_t operation, const uint32_t *arguments) {
  register uint32_t r0 __asm__("r0") = operation;
  register const uint32_t *r1 __asm__("r1") = arguments;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

#define COUNTER_CMSDK 1 /* counts down from its value, reloads at 0 and notes that as an interrupt */
#define COUNTER_SSE 2   /* a view of the system counter, which counts up */

#if COUNTER_KIND == COUNTER_CMSDK
typedef struct {
  volatile uint32_t control, value, reload, interrupt;
} cmsdk_timer;
#define TIMER ((cmsdk_timer *)COUNTER_TIMER)
#define TIMER_ENABLED 1U
#define TIMER_INTERRUPT_ENABLED 8U
#define TICKS(before, after) ((before) - (after))

void isa_timer_start(void) {
  TIMER->control = 0;
  TIMER->reload = UINT32_MAX;
  TIMER->control = TIMER_ENABLED | TIMER_INTERRUPT_ENABLED;
}

static volatile uint32_t *rewound_timer(void) {
  TIMER->value = UINT32_MAX;
  TIMER->interrupt = 1;
  return &TIMER->value;
}

static int wrapped(void) { return TIMER->interrupt != 0; } /* nobody takes it */
#else
#define TIMER ((volatile uint32_t *)COUNTER_TIMER) /* low and high word */
#define SYSTEM_COUNTER_CONTROL (*(volatile uint32_t *)0x58100000)
#define TICKS(before, after) ((after) - (before))

static uint32_t high_word;

void isa_timer_start(void) { SYSTEM_COUNTER_CONTROL = 1; }

static volatile uint32_t *rewound_timer(void) {
  high_word = TIMER[1];
  return TIMER;
}

/* One change of the high word is no wrap of the difference. */
static int wrapped(void) { return TIMER[1] - high_word > 1; }
#endif

typedef struct {
  uint32_t before, after;
} readings;

/* The timer just before and just after the call, on the given stack. The emulator's plugin counts what runs
   between the two labels. */
__attribute__((naked)) static void read_around(void (*function)(void) __attribute__((unused)),
                                               uint32_t *stack_top __attribute__((unused)),
                                               volatile uint32_t *timer __attribute__((unused)),
                                               readings *found __attribute__((unused))) {
  __asm__ volatile(
      "push {r3, r4, r5, r6, r7, lr}\n\t"
      "mov r4, sp\n\t"
      "mov r5, r2\n\t"
      "mov sp, r1\n\t"
      "ldr r6, [r5]\n"
      "isa_counted_from:\n\t"
      "blx r0\n"
      "isa_counted_to:\n\t"
      "ldr r7, [r5]\n\t"
      "mov sp, r4\n\t"
      "ldr r3, [sp]\n\t"
      "str r6, [r3]\n\t"
      "str r7, [r3, #4]\n\t"
      "pop {r3, r4, r5, r6, r7, pc}");
}

uint32_t isa_instructions_of(void (*function)(void), uint32_t *stack_top) {
  readings found;
  read_around(function, stack_top, rewound_timer(), &found);
  if (wrapped()) semihosting_exit(EXIT_TIMER);
  return (
      uint32_t)(((uint64_t)TICKS(found.before, found.after) * COUNTER_NUMERATOR + COUNTER_DENOMINATOR / 2) /
                COUNTER_DENOMINATOR);
}

__attribute__((naked)) void isa_empty(void) { __asm__ volatile("bx lr"); }

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

uint32_t counter_loop_instructions(uint32_t rounds) { return 3U * rounds + 4U; }
