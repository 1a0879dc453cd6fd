/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_runtime.h"
#include "mcufit_rounding.h"

typedef char mcufit_average_pool2d_rows_s8_step_bytes[sizeof(void *) != 4 ||
                                                              sizeof(mcufit_average_pool2d_rows_s8_step) ==
                                                                  MCUFIT_AVERAGE_POOL2D_ROWS_S8_STEP_BYTES
                                                          ? 1
                                                          : -1];

/* Four pixels at a time, and then one by one. The first pixel of all starts the sums: clearing them would be
   a call of memset. */
static void add_row(const mcufit_pool2d_s8_step *step, const int8_t *input, int32_t *sums, int16_t row) {
  const int32_t next = step->input.pixel_stride;
  const int16_t channels = step->window.output_channels;
  int16_t left = step->window.input_width, c;
  if (row == 0) {
    for (c = 0; c < channels; ++c) sums[c] = input[c];
    input += next;
    --left;
  }
  for (; left >= 4; left -= 4) {
    for (c = 0; c < channels; ++c) {
      const int8_t *x = input + c;
      sums[c] += x[0] + x[next] + x[2 * next] + x[3 * next];
    }
    input += 4 * next;
  }
  for (; left > 0; --left) {
    for (c = 0; c < channels; ++c) sums[c] += input[c];
    input += next;
  }
}

/* To nearest, ties away from zero. */
static void finish(const mcufit_pool2d_s8_step *step, const int32_t *sums, int8_t *output) {
  const int32_t count = (int32_t)step->window.input_height * step->window.input_width;
  const int32_t half = count / 2;
  int16_t c;
  for (c = 0; c < step->window.output_channels; ++c) {
    const int32_t sum = sums[c];
    output[c] = mcufit_clamp((sum > 0 ? sum + half : sum - half) / count, step->output_min, step->output_max);
  }
}

void mcufit_average_pool2d_rows_s8(const mcufit_average_pool2d_rows_s8_step *step, int8_t *arena,
                                   int16_t first_row, int16_t end_row) {
  const mcufit_pool2d_s8_step *whole = &step->whole;
  int32_t *sums = (int32_t *)(void *)(arena + step->sums);
  int16_t y;
  for (y = first_row; y < end_row; ++y)
    add_row(whole, arena + whole->input.offset + mcufit_row(&whole->input, y), sums, y);
  if (end_row == whole->window.input_height) finish(whole, sums, arena + whole->output.offset);
}
