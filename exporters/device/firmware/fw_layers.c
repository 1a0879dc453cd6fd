/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a model step by step, a group that runs row by row is one, on the first sample of inputs.bin:
   layers.bin gets each step's last output, layers.txt the instructions of each and of the whole inference. */
#include "fw_counter.h"
#include "fw_memory.h"
#include "fw_report.h"
#include "fw_semihosting.h"
#include "mcufit_fw_model.h"

/* Where each step's last output lies in the arena, and how many calls it has. */
typedef struct {
  uint32_t offset, bytes, calls;
} place;

static const place places[MODEL_GROUPS] = {MODEL_PLACES};

/* Two calls that no kernel takes: what a run costs is one of them twice less both. */
#define NO_KERNEL 255
static const MODEL_CALL idle[2] = {{0, 0, NO_KERNEL, 0}, {0, 0, NO_KERNEL, 0}};

/* What run_list() runs. */
static const MODEL_CALL *first, *end;

static void run_list(void) { MODEL_RUN(first, end, MODEL_ARENA); }

static uint32_t counted_run(const MODEL_CALL *from, uint32_t calls) {
  first = from;
  end = from + calls;
  return counted_call(run_list, memory_stack_top());
}

static void load(const int8_t *sample) {
  int8_t *input = MODEL_INPUT();
  uint32_t i;
  for (i = 0; i < MODEL_INPUT_BYTES; ++i) input[i] = sample[i];
}

static void run_layers(uint32_t report) {
  const uint32_t outputs = semihosting_open("layers.bin", OPEN_WRITE);
  const MODEL_CALL *call = MODEL_STEPS;
  uint32_t group;
  report_line(report, "idle_one", counted_run(idle, 1));
  report_line(report, "idle_two", counted_run(idle, 2));
  for (group = 0; group < MODEL_GROUPS; ++group) {
    const place *p = &places[group];
    report_line(report, "call", counted_run(call, p->calls));
    call += p->calls;
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
