/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_runtime.h"
#include "mcufit_rounding.h"

typedef char mcufit_mul_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_mul_s8_step) == MCUFIT_MUL_S8_STEP_BYTES ? 1 : -1];

static int8_t multiply(const mcufit_mul_s8_step *step, int8_t a, int8_t b) {
  const int32_t product = (a - step->zero_point1) * (b - step->zero_point2);
  const int32_t scaled = mcufit_requantize(product, step->multiplier, step->shift);
  return mcufit_clamp(scaled + step->output_zero_point, step->output_min, step->output_max);
}

void mcufit_mul_s8(const mcufit_mul_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  int16_t y, x, c;
  for (y = first_row; y < end_row; ++y) {
    const int8_t *a = arena + step->input1.offset + mcufit_row(&step->input1, y);
    const int8_t *b = arena + step->input2.offset + mcufit_row(&step->input2, y);
    int8_t *output = arena + step->output.offset + mcufit_row(&step->output, y);
    for (x = 0; x < step->width; ++x) {
      for (c = 0; c < step->channels; ++c) output[c] = multiply(step, a[c], b[c]);
      a += step->input1.pixel_stride;
      b += step->input2.pixel_stride;
      output += step->output.pixel_stride;
    }
  }
}
