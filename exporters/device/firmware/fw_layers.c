/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a model call by call on the first sample of inputs.bin: layers.bin gets each call's output, layers.txt
   the instructions of each and of the whole inference. */
#include "fw_counter.h"
#include "fw_memory.h"
#include "fw_report.h"
#include "fw_semihosting.h"
#include "mcufit_fw_model.h"

/* Where each call's output lies in the arena. */
typedef struct {
  uint32_t offset, bytes;
} place;

static const place places[MODEL_CALLS] = {MODEL_PLACES};

static uint32_t current; /* the call that run_one() runs */

static void run_one(void) { MODEL_RUN(MODEL_STEPS + current, MODEL_STEPS + current + 1, MODEL_ARENA); }

/* The same function with a list of no calls: what running a call by itself costs. */
static void run_none(void) { MODEL_RUN(MODEL_STEPS + current, MODEL_STEPS + current, MODEL_ARENA); }

static void load(const int8_t *sample) {
  int8_t *input = MODEL_INPUT();
  uint32_t i;
  for (i = 0; i < MODEL_INPUT_BYTES; ++i) input[i] = sample[i];
}

static void run_layers(uint32_t report) {
  const uint32_t outputs = semihosting_open("layers.bin", OPEN_WRITE);
  for (current = 0; current < MODEL_CALLS; ++current) {
    const place *p = &places[current];
    report_line(report, "none", counted_call(run_none, memory_stack_top()));
    report_line(report, "call", counted_call(run_one, memory_stack_top()));
    (void)semihosting_write(outputs, MODEL_ARENA + p->offset, p->bytes);
  }
  semihosting_close(outputs);
}

int main(void);
int main(void) {
  const uint32_t inputs = semihosting_open("inputs.bin", OPEN_READ);
  const uint32_t report = semihosting_open("layers.txt", OPEN_WRITE);
  int8_t *sample = memory_sample();
  if (semihosting_read(inputs, sample, MODEL_INPUT_BYTES) != MODEL_INPUT_BYTES) return EXIT_SHORT_FILE;
  report_line(report, "firmware", MODEL_FIRMWARE);
  report_line(report, "miscounted", report_miscounted());
  load(sample);
  report_line(report, "whole", counted_call(MODEL_INVOKE, memory_stack_top()));
  load(sample);
  run_layers(report);
  semihosting_close(report);
  return EXIT_OK;
}
