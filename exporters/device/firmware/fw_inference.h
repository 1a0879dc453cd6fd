/* SPDX-License-Identifier: Apache-2.0 */
/* One inference of the model: the sample copied into its input and invoked, or fed row by row where the model
   takes its input so. What the sender does is not counted. */
#ifndef FW_INFERENCE_H
#define FW_INFERENCE_H

#include <stdint.h>

/* Returns the instructions. */
uint32_t counted_inference(const int8_t *sample);

/* Runs the sample of the last inference through the model's other entry, where it has one: the same sample
   whole, from memory. Returns whether the output is another one. */
uint32_t other_entry_differs(const int8_t *sample);

#endif
