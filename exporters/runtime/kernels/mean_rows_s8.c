/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_runtime.h"
#include "mcufit_rounding.h"

typedef char mcufit_mean_rows_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_mean_rows_s8_step) == MCUFIT_MEAN_ROWS_S8_STEP_BYTES ? 1 : -1];

static void start(const mcufit_mean_s8_step *step, int32_t *sums) {
  int32_t i;
  for (i = 0; i < (int32_t)step->output_width * step->channels; ++i) sums[i] = step->offset;
}

/* Of each output column the input's columns: all of them, or the one at its place. */
static void add_row(const mcufit_mean_s8_step *step, const int8_t *input, int32_t *sums) {
  int16_t x, column, c;
  for (x = 0; x < step->output_width; ++x) {
    for (column = 0; column < step->columns; ++column) {
      for (c = 0; c < step->channels; ++c) sums[c] += input[c];
      input += step->input.pixel_stride;
    }
    sums += step->channels;
  }
}

static void finish(const mcufit_mean_s8_step *step, const int32_t *sums, int8_t *output) {
  int16_t x, c;
  for (x = 0; x < step->output_width; ++x) {
    for (c = 0; c < step->channels; ++c) {
      const int32_t mean = mcufit_requantize(sums[c], step->multiplier, step->shift);
      output[c] = mcufit_clamp(mean + step->output_zero_point, INT8_MIN, INT8_MAX);
    }
    sums += step->channels;
    output += step->output.pixel_stride;
  }
}

void mcufit_mean_rows_s8(const mcufit_mean_rows_s8_step *step, int8_t *arena, int16_t first_row,
                         int16_t end_row) {
  const mcufit_mean_s8_step *whole = &step->whole;
  int32_t *sums = (int32_t *)(void *)(arena + step->sums);
  int16_t y;
  if (first_row == 0) start(whole, sums);
  for (y = first_row; y < end_row; ++y)
    add_row(whole, arena + whole->input.offset + mcufit_row(&whole->input, y), sums);
  if (end_row == whole->rows) finish(whole, sums, arena + whole->output.offset);
}
