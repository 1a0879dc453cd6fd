/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_runtime.h"

typedef char mcufit_pad_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_pad_s8_step) == MCUFIT_PAD_S8_STEP_BYTES ? 1 : -1];

/* One output pixel; `input` is null outside. */
static void fill_pixel(const mcufit_pad_s8_step *step, const int8_t *input, int8_t *output) {
  int16_t c;
  for (c = 0; c < step->output_channels; ++c) output[c] = step->value;
  if (input == 0) return;
  for (c = 0; c < step->input_channels; ++c) output[step->front + c] = input[c];
}

void mcufit_pad_s8(const mcufit_pad_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  int16_t y, x;
  for (y = first_row; y < end_row; ++y) {
    const int32_t row = (int32_t)y - step->top;
    const int inside = row >= 0 && row < step->input_height;
    const int8_t *input = arena + step->input.offset + (inside ? mcufit_row(&step->input, row) : 0);
    int8_t *output = arena + step->output.offset + mcufit_row(&step->output, y);
    for (x = 0; x < step->output_width; ++x) {
      const int32_t column = (int32_t)x - step->left;
      const int here = inside && column >= 0 && column < step->input_width;
      fill_pixel(step, here ? input : 0, output);
      if (here) input += step->input.pixel_stride;
      output += step->output.pixel_stride;
    }
  }
}
