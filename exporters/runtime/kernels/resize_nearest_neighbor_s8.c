/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_runtime.h"

typedef char
    mcufit_resize_nearest_neighbor_s8_step_bytes[sizeof(void *) != 4 ||
                                                         sizeof(mcufit_resize_nearest_neighbor_s8_step) ==
                                                             MCUFIT_RESIZE_NEAREST_NEIGHBOR_S8_STEP_BYTES
                                                     ? 1
                                                     : -1];

void mcufit_resize_nearest_neighbor_s8(const mcufit_resize_nearest_neighbor_s8_step *step, int8_t *arena,
                                       int16_t first_row, int16_t end_row) {
  int16_t y, x, c;
  for (y = first_row; y < end_row; ++y) {
    const int8_t *row =
        arena + step->input.offset + mcufit_row(&step->input, MCUFIT_FLASH_S16(step->rows + y));
    int8_t *output = arena + step->output.offset + mcufit_row(&step->output, y);
    for (x = 0; x < step->output_width; ++x) {
      const int8_t *input = row + (int32_t)MCUFIT_FLASH_S16(step->columns + x) * step->input.pixel_stride;
      for (c = 0; c < step->channels; ++c) output[c] = input[c];
      output += step->output.pixel_stride;
    }
  }
}
