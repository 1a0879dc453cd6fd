/* SPDX-License-Identifier: Apache-2.0 */
/* One inference of the model: the sample copied into its input and invoked, or fed row by row, or piece by
   piece, where the model takes its input so. What the sender does is not counted. */
#ifndef FW_INFERENCE_H
#define FW_INFERENCE_H

#include <stdint.h>

/* Instructions of the whole, and the most from one row to the next; 0 where the input is whole. */
typedef struct {
  uint32_t instructions, most_per_row;
} inference_count;

inference_count counted_inference(const int8_t *sample);

/* Runs the sample of the last inference through the model's other entry, where it has one: the same sample
   whole, from memory. Returns whether the output is another one. */
uint32_t other_entry_differs(const int8_t *sample);

#endif
