/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_runtime.h"
#include "mcufit_rounding.h"

typedef char mcufit_mean_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_mean_s8_step) == MCUFIT_MEAN_S8_STEP_BYTES ? 1 : -1];

/* Of one channel, from row y on; `input` points to the first column. */
static int32_t sum_of(const mcufit_mean_s8_step *step, const int8_t *input, int16_t y) {
  int32_t sum = step->offset;
  int16_t row, column;
  for (row = 0; row < step->rows; ++row) {
    const int8_t *x = input + mcufit_row(&step->input, (int32_t)y + row);
    for (column = 0; column < step->columns; ++column) {
      sum += *x;
      x += step->input.pixel_stride;
    }
  }
  return sum;
}

void mcufit_mean_s8(const mcufit_mean_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  int16_t y, x, c;
  for (y = first_row; y < end_row; ++y) {
    const int8_t *input = arena + step->input.offset;
    int8_t *output = arena + step->output.offset + mcufit_row(&step->output, y);
    for (x = 0; x < step->output_width; ++x) {
      for (c = 0; c < step->channels; ++c) {
        const int32_t mean = mcufit_requantize(sum_of(step, input + c, y), step->multiplier, step->shift);
        output[c] = mcufit_clamp(mean + step->output_zero_point, INT8_MIN, INT8_MAX);
      }
      input += step->input.pixel_stride;
      output += step->output.pixel_stride;
    }
  }
}
