/* SPDX-License-Identifier: Apache-2.0 */
/* This machine in the place of a board: files through stdio, nothing counted, nothing painted. */
#include <stdio.h>
#include <stdlib.h>

#include "fw_counter.h"
#include "fw_memory.h"
#include "fw_semihosting.h"
#include "mcufit_fw_model.h"

#define MOST_FILES 8

static FILE *files[MOST_FILES];

uint32_t semihosting_open(const char *name, open_mode mode) {
  uint32_t file = 0;
  while (file < MOST_FILES && files[file] != NULL) ++file;
  if (file == MOST_FILES) semihosting_exit(EXIT_NO_FILE);
  files[file] = fopen(name, mode == OPEN_READ ? "rb" : "wb");
  if (files[file] == NULL) semihosting_exit(EXIT_NO_FILE);
  return file;
}

void semihosting_close(uint32_t file) {
  fclose(files[file]);
  files[file] = NULL;
}

uint32_t semihosting_read(uint32_t file, void *bytes, uint32_t count) {
  return (uint32_t)fread(bytes, 1, count, files[file]);
}

uint32_t semihosting_write(uint32_t file, const void *bytes, uint32_t count) {
  return (uint32_t)fwrite(bytes, 1, count, files[file]);
}

void semihosting_exit(int code) { exit(code); }

uint32_t counter_rounds;
void counter_start(void) {}
void counter_loop(void) {}
uint32_t counter_loop_instructions(uint32_t rounds) { return rounds - rounds; }

uint32_t counted_call(void (*function)(void), uint32_t *stack_top) {
  (void)stack_top;
  function();
  return 0;
}

static int8_t sample[MODEL_INPUT_BYTES];
int8_t *memory_sample(void) { return sample; }
uint32_t *memory_stack_top(void) { return NULL; }
void memory_paint(uint8_t colour) { (void)colour; }
uint32_t memory_stack_used(uint8_t colour) {
  (void)colour;
  return 0;
}
void memory_keep(void) {}
memory_use memory_compare(uint8_t first, uint8_t second) {
  const memory_use none = {0, 0};
  (void)first;
  (void)second;
  return none;
}
