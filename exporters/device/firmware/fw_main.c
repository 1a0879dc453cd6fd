/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a model on every sample of inputs.bin, writes outputs.bin and report.txt, a line "key=value" each. The
   model's arena and stack are painted before each run, so that what it touched can be seen. */
#include "fw_counter.h"
#include "fw_semihosting.h"
#include "mcufit_fw_model.h" /* written by the runner: MODEL_... */

/* Placed by the linker script. */
extern uint8_t model_arena_start[], model_arena_end[];
extern uint32_t model_stack_low[], model_stack_top[];
extern uint8_t firmware_free[];

#define FIRST_PAINT 0xA5U
#define SECOND_PAINT 0x5AU
#define CALIBRATION_ROUNDS 64U

typedef struct {
  uint32_t samples, most, least, stack, touched, unstable, miscounted;
} findings;

static void paint(uint8_t colour) {
  const uint32_t word = 0x01010101U * colour;
  uint8_t *arena;
  uint32_t *stack;
  for (arena = model_arena_start; arena != model_arena_end; ++arena) *arena = colour;
  for (stack = model_stack_low; stack != model_stack_top; ++stack) *stack = word;
}

/* Bytes from the lowest one that lost its paint to the top. */
static uint32_t stack_used(uint8_t colour) {
  const uint8_t *low = (const uint8_t *)model_stack_low;
  const uint8_t *const top = (const uint8_t *)model_stack_top;
  while (low != top && *low == colour) ++low;
  return (uint32_t)(top - low);
}

static void keep_largest(uint32_t *largest, uint32_t value) {
  if (value > *largest) *largest = value;
}

static void run_once(const int8_t *sample, uint8_t colour, findings *found) {
  int8_t *input = MODEL_INPUT();
  uint32_t instructions;
  uint32_t i;
  paint(colour);
  for (i = 0; i < MODEL_INPUT_BYTES; ++i) input[i] = sample[i];
  instructions = counted_call(MODEL_INVOKE, model_stack_top);
  keep_largest(&found->stack, stack_used(colour));
  keep_largest(&found->most, instructions);
  if (instructions < found->least) found->least = instructions;
}

/* A byte is untouched if it kept both paints; one that was touched but ends up different depends on bytes
   that the model never wrote. */
static void compare_arenas(const uint8_t *first, findings *found) {
  const uint32_t bytes = (uint32_t)(model_arena_end - model_arena_start);
  uint32_t i;
  for (i = 0; i < bytes; ++i) {
    const uint8_t second = model_arena_start[i];
    if (first[i] == FIRST_PAINT && second == SECOND_PAINT) continue;
    ++found->touched;
    found->unstable += first[i] != second;
  }
}

static void run_first(const int8_t *sample, findings *found) {
  const uint32_t bytes = (uint32_t)(model_arena_end - model_arena_start);
  uint8_t *copy = firmware_free + MODEL_INPUT_BYTES;
  uint32_t i;
  run_once(sample, FIRST_PAINT, found);
  for (i = 0; i < bytes; ++i) copy[i] = model_arena_start[i];
  run_once(sample, SECOND_PAINT, found);
  compare_arenas(copy, found);
}

static void calibrate(findings *found) {
  uint32_t stack[8];
  counter_start();
  for (counter_rounds = 1; counter_rounds <= CALIBRATION_ROUNDS; ++counter_rounds) {
    found->miscounted += counted_call(counter_loop, stack + 8) != COUNTER_LOOP_INSTRUCTIONS(counter_rounds);
  }
}

static void write_text(uint32_t file, const char *text) {
  uint32_t n = 0;
  while (text[n] != 0) ++n;
  (void)semihosting_write(file, text, n);
}

static void write_line(uint32_t file, const char *key, uint32_t value) {
  char digits[12];
  char *first = digits + sizeof digits;
  *--first = 0;
  *--first = '\n';
  do {
    *--first = (char)('0' + value % 10U);
    value /= 10U;
  } while (value != 0);
  write_text(file, key);
  write_text(file, "=");
  write_text(file, first);
}

static void write_report(const findings *found) {
  const uint32_t file = semihosting_open("report.txt", OPEN_WRITE);
  write_line(file, "firmware", 1);
  write_line(file, "samples", found->samples);
  write_line(file, "instructions_most", found->most);
  write_line(file, "instructions_least", found->least);
  write_line(file, "stack_bytes", found->stack);
  write_line(file, "arena_touched_bytes", found->touched);
  write_line(file, "arena_unstable_bytes", found->unstable);
  write_line(file, "calibration_failures", found->miscounted);
  semihosting_close(file);
}

int main(void);
int main(void) {
  findings found = {0, 0, UINT32_MAX, 0, 0, 0, 0};
  const uint32_t inputs = semihosting_open("inputs.bin", OPEN_READ);
  const uint32_t outputs = semihosting_open("outputs.bin", OPEN_WRITE);
  int8_t *sample = (int8_t *)firmware_free;
  calibrate(&found);
  for (; found.samples < MODEL_SAMPLES; ++found.samples) {
    if (semihosting_read(inputs, sample, MODEL_INPUT_BYTES) != MODEL_INPUT_BYTES) return EXIT_SHORT_FILE;
    if (found.samples == 0) {
      run_first(sample, &found);
    } else {
      run_once(sample, found.samples % 2U != 0 ? FIRST_PAINT : SECOND_PAINT, &found);
    }
    if (semihosting_write(outputs, MODEL_OUTPUT(), MODEL_OUTPUT_BYTES) != MODEL_OUTPUT_BYTES)
      return EXIT_SHORT_FILE;
  }
  write_report(&found);
  return EXIT_OK;
}
