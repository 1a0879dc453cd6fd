/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_runtime.h"
#include "mcufit_dot.h"
#include "mcufit_rounding.h"

typedef char
    mcufit_fully_connected_s8_step_bytes[sizeof(void *) != 4 || sizeof(mcufit_fully_connected_s8_step) ==
                                                                    MCUFIT_FULLY_CONNECTED_S8_STEP_BYTES
                                             ? 1
                                             : -1];

/* Two outputs at a time share the loads of the input; an odd last one is paired with itself. */
void mcufit_fully_connected_s8(const mcufit_fully_connected_s8_step *step, int8_t *arena, int16_t first,
                               int16_t end) {
  const mcufit_requantization *q = &step->requantization;
  const int32_t elements = step->input_elements;
  const int8_t *w = step->filter + first * elements;
  int8_t *output = arena + step->output_offset;
  int32_t i, k;
  for (i = first; i < end; i += 2) {
    const int32_t other = i + 1 < end ? 1 : 0;
    int32_t sums[2];
    sums[0] = MCUFIT_FLASH_S32(step->bias + i);
    sums[1] = MCUFIT_FLASH_S32(step->bias + i + other);
    mcufit_dot_pair(arena + step->input_offset, w, other * elements, elements, sums);
    for (k = 0; k <= other; ++k) {
      const int32_t multiplier = MCUFIT_FLASH_S32(q->multiplier + i + k);
      const int32_t scaled = mcufit_requantize(sums[k], multiplier, MCUFIT_FLASH_S8(q->shift + i + k));
      output[i + k] = mcufit_clamp(scaled + q->output_zero_point, q->output_min, q->output_max);
    }
    w += 2 * elements;
  }
}
