/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_dsp.h"

typedef char mcufit_add_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_add_s8_step) == MCUFIT_ADD_S8_STEP_BYTES ? 1 : -1];

/* TensorFlow Lite's: inputs gain 20 bits, so that rescaling to their common scale keeps precision. */
#define ADD_LEFT_SHIFT 20

/* An input on its way to the common scale: ((x << 21) + offset) * multiplier / 2^32, which doubles the 20
   bits for the upper product, then `bits` to the right, to the nearest; by no bits `sign` is 0. */
typedef struct {
  int32_t offset, multiplier, half, bits, sign;
} input_scale;

static inline int32_t widened(int8_t x, const input_scale *scale) {
  return mcufit_upper_product(mcufit_shift_left(x, ADD_LEFT_SHIFT + 1) + scale->offset, scale->multiplier);
}

/* Where b is rescaled by no shift: TensorFlow Lite's common scale is twice the larger of the two, so that one
   of them is just halved. */
typedef struct {
  input_scale a, b;
  mcufit_dsp_scale output;
} short_add;

static inline int8_t add_short(const short_add *s, int8_t x, int8_t y) {
  int32_t sum = widened(x, &s->a);
  sum = (sum + ((sum >> 31) & s->a.sign) + s->a.half) >> s->a.bits;
  sum += widened(y, &s->b);
  return (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale(sum, s->output));
}

static MCUFIT_NOINLINE void add_all(const short_add *all, const int8_t *a, const int8_t *b, int8_t *output,
                                    int32_t n) {
  const short_add s = *all;
  for (; n > 0; --n) *output++ = add_short(&s, *a++, *b++);
}

/* What is not in a loop over elements, or runs seldom, is compiled for size. */
#include "mcufit_small.h"

static input_scale scale_of(int16_t zero_point, int32_t multiplier, int8_t shift) {
  input_scale scale;
  scale.offset = -(int32_t)zero_point * (1 << (ADD_LEFT_SHIFT + 1));
  scale.multiplier = multiplier;
  scale.bits = -shift;
  scale.half = shift < 0 ? (int32_t)((uint32_t)1 << (-shift - 1)) : 0;
  scale.sign = shift < 0 ? -1 : 0;
  return scale;
}

static int8_t add(const mcufit_add_s8_step *step, int8_t a, int8_t b) {
  const int32_t wide_a = mcufit_shift_left((int32_t)a - step->zero_point1, ADD_LEFT_SHIFT);
  const int32_t wide_b = mcufit_shift_left((int32_t)b - step->zero_point2, ADD_LEFT_SHIFT);
  const int32_t sum = mcufit_requantize(wide_a, step->multiplier1, step->shift1) +
                      mcufit_requantize(wide_b, step->multiplier2, step->shift2);
  const int32_t scaled = mcufit_requantize(sum, step->output_multiplier, step->output_shift);
  return mcufit_clamp(scaled + step->output_zero_point, step->output_min, step->output_max);
}

static MCUFIT_NOINLINE void add_slowly(const mcufit_add_s8_step *step, const int8_t *a, const int8_t *b,
                                       int8_t *output, int32_t n) {
  while (n-- > 0) *output++ = add(step, *a++, *b++);
}

/* Inputs are under 2^8 before the shift to the left, so that twice their sum stays under 2^30. */
static int is_short(const mcufit_add_s8_step *s) {
  const int one_kept = s->shift1 == 0 || s->shift2 == 0;
  const int none_left = s->shift1 <= 0 && s->shift1 > -30 && s->shift2 <= 0 && s->shift2 > -30;
  return one_kept && none_left && s->output_shift < 0 && s->output_shift > -22 && s->output_min == INT8_MIN &&
         s->output_max == INT8_MAX;
}

static short_add short_form(const mcufit_add_s8_step *step) {
  const input_scale scale1 = scale_of(step->zero_point1, step->multiplier1, step->shift1);
  const input_scale scale2 = scale_of(step->zero_point2, step->multiplier2, step->shift2);
  short_add s;
  s.a = step->shift1 != 0 ? scale1 : scale2;
  s.b = step->shift1 != 0 ? scale2 : scale1;
  s.output.multiplier = step->output_multiplier;
  s.output.bits = -step->output_shift;
  s.output.addend = mcufit_shift_left(2 * step->output_zero_point + 1, (int)(s.output.bits - 1));
  return s;
}

void mcufit_add_s8(const mcufit_add_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  const int swapped = step->shift1 == 0;
  const int use_short = is_short(step);
  const mcufit_view *view_a = swapped ? &step->input2 : &step->input1;
  const mcufit_view *view_b = swapped ? &step->input1 : &step->input2;
  const int flat = view_a->pixel_stride == step->channels && view_b->pixel_stride == step->channels &&
                   step->output.pixel_stride == step->channels;
  const int32_t n = step->channels * (flat ? (int32_t)step->width : 1);
  const int32_t runs = flat ? 1 : step->width;
  short_add s;
  int32_t i;
  int16_t y;
  if (use_short) s = short_form(step);
  for (y = first_row; y < end_row; ++y) {
    const int8_t *a = arena + view_a->offset + mcufit_row(view_a, y);
    const int8_t *b = arena + view_b->offset + mcufit_row(view_b, y);
    int8_t *output = arena + step->output.offset + mcufit_row(&step->output, y);
    for (i = 0; i < runs; ++i) {
      if (use_short)
        add_all(&s, a, b, output, n);
      else
        add_slowly(step, swapped ? b : a, swapped ? a : b, output, n);
      a += view_a->pixel_stride;
      b += view_b->pixel_stride;
      output += step->output.pixel_stride;
    }
  }
}
