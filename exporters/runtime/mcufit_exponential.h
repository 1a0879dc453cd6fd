/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed-point exponential and reciprocal of the int8 softmax, on the host and on devices. The sequence of
   roundings is gemmlowp's fixed-point library's, which TensorFlow Lite's softmax is defined by. Qm.n is an
   int32 with m integer bits and n fractional bits below its sign. */
#ifndef MCUFIT_EXPONENTIAL_H
#define MCUFIT_EXPONENTIAL_H

#ifdef MCUFIT_SMALL
#include "mcufit_small.h"
#endif
#include "mcufit_rounding.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Integer bits of a softmax's sum of exponentials. */
#define MCUFIT_SOFTMAX_SUM_BITS 12

/* Integer bits of the differences that a softmax exponentiates, and of a sigmoid's inputs. */
#define MCUFIT_SOFTMAX_INPUT_BITS 5
#define MCUFIT_SIGMOID_INPUT_BITS 4

/* x * 2^bits, saturating. */
static inline int32_t mcufit_saturating_shift_left(int32_t x, int bits) {
  const int32_t most = INT32_MAX >> bits;
  if (x > most) return INT32_MAX;
  if (x < -most) return INT32_MIN;
  return mcufit_shift_left(x, bits);
}

/* exp(x) for x in [-1/4, 0), Q0.31 to Q0.31: the Taylor polynomial of degree 4 around -1/8. */
static inline int32_t mcufit_exp_near_zero(int32_t x) {
  const int32_t exp_of_centre = 1895147668; /* exp(-1/8) */
  const int32_t third = 715827883;
  const int32_t y = x + ((int32_t)1 << 28);
  const int32_t y2 = mcufit_doubling_high_multiply(y, y);
  const int32_t y3 = mcufit_doubling_high_multiply(y2, y);
  const int32_t y4 = mcufit_doubling_high_multiply(y2, y2);
  const int32_t cubic = mcufit_doubling_high_multiply(mcufit_rounding_shift_right(y4, 2) + y3, third);
  const int32_t tail = mcufit_rounding_shift_right(cubic + y2, 1); /* y^2/2 + y^3/6 + y^4/24 */
  return exp_of_centre + mcufit_doubling_high_multiply(exp_of_centre, y + tail);
}

static inline int32_t mcufit_times_if(int32_t condition, int32_t x, int32_t factor) {
  return condition != 0 ? mcufit_doubling_high_multiply(x, factor) : x;
}

/* exp(x) for x <= 0, of 4 or 5 integer bits to Q0.31: what is left of a multiple of 1/4 by the polynomial,
   then a factor for each bit of that multiple, the lowest first. */
static inline int32_t mcufit_exp_on_negative(int32_t x, int integer_bits) {
  const int32_t quarter = (int32_t)1 << (29 - integer_bits);
  const int32_t near_zero = (x & (quarter - 1)) - quarter;
  const int32_t multiple = near_zero - x;
  int32_t result = mcufit_exp_near_zero(mcufit_saturating_shift_left(near_zero, integer_bits));
  if (x == 0) return INT32_MAX;
  result = mcufit_times_if(multiple & quarter, result, 1672461947);        /* exp(-1/4) */
  result = mcufit_times_if(multiple & (quarter << 1), result, 1302514674); /* exp(-1/2) */
  result = mcufit_times_if(multiple & (quarter << 2), result, 790015084);  /* exp(-1) */
  result = mcufit_times_if(multiple & (quarter << 3), result, 290630308);
  result = mcufit_times_if(multiple & (quarter << 4), result, 39332535);
  result = mcufit_times_if(multiple & (quarter << 5), result, 720401);
  if (integer_bits > 4) result = mcufit_times_if(multiple & (quarter << 6), result, 242); /* exp(-16) */
  return result;
}

/* 1 / (1 + x) for x in [0, 1], Q0.31 to Q0.31: three steps of Newton's method for 1 / d in Q2.29, where
   d = (1 + x) / 2 and the first guess is 48/17 - 32/17 d. */
static inline int32_t mcufit_one_over_one_plus(int32_t x) {
  const int32_t guess = 1515870810, slope = -1010580540, one = (int32_t)1 << 29;
  const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
  int32_t inverse = guess + mcufit_doubling_high_multiply(half_denominator, slope);
  int step;
  for (step = 0; step < 3; ++step) {
    const int32_t error = one - mcufit_doubling_high_multiply(half_denominator, inverse);
    inverse += mcufit_saturating_shift_left(mcufit_doubling_high_multiply(inverse, error), 2);
  }
  return mcufit_saturating_shift_left(inverse, 1);
}

/* 1 / x as mantissa / 2^31 / 2^shift. */
typedef struct {
  int32_t mantissa; /* Q0.31 */
  int shift;
} mcufit_reciprocal;

/* Of x > 0 with `integer_bits`. */
static inline mcufit_reciprocal mcufit_reciprocal_of(int32_t x, int integer_bits) {
  mcufit_reciprocal reciprocal;
  uint32_t leading = (uint32_t)x;
  reciprocal.shift = integer_bits;
  while ((leading & 0x80000000U) == 0) {
    leading <<= 1;
    --reciprocal.shift;
  }
  reciprocal.mantissa = mcufit_one_over_one_plus((int32_t)(leading - 0x80000000U));
  return reciprocal;
}

/* The int8 with scale 1/256 and zero point -128 of an exponential (Q0.31) over their sum, which is below 512.
 */
static inline int8_t mcufit_softmax_output(int32_t exponential, mcufit_reciprocal sum) {
  const int32_t share = mcufit_doubling_high_multiply(sum.mantissa, exponential);
  return mcufit_clamp(mcufit_rounding_shift_right(share, sum.shift + 31 - 8) - 128, -128, 127);
}

#ifdef __cplusplus
}
#endif

#endif
