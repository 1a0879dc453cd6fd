/* SPDX-License-Identifier: Apache-2.0 */
/* RV32: reset, traps, the call to the host, and the counter of retired instructions. */
#include "fw_isa.h"

#include "fw_semihosting.h"

int main(void);

void firmware_start(void);
void firmware_start(void) { semihosting_exit(main()); }

__attribute__((aligned(4))) void firmware_trap(void);
void firmware_trap(void) { semihosting_exit(EXIT_FAULT); }

/* At the start of the flash, where the board begins. */
__attribute__((naked, section(".vectors"), used)) void firmware_reset(void);
void firmware_reset(void) {
  __asm__ volatile(
      "la sp, firmware_stack_top\n\t"
      "la t0, firmware_trap\n\t"
      "csrw mtvec, t0\n\t"
      "la t0, firmware_start\n\t"
      "jr t0");
}

/* The two shifts mark the breakpoint as a call ("RISC-V Semihosting"); all three must be uncompressed. */
__attribute__((noinline)) uint32_t isa_trap(uint32_t operation, const uint32_t *arguments) {
  register uint32_t a0 __asm__("a0") = operation;
  register const uint32_t *a1 __asm__("a1") = arguments;
  __asm__ volatile(
      ".balign 16\n\t"
      ".option push\n\t"
      ".option norvc\n\t"
      "slli x0, x0, 0x1f\n\t"
      "ebreak\n\t"
      "srai x0, x0, 7\n\t"
      ".option pop"
      : "+r"(a0)
      : "r"(a1)
      : "memory");
  return a0;
}

void isa_timer_start(void) {}

typedef struct {
  uint32_t before, after, before_high, after_high;
} readings;

__attribute__((naked)) static void read_around(void (*function)(void) __attribute__((unused)),
                                               uint32_t *stack_top __attribute__((unused)),
                                               readings *found __attribute__((unused))) {
  __asm__ volatile(
      "addi sp, sp, -32\n\t"
      "sw ra, 28(sp)\n\t"
      "sw s0, 24(sp)\n\t"
      "sw s1, 20(sp)\n\t"
      "sw s2, 16(sp)\n\t"
      "sw s3, 12(sp)\n\t"
      "sw a2, 8(sp)\n\t"
      "mv s0, sp\n\t"
      "mv sp, a1\n\t"
      "csrr s3, minstreth\n\t"
      "csrr s1, minstret\n\t"
      "jalr a0\n\t"
      "csrr s2, minstret\n\t"
      "csrr t0, minstreth\n\t"
      "mv sp, s0\n\t"
      "lw a2, 8(sp)\n\t"
      "sw s1, 0(a2)\n\t"
      "sw s2, 4(a2)\n\t"
      "sw s3, 8(a2)\n\t"
      "sw t0, 12(a2)\n\t"
      "lw s3, 12(sp)\n\t"
      "lw s2, 16(sp)\n\t"
      "lw s1, 20(sp)\n\t"
      "lw s0, 24(sp)\n\t"
      "lw ra, 28(sp)\n\t"
      "addi sp, sp, 32\n\t"
      "ret");
}

uint32_t isa_instructions_of(void (*function)(void), uint32_t *stack_top) {
  readings found;
  read_around(function, stack_top, &found);
  if (found.after_high - found.before_high > 1) semihosting_exit(EXIT_TIMER);
  return found.after - found.before;
}

__attribute__((naked)) void isa_empty(void) { __asm__ volatile("ret"); }

__attribute__((naked)) void counter_loop(void) {
  __asm__ volatile(
      "lw t0, counter_rounds\n"
      "1:\n\t"
      "nop\n\t"
      "addi t0, t0, -1\n\t"
      "bnez t0, 1b\n\t"
      "ret");
}

uint32_t counter_loop_instructions(uint32_t rounds) { return 3U * rounds + 3U; }
