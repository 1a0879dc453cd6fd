/* SPDX-License-Identifier: Apache-2.0 */
#define MCUFIT_SMALL
#include "mcufit_exponential.h"
#include "mcufit_runtime.h"

typedef char mcufit_softmax_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_softmax_s8_step) == MCUFIT_SOFTMAX_S8_STEP_BYTES ? 1 : -1];

/* Q0.31, of an input that is not below the step's least difference. */
static MCUFIT_NOINLINE int32_t exponential(const mcufit_softmax_s8_step *step, int32_t difference) {
  return mcufit_exp_on_negative(mcufit_requantize(difference, step->multiplier, step->shift),
                                MCUFIT_SOFTMAX_INPUT_BITS);
}

static int8_t largest_of(const int8_t *x, int16_t n) {
  int8_t largest = x[0];
  int16_t i;
  for (i = 1; i < n; ++i) {
    if (x[i] > largest) largest = x[i];
  }
  return largest;
}

/* Exponentials are computed twice, which takes no scratch memory. */
static void softmax(const mcufit_softmax_s8_step *step, const int8_t *x, int8_t *output) {
  const int32_t largest = largest_of(x, step->channels);
  mcufit_reciprocal scale;
  int32_t sum = 0;
  int16_t i;
  for (i = 0; i < step->channels; ++i) {
    const int32_t difference = x[i] - largest;
    if (difference >= step->least_difference)
      sum += mcufit_rounding_shift_right(exponential(step, difference), MCUFIT_SOFTMAX_SUM_BITS);
  }
  scale = mcufit_reciprocal_of(sum, MCUFIT_SOFTMAX_SUM_BITS);
  for (i = 0; i < step->channels; ++i) {
    const int32_t difference = x[i] - largest;
    output[i] = difference >= step->least_difference
                    ? mcufit_softmax_output(exponential(step, difference), scale)
                    : INT8_MIN;
  }
}

void mcufit_softmax_s8(const mcufit_softmax_s8_step *step, int8_t *arena, int16_t first_row,
                       int16_t end_row) {
  int16_t y, x;
  for (y = first_row; y < end_row; ++y) {
    const int8_t *input = arena + step->input.offset + mcufit_row(&step->input, y);
    int8_t *output = arena + step->output.offset + mcufit_row(&step->output, y);
    for (x = 0; x < step->width; ++x) {
      softmax(step, input, output);
      input += step->input.pixel_stride;
      output += step->output.pixel_stride;
    }
  }
}
