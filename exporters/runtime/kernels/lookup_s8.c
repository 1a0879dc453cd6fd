/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_runtime.h"

typedef char mcufit_lookup_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_lookup_s8_step) == MCUFIT_LOOKUP_S8_STEP_BYTES ? 1 : -1];

void mcufit_lookup_s8(const mcufit_lookup_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  const int8_t *const of_zero = step->table + 128;
  int16_t y, x, c;
  for (y = first_row; y < end_row; ++y) {
    const int8_t *input = arena + step->input.offset + mcufit_row(&step->input, y);
    int8_t *output = arena + step->output.offset + mcufit_row(&step->output, y);
    for (x = 0; x < step->width; ++x) {
      for (c = 0; c < step->channels; ++c) output[c] = MCUFIT_FLASH_S8(of_zero + input[c]);
      input += step->input.pixel_stride;
      output += step->output.pixel_stride;
    }
  }
}
