/* SPDX-License-Identifier: Apache-2.0 */
/* The one rounding rule of the project, on the host and on devices: TensorFlow Lite Micro's by default (two
   roundings, as in gemmlowp's fixed-point arithmetic). Needs two's complement and an arithmetic right shift,
   both checked below. */
#ifndef MCUFIT_ROUNDING_H
#define MCUFIT_ROUNDING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef char mcufit_right_shift_is_arithmetic[(((int32_t)-5) >> 1) == -3 ? 1 : -1];

/* x * 2^bits modulo 2^32, bits in [0, 31]. TFLite's own left shift overflows where the result does not fit;
   every compiler's code for it wraps, so this wraps, without undefined behaviour. Exporters prove that it
   never happens. */
static inline int32_t mcufit_shift_left(int32_t x, int bits) { return (int32_t)((uint32_t)x << bits); }

/* x / 2^bits to nearest, ties away from zero, bits in [0, 31]. */
static inline int32_t mcufit_rounding_shift_right(int32_t x, int bits) {
  const int32_t mask = (int32_t)(((uint32_t)1 << bits) - 1U);
  const int32_t remainder = x & mask;
  const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> bits) + (remainder > threshold ? 1 : 0);
}

/* a * b / 2^31 to nearest, ties upwards (TFLite's nudge for negative products and its division that truncates
   come to the same). Not both may be INT32_MIN. */
static inline int32_t mcufit_rounding_high_product_wide(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* The same from products of 32 bits, which is all that Armv6-M multiplies: the halves' products are added
   from the low end, no sum of which leaves 32 bits. */
static inline int32_t mcufit_rounding_high_product_halves(int32_t a, int32_t b) {
  const int32_t a_high = a >> 16, b_high = b >> 16;
  const uint32_t a_low = (uint32_t)a & 0xFFFFU, b_low = (uint32_t)b & 0xFFFFU;
  const int32_t first = a_high * (int32_t)b_low + (int32_t)(a_low * b_low >> 16);
  const int32_t second = (int32_t)a_low * b_high + (first & 0xFFFF); /* bits 16 to 47 but for first's high */
  const int32_t high = a_high * b_high + (first >> 16) + (second >> 16);
  return (int32_t)(((uint32_t)high << 1) + ((((uint32_t)second & 0xFFFFU) + 0x4000U) >> 15));
}

static inline int32_t mcufit_rounding_high_product(int32_t a, int32_t b) {
#ifdef __ARM_ARCH_6M__
  return mcufit_rounding_high_product_halves(a, b);
#else
  return mcufit_rounding_high_product_wide(a, b);
#endif
}

/* The same, saturating: the only product that does not fit, of two INT32_MIN, gives INT32_MAX. */
static inline int32_t mcufit_doubling_high_multiply(int32_t a, int32_t b) {
  return a == INT32_MIN && b == INT32_MIN ? INT32_MAX : mcufit_rounding_high_product(a, b);
}

/* x * multiplier / 2^31 * 2^shift, multiplier >= 0, shift in [-31, 30]: a left shift when it is positive, the
   doubling high multiply (which need not saturate, as multiplier >= 0), a rounding right shift when it is
   negative. */
static inline int32_t mcufit_requantize_wide(int32_t x, int32_t multiplier, int shift) {
  const int left = shift > 0 ? shift : 0;
  const int right = shift > 0 ? 0 : -shift;
  return mcufit_rounding_shift_right(mcufit_rounding_high_product(mcufit_shift_left(x, left), multiplier),
                                     right);
}

/* The same from products of 32 bits. As multiplier >= 0, the sum of the middle products has room for the
   rounding, and the product is above INT32_MIN: ties go away from zero when negative ones are lowered by 1.
 */
static inline int32_t mcufit_requantize_halves(int32_t x, int32_t multiplier, int shift) {
  const uint32_t low = (uint32_t)multiplier & 0xFFFFU, high = (uint32_t)multiplier >> 16;
  uint32_t x_low, middle;
  int32_t x_high, first, product;
  if (shift > 0) x = mcufit_shift_left(x, shift);
  x_low = (uint32_t)x & 0xFFFFU;
  x_high = x >> 16;
  first = x_high * (int32_t)low + (int32_t)(x_low * low >> 16);
  middle = x_low * high + ((uint32_t)first & 0xFFFFU) + 0x4000U;
  product = (int32_t)((uint32_t)(x_high * (int32_t)high + (first >> 16)) << 1) + (int32_t)(middle >> 15);
  if (shift >= 0) return product;
  product = (product + (product >> 31)) >> (-shift - 1);
  return (product + 1) >> 1;
}

static inline int32_t mcufit_requantize(int32_t x, int32_t multiplier, int shift) {
#ifdef __ARM_ARCH_6M__
  return mcufit_requantize_halves(x, multiplier, shift);
#else
  return mcufit_requantize_wide(x, multiplier, shift);
#endif
}

static inline int8_t mcufit_clamp(int32_t x, int8_t minimum, int8_t maximum) {
  return (int8_t)(x < minimum ? minimum : (x > maximum ? maximum : x));
}

#ifdef __cplusplus
}
#endif

#endif
