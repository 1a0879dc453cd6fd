/* SPDX-License-Identifier: Apache-2.0 */
/* What the _v6m variants share: the way from sums to outputs in the instructions of Armv6-M, beside C of the
   same result, with which the variants run and are tested on any machine. */
#ifndef MCUFIT_V6M_H
#define MCUFIT_V6M_H

#include "mcufit_isa.h"
#include "mcufit_rounding.h"
#include "mcufit_runtime.h"

#if defined(MCUFIT_ISA_V6M)
/* Those up to the first that is shifted to the left or not at all. `i` is that one's index, below 0; the
   other pointers are those of index 0. mcufit_requantize_halves() and mcufit_clamp(), step by step. */
static inline int32_t mcufit_v6m_shifted_right(const mcufit_requantization *q, const int32_t *multipliers,
                                               const int8_t *shifts, const int32_t *sums, int8_t *outputs,
                                               int32_t i) {
  const int32_t *sum = sums + i, *multiplier = multipliers + i;
  int32_t x, low, m_low, m_high, t;
  __asm__ volatile(
      ".syntax unified\n"
      "1:\n\t"
      "ldmia %[sum]!, {%[x]}\n\t"
      "ldrh %[m_low], [%[multiplier], #0]\n\t"
      "ldrh %[m_high], [%[multiplier], #2]\n\t"
      "adds %[multiplier], #4\n\t"
      "uxth %[low], %[x]\n\t"
      "asrs %[x], %[x], #16\n\t"
      "movs %[t], %[low]\n\t"
      "muls %[t], %[m_low], %[t]\n\t"
      "lsrs %[t], %[t], #16\n\t"
      "muls %[m_low], %[x], %[m_low]\n\t"
      "adds %[t], %[t], %[m_low]\n\t"
      "muls %[low], %[m_high], %[low]\n\t"
      "uxth %[m_low], %[t]\n\t"
      "adds %[low], %[low], %[m_low]\n\t"
      "lsrs %[low], %[low], #14\n\t"
      "adds %[low], #1\n\t"
      "lsrs %[low], %[low], #1\n\t"
      "asrs %[t], %[t], #16\n\t"
      "muls %[x], %[m_high], %[x]\n\t"
      "adds %[x], %[x], %[t]\n\t"
      "lsls %[x], %[x], #1\n\t"
      "adds %[x], %[x], %[low]\n\t"
      "mov %[t], %[shifts]\n\t"
      "ldrsb %[t], [%[t], %[i]]\n\t"
      "mvns %[t], %[t]\n\t"
      "bmi 4f\n\t"
      "asrs %[low], %[x], #31\n\t"
      "adds %[x], %[x], %[low]\n\t"
      "asrs %[x], %[t]\n\t"
      "adds %[x], #1\n\t"
      "asrs %[x], %[x], #1\n\t"
      "add %[x], %[zero_point]\n\t"
      "cmp %[x], %[least]\n\t"
      "bge 2f\n\t"
      "mov %[x], %[least]\n"
      "2:\n\t"
      "cmp %[x], %[most]\n\t"
      "ble 3f\n\t"
      "mov %[x], %[most]\n"
      "3:\n\t"
      "mov %[t], %[outputs]\n\t"
      "strb %[x], [%[t], %[i]]\n\t"
      "adds %[i], #1\n\t"
      "bne 1b\n"
      "4:"
      : [sum] "+l"(sum), [multiplier] "+l"(multiplier), [i] "+l"(i), [x] "=&l"(x), [low] "=&l"(low),
        [m_low] "=&l"(m_low), [m_high] "=&l"(m_high), [t] "=&l"(t)
      : [shifts] "h"(shifts), [outputs] "h"(outputs), [zero_point] "h"((int32_t)q->output_zero_point),
        [least] "h"((int32_t)q->output_min), [most] "h"((int32_t)q->output_max)
      : "cc", "memory");
  return i;
}
#endif

/* The outputs of n >= 1 channels from `channel` on. */
static MCUFIT_NOINLINE void mcufit_v6m_requantize(const mcufit_requantization *q, int32_t channel, int32_t n,
                                                  const int32_t *sums, int8_t *outputs) {
  const int32_t *multipliers = q->multiplier + channel + n;
  const int8_t *shifts = q->shift + channel + n;
  int32_t i = -n;
  sums += n;
  outputs += n;
  for (; i != 0; ++i) {
#if defined(MCUFIT_ISA_V6M)
    i = mcufit_v6m_shifted_right(q, multipliers, shifts, sums, outputs, i);
    if (i == 0) return;
#endif
    outputs[i] = mcufit_clamp(mcufit_requantize(sums[i], multipliers[i], shifts[i]) + q->output_zero_point,
                              q->output_min, q->output_max);
  }
}

#endif
