/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a model step by step on the first sample of inputs.bin. layers.txt gets the instructions of each step,
   a group that runs row by row, or one tile of it, is one, and of the whole inference; layers.bin what every
   call made: of a step's one call its output; of a group in order each row behind its call's place in the
   group, in two bytes, and an end. */
#include "fw_counter.h"
#include "fw_inference.h"
#include "fw_memory.h"
#include "fw_report.h"
#include "fw_semihosting.h"
#include "mcufit_fw_model.h" /* written by the runner: MODEL_... */

/* Where each call's output lies in the arena: the row_bytes of row r that it makes, from byte first_byte of
   the tensor's row on, at offset + r % ring_rows * row_stride. Running sums have theirs after the last row of
   their input. */
typedef struct {
  uint32_t offset, row_stride, row_bytes, first_byte;
  int16_t rows, ring_rows;
  uint8_t sums;
} place;

static const place places[MODEL_CALLS] = {MODEL_PLACES};

/* Two calls that no kernel takes: what a run costs is one of them twice less both. */
#define NO_KERNEL 255
static const MODEL_CALL idle[2] = {{0, 0, NO_KERNEL, 0}, {0, 0, NO_KERNEL, 0}};

static uint32_t outputs;

static const place *place_of(const MODEL_CALL *call) { return &places[call - MODEL_STEPS]; }

#if MODEL_GROUPED
static int8_t *row_of(const place *p, int16_t row) {
  return MODEL_ARENA + p->offset + (uint32_t)(row % p->ring_rows) * p->row_stride;
}
#endif

/* What run_list() runs. */
static const MODEL_CALL *first, *end;

static void run_list(void) { MODEL_RUN(first, end, MODEL_ARENA); }

static uint32_t counted_run(const MODEL_CALL *from, uint32_t calls) {
  first = from;
  end = from + calls;
  return counted_call(run_list, memory_stack_top());
}

#if MODEL_STREAMED
static const int8_t *sample;
static int16_t at;

static const MODEL_CALL *fed; /* the group that is */

static void put_row(const MODEL_CALL *call, int16_t row) {
  const place *p = place_of(call);
  const int8_t *from = sample + (uint32_t)row * MODEL_ROW_BYTES + p->first_byte;
  int8_t *to = row_of(p, row);
  uint32_t i;
  for (i = 0; i < p->row_bytes; ++i) to[i] = from[i];
}

static void run_up_to_row(void) {
  do {
    at = MODEL_ADVANCE(fed, MODEL_ARENA);
  } while (at > 0);
}

static void load(const int8_t *from) { sample = from; }

static uint32_t counted_feed(const MODEL_CALL *group) {
  uint32_t instructions = 0;
  fed = group;
  MODEL_BEGIN(fed);
  for (;;) {
    instructions += counted_call(run_up_to_row, memory_stack_top());
    if (at < 0) return instructions;
    put_row(fed, (int16_t)(MODEL_PROGRESS[0].done - 1));
  }
}
#else
static void load(const int8_t *from) {
  int8_t *input = MODEL_INPUT();
  uint32_t i;
  for (i = 0; i < MODEL_INPUT_BYTES; ++i) input[i] = from[i];
}
#endif

static uint32_t calls_of(const MODEL_CALL *step) { return step->group == 0 ? 1U : step->group; }

static void count_step(const MODEL_CALL *step, uint32_t report) {
#if MODEL_STREAMED
  if (step->kernel == MODEL_INPUT_ROW) {
    report_line(report, "fed", counted_feed(step));
    return;
  }
#endif
  report_line(report, "call", counted_run(step, calls_of(step)));
}

static void record_call(const MODEL_CALL *call) {
  const place *p = place_of(call);
  (void)semihosting_write(outputs, MODEL_ARENA + p->offset, (uint32_t)p->rows * p->row_bytes);
}

#if MODEL_GROUPED
static void record_row(const MODEL_CALL *group, int16_t number) {
  const MODEL_CALL *call = group + number;
  const place *p = place_of(call);
  const int16_t row = (int16_t)(MODEL_PROGRESS[number].done - 1);
  const uint8_t bytes[2] = {(uint8_t)number, (uint8_t)((uint16_t)number >> 8)};
#if MODEL_STREAMED
  if (call->kernel == MODEL_INPUT_ROW) put_row(call, row);
#endif
  if (p->sums != 0 && row + 1 != call->end) return;
  (void)semihosting_write(outputs, bytes, 2);
  (void)semihosting_write(outputs, row_of(p, p->sums != 0 ? 0 : row), p->row_bytes);
}

static void record_group(const MODEL_CALL *group) {
  const uint8_t done[2] = {0xFF, 0xFF};
  int16_t number;
  MODEL_BEGIN(group);
  while ((number = MODEL_ADVANCE(group, MODEL_ARENA)) >= 0) record_row(group, number);
  (void)semihosting_write(outputs, done, 2);
}

/* Again from the start, since counting has overwritten what it read. */
static void record_all(const int8_t *from) {
  const MODEL_CALL *step;
  load(from);
  for (step = MODEL_STEPS; step->kernel != 0; step += calls_of(step)) {
    if (step->group != 0) {
      record_group(step);
    } else {
      MODEL_RUN(step, step + 1, MODEL_ARENA);
      record_call(step);
    }
  }
}
#endif

static void run_layers(const int8_t *from, uint32_t report) {
  const MODEL_CALL *step;
  outputs = semihosting_open("layers.bin", OPEN_WRITE);
  report_line(report, "idle_one", counted_run(idle, 1));
  report_line(report, "idle_two", counted_run(idle, 2));
  load(from);
  for (step = MODEL_STEPS; step->kernel != 0; step += calls_of(step)) {
    count_step(step, report);
    if (!MODEL_GROUPED) record_call(step);
  }
#if MODEL_GROUPED
  record_all(from);
#endif
  semihosting_close(outputs);
}

int main(void);
int main(void) {
  const uint32_t inputs = semihosting_open("inputs.bin", OPEN_READ);
  const uint32_t report = semihosting_open("layers.txt", OPEN_WRITE);
  int8_t *input = memory_sample();
  if (semihosting_read(inputs, input, MODEL_INPUT_BYTES) != MODEL_INPUT_BYTES) return EXIT_SHORT_FILE;
  report_line(report, "firmware", MODEL_FIRMWARE);
  report_line(report, "miscounted", report_miscounted());
  report_line(report, "whole", counted_inference(input).instructions);
  run_layers(input, report);
  semihosting_close(report);
  return EXIT_OK;
}
