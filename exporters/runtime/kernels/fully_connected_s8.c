/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_runtime.h"
#include "mcufit_rounding.h"

typedef char
    mcufit_fully_connected_s8_step_bytes[sizeof(void *) != 4 || sizeof(mcufit_fully_connected_s8_step) ==
                                                                    MCUFIT_FULLY_CONNECTED_S8_STEP_BYTES
                                             ? 1
                                             : -1];

static int32_t dot(const int8_t *x, const int8_t *w, int16_t n, int32_t sum) {
  const int8_t *const end = x + n;
  const int8_t *const unrolled_end = end - (n & 3);
  while (x != unrolled_end) {
    sum += (int32_t)x[0] * MCUFIT_FLASH_S8(w);
    sum += (int32_t)x[1] * MCUFIT_FLASH_S8(w + 1);
    sum += (int32_t)x[2] * MCUFIT_FLASH_S8(w + 2);
    sum += (int32_t)x[3] * MCUFIT_FLASH_S8(w + 3);
    x += 4;
    w += 4;
  }
  while (x != end) sum += (int32_t)*x++ * MCUFIT_FLASH_S8(w++);
  return sum;
}

void mcufit_fully_connected_s8(const mcufit_fully_connected_s8_step *step, int8_t *arena, int16_t first,
                               int16_t end) {
  const mcufit_requantization *q = &step->requantization;
  const int8_t *input = arena + step->input_offset;
  const int8_t *w = step->filter + (int32_t)first * step->input_elements;
  int8_t *output = arena + step->output_offset;
  int16_t i;
  for (i = first; i < end; ++i) {
    int32_t sum = dot(input, w, step->input_elements, MCUFIT_FLASH_S32(step->bias + i));
    sum = mcufit_requantize(sum, MCUFIT_FLASH_S32(q->multiplier + i), MCUFIT_FLASH_S8(q->shift + i));
    output[i] = mcufit_clamp(sum + q->output_zero_point, q->output_min, q->output_max);
    w += step->input_elements;
  }
}
