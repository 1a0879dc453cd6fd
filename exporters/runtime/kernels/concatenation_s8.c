/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_runtime.h"

typedef char mcufit_concatenation_s8_step_bytes
    [sizeof(void *) != 4 || (sizeof(mcufit_concatenation_s8_step) == MCUFIT_CONCATENATION_S8_STEP_BYTES &&
                             sizeof(mcufit_concatenation_part) == MCUFIT_CONCATENATION_PART_BYTES)
         ? 1
         : -1];

static void copy_row(const mcufit_concatenation_part *part, const int8_t *input, int8_t *output,
                     int16_t pixel_stride) {
  int16_t x, c;
  for (x = 0; x < part->width; ++x) {
    for (c = 0; c < part->channels; ++c) output[c] = input[c];
    input += part->input.pixel_stride;
    output += pixel_stride;
  }
}

void mcufit_concatenation_s8(const mcufit_concatenation_s8_step *step, int8_t *arena, int16_t first_row,
                             int16_t end_row) {
  int16_t y, i;
  for (y = first_row; y < end_row; ++y) {
    int8_t *output = arena + step->output.offset + mcufit_row(&step->output, y);
    for (i = 0; i < step->count; ++i) {
      const mcufit_concatenation_part *part = step->parts + i;
      const int16_t row = (int16_t)(y - part->first_row);
      if (row < 0 || row >= part->rows) continue;
      copy_row(part, arena + part->input.offset + mcufit_row(&part->input, row), output + part->at,
               step->output.pixel_stride);
    }
  }
}
