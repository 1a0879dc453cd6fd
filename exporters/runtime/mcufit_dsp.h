/* SPDX-License-Identifier: Apache-2.0 */
/* The DSP instructions of Armv7E-M and Armv8-M that the kernels' _dsp variants are written in, each beside C
   of the same result, with which the variants run and are tested on any little-endian machine. */
#ifndef MCUFIT_DSP_H
#define MCUFIT_DSP_H

#include <stdint.h>

#ifdef MCUFIT_SMALL
#include "mcufit_small.h"
#endif
#include "mcufit_isa.h"

#include "mcufit_rounding.h"
#include "mcufit_runtime.h"

/* Two int16 in a word: the first in its lower half. */
typedef uint32_t mcufit_s16x2;

static inline mcufit_s16x2 mcufit_s16_pair(int32_t low, int32_t high) {
  return ((uint32_t)low & 0xFFFFU) | (uint32_t)high << 16;
}

/* Four int8 at any address, the first in the lowest byte. */
static inline uint32_t mcufit_load_s8x4(const int8_t *from) {
#if defined(MCUFIT_ISA_DSP)
  uint32_t word;
  __asm__("ldr %0, %1" : "=r"(word) : "m"(*(const int8_t(*)[4])from));
  return word;
#else
  return (uint32_t)(uint8_t)from[0] | (uint32_t)(uint8_t)from[1] << 8 | (uint32_t)(uint8_t)from[2] << 16 |
         (uint32_t)(uint8_t)from[3] << 24;
#endif
}

static inline void mcufit_store_s8x4(int8_t *to, uint32_t word) {
#if defined(MCUFIT_ISA_DSP)
  __asm__("str %1, %0" : "=m"(*(int8_t(*)[4])to) : "r"(word));
#else
  to[0] = (int8_t)(word & 0xFFU);
  to[1] = (int8_t)(word >> 8 & 0xFFU);
  to[2] = (int8_t)(word >> 16 & 0xFFU);
  to[3] = (int8_t)(word >> 24);
#endif
}

/* n < 4 int8, zeros after them. */
static inline uint32_t mcufit_load_few_s8(const int8_t *from, int32_t n) {
  uint32_t word = 0;
  while (n-- > 0) word = word << 8 | (uint8_t)from[n];
  return word;
}

/* Bytes 0 and 2 of a word. */
static inline mcufit_s16x2 mcufit_even_s8(uint32_t word) {
#if defined(MCUFIT_ISA_DSP)
  mcufit_s16x2 pair;
  __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(word));
  return pair;
#else
  return mcufit_s16_pair((int8_t)(word & 0xFFU), (int8_t)(word >> 16 & 0xFFU));
#endif
}

/* Bytes 1 and 3. */
static inline mcufit_s16x2 mcufit_odd_s8(uint32_t word) {
#if defined(MCUFIT_ISA_DSP)
  mcufit_s16x2 pair;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
  return pair;
#else
  return mcufit_even_s8(word >> 8);
#endif
}

static inline int32_t mcufit_low_s16(mcufit_s16x2 x) { return (int16_t)(x & 0xFFFFU); }
static inline int32_t mcufit_high_s16(mcufit_s16x2 x) { return (int16_t)(x >> 16); }

/* The lower halves of two words, and their upper halves. */
static inline uint32_t mcufit_low_halves(uint32_t first, uint32_t second) {
#if defined(MCUFIT_ISA_DSP)
  uint32_t pair;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(first), "r"(second));
  return pair;
#else
  return (first & 0xFFFFU) | second << 16;
#endif
}

static inline uint32_t mcufit_high_halves(uint32_t first, uint32_t second) {
#if defined(MCUFIT_ISA_DSP)
  uint32_t pair;
  __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(pair) : "r"(second), "r"(first));
  return pair;
#else
  return first >> 16 | (second & 0xFFFF0000U);
#endif
}

/* sums + bytes 0 and 2 of a word, half by half; neither may overflow. */
static inline mcufit_s16x2 mcufit_add_even_s8(mcufit_s16x2 sums, uint32_t word) {
#if defined(MCUFIT_ISA_DSP)
  __asm__("sxtab16 %0, %0, %1" : "+r"(sums) : "r"(word));
  return sums;
#else
  const mcufit_s16x2 pair = mcufit_even_s8(word);
  return mcufit_s16_pair(mcufit_low_s16(sums) + mcufit_low_s16(pair),
                         mcufit_high_s16(sums) + mcufit_high_s16(pair));
#endif
}

/* The same of bytes 1 and 3. */
static inline mcufit_s16x2 mcufit_add_odd_s8(mcufit_s16x2 sums, uint32_t word) {
#if defined(MCUFIT_ISA_DSP)
  __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(sums) : "r"(word));
  return sums;
#else
  return mcufit_add_even_s8(sums, word >> 8);
#endif
}

/* sum + the products of both halves. */
static inline int32_t mcufit_add_products(mcufit_s16x2 a, mcufit_s16x2 b, int32_t sum) {
#if defined(MCUFIT_ISA_DSP)
  __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
  return sum;
#else
  return sum + mcufit_low_s16(a) * mcufit_low_s16(b) + mcufit_high_s16(a) * mcufit_high_s16(b);
#endif
}

/* a * b / 2^32 to nearest, ties upwards: mcufit_rounding_high_product(a / 2, b) for an even a. */
static inline int32_t mcufit_upper_product(int32_t a, int32_t b) {
#if defined(MCUFIT_ISA_DSP)
  int32_t product;
  __asm__("smmulr %0, %1, %2" : "=r"(product) : "r"(a), "r"(b));
  return product;
#else
  return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

/* That, and c. */
static inline int32_t mcufit_add_upper_product(int32_t a, int32_t b, int32_t c) {
#if defined(MCUFIT_ISA_DSP)
  int32_t sum;
  __asm__("smmlar %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(c));
  return sum;
#else
  return mcufit_upper_product(a, b) + c;
#endif
}

static inline int32_t mcufit_saturate_s8(int32_t x) {
#if defined(MCUFIT_ISA_DSP)
  __asm__("ssat %0, #8, %0" : "+r"(x));
  return x;
#else
  return x < INT8_MIN ? INT8_MIN : (x > INT8_MAX ? INT8_MAX : x);
#endif
}

/* Sums become int8 in a shorter form of the rule where shift and sum are in its reach and the clamp is to all
   of int8, which the step says: with p the upper product of 2 * sum and multiplier, (p - (p < 0) + addend) >>
   bits, saturated; the addend rounds and adds the output's zero point. Shifts by 1 to 21 bits to the right
   leave room for the addend, and twice a sum under 2^30 is an int32. */
typedef struct {
  int32_t multiplier, addend, bits;
} mcufit_dsp_scale;

static inline mcufit_dsp_scale mcufit_dsp_scale_of(const mcufit_requantization *q, int32_t channel) {
  mcufit_dsp_scale scale;
  scale.multiplier = q->multiplier[channel];
  scale.bits = -q->shift[channel];
  scale.addend = mcufit_shift_left(2 * q->output_zero_point + 1, (int)(scale.bits - 1));
  return scale;
}

/* Of twice a sum, before it is saturated. The sum is asked whether it is negative, not the product: where a
   negative sum's product is 0, the result is the zero point with and without the 1. */
static inline int32_t mcufit_dsp_rescale_doubled(int32_t doubled, mcufit_dsp_scale scale) {
  return mcufit_add_upper_product(doubled, scale.multiplier, scale.addend + (doubled >> 31)) >> scale.bits;
}

static inline int32_t mcufit_dsp_rescale(int32_t sum, mcufit_dsp_scale scale) {
  return mcufit_dsp_rescale_doubled(mcufit_shift_left(sum, 1), scale);
}

#endif
