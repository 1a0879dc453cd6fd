/* SPDX-License-Identifier: Apache-2.0 */
#include "fw_memory.h"

#include "mcufit_fw_model.h" /* written by the runner: MODEL_... */

/* Placed by the linker script. */
extern uint8_t model_arena_start[], model_arena_end[];
extern uint32_t model_stack_low[], model_stack_top[];
extern uint8_t firmware_free[];

int8_t *memory_sample(void) { return (int8_t *)firmware_free; }

uint32_t *memory_stack_top(void) { return model_stack_top; }

static uint8_t *kept(void) { return firmware_free + MODEL_INPUT_BYTES; }

void memory_paint(uint8_t colour) {
  const uint32_t word = 0x01010101U * colour;
  uint8_t *arena;
  uint32_t *stack;
  for (arena = model_arena_start; arena != model_arena_end; ++arena) *arena = colour;
  for (stack = model_stack_low; stack != model_stack_top; ++stack) *stack = word;
}

uint32_t memory_stack_used(uint8_t colour) {
  const uint8_t *low = (const uint8_t *)model_stack_low;
  const uint8_t *const top = (const uint8_t *)model_stack_top;
  while (low != top && *low == colour) ++low;
  return (uint32_t)(top - low);
}

void memory_keep(void) {
  const uint8_t *byte;
  uint8_t *copy = kept();
  for (byte = model_arena_start; byte != model_arena_end; ++byte) *copy++ = *byte;
}

/* A byte is untouched if it kept both paints; one that was touched but ends up different depends on bytes
   that the model never wrote. */
memory_use memory_compare(uint8_t first, uint8_t second) {
  memory_use use = {0, 0};
  const uint8_t *byte;
  const uint8_t *copy = kept();
  for (byte = model_arena_start; byte != model_arena_end; ++byte, ++copy) {
    if (*copy == first && *byte == second) continue;
    ++use.touched;
    use.unstable += *copy != *byte;
  }
  return use;
}
