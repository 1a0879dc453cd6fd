/* SPDX-License-Identifier: Apache-2.0 */
/* Helium: four outputs share the loads of the input. */
#include "mcufit_mve.h"

void mcufit_fully_connected_s8(const mcufit_fully_connected_s8_step *step, int8_t *arena, int16_t first,
                               int16_t end) {
  const int32_t elements = step->input_elements;
  int32_t sums[MCUFIT_MVE_BLOCK];
  mcufit_mve_output out;
  mcufit_mve_run run;
  int32_t i = first;
  out.q = &step->requantization;
  out.shifts_right = mcufit_mve_shifts_right(out.q, step->output_elements);
  mcufit_mve_start(&run, arena + step->input_offset, step->filter + i * elements, elements, elements);
  while (i < end) {
    const int32_t n = end - i < MCUFIT_MVE_BLOCK ? end - i : MCUFIT_MVE_BLOCK;
    mcufit_mve_sums(&run, step->bias + i, sums, n);
    mcufit_mve_requantize(&out, i, sums, n, arena + step->output_offset + i);
    i += n;
  }
}
