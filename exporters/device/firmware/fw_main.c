/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a model on every sample of inputs.bin, writes outputs.bin and report.txt. The model's arena and stack
   are painted before each run, so that what it touched can be seen. */
#include "fw_inference.h"
#include "fw_memory.h"
#include "fw_report.h"
#include "fw_semihosting.h"
#include "mcufit_fw_model.h" /* written by the runner: MODEL_... */

#define FIRST_PAINT 0xA5U
#define SECOND_PAINT 0x5AU

typedef struct {
  uint32_t samples, most, least, most_per_row, stack, miscounted, disagreements;
  memory_use arena;
} findings;

static void keep_largest(uint32_t *largest, uint32_t value) {
  if (value > *largest) *largest = value;
}

static void run_once(const int8_t *sample, uint8_t colour, findings *found) {
  inference_count count;
  memory_paint(colour);
  count = counted_inference(sample);
  keep_largest(&found->stack, memory_stack_used(colour));
  keep_largest(&found->most, count.instructions);
  keep_largest(&found->most_per_row, count.most_per_row);
  if (count.instructions < found->least) found->least = count.instructions;
}

static void run_first(const int8_t *sample, findings *found) {
  run_once(sample, FIRST_PAINT, found);
  memory_keep();
  run_once(sample, SECOND_PAINT, found);
  found->arena = memory_compare(FIRST_PAINT, SECOND_PAINT);
}

static void write_report(const findings *found) {
  const uint32_t file = semihosting_open("report.txt", OPEN_WRITE);
  report_line(file, "firmware", MODEL_FIRMWARE);
  report_line(file, "samples", found->samples);
  report_line(file, "instructions_most", found->most);
  report_line(file, "instructions_least", found->least);
  report_line(file, "instructions_most_per_row", found->most_per_row);
  report_line(file, "stack_bytes", found->stack);
  report_line(file, "arena_touched_bytes", found->arena.touched);
  report_line(file, "arena_unstable_bytes", found->arena.unstable);
  report_line(file, "miscounted", found->miscounted);
  report_line(file, "disagreements", found->disagreements);
  semihosting_close(file);
}

int main(void);
int main(void) {
  static findings found = {0, 0, UINT32_MAX, 0, 0, 0, 0, {0, 0}}; /* not cleared by a call of memset */
  const uint32_t inputs = semihosting_open("inputs.bin", OPEN_READ);
  const uint32_t outputs = semihosting_open("outputs.bin", OPEN_WRITE);
  int8_t *sample = memory_sample();
  found.miscounted = report_miscounted();
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
  found.disagreements = other_entry_differs(sample);
  semihosting_close(outputs);
  write_report(&found);
  return EXIT_OK;
}
