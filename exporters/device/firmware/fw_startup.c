/* SPDX-License-Identifier: Apache-2.0 */
/* Reset and faults. Everything of the firmware lies outside the target's flash and RAM but for the vectors.
 */
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
