/* SPDX-License-Identifier: Apache-2.0 */
/* The model's arena and stack, painted before a run so that what it touched can be seen, and the firmware's
   own memory beside them. */
#ifndef FW_MEMORY_H
#define FW_MEMORY_H

#include <stdint.h>

/* Room for a sample. */
int8_t *memory_sample(void);

uint32_t *memory_stack_top(void);

/* Paints arena and stack. */
void memory_paint(uint8_t colour);

/* Bytes from the lowest one that lost its paint to the top. */
uint32_t memory_stack_used(uint8_t colour);

/* Keeps the arena as it is, for memory_compare(). */
void memory_keep(void);

typedef struct {
  uint32_t touched;  /* arena bytes that lost their paint */
  uint32_t unstable; /* of these, those that differ between the two runs */
} memory_use;

/* Compares the arena, painted with `second` before the last run, with the one that was kept. */
memory_use memory_compare(uint8_t first, uint8_t second);

#endif
