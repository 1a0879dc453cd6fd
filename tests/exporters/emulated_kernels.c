/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the kernel calls of cases.bin on an emulated core and writes what they leave of each arena to
   results.bin: each call twice, the second time from other bytes in its scratch. A case is a row of words, as
   emulated_kernels_test.cpp writes them, and its tables. */
#include "fw_semihosting.h"
#include "mcufit_runtime.h"

#define MOST_BYTES 400000U

#define ALIGNED __attribute__((aligned(4)))
static int8_t arena_memory[MOST_BYTES] ALIGNED, other_memory[MOST_BYTES] ALIGNED;
static int8_t filter_memory[MOST_BYTES] ALIGNED;
static int8_t shift[2048];
static int32_t bias[2048], multiplier[2048];
static uint32_t cases, results; /* files */

static int32_t next(void) {
  int32_t word = 0;
  if (semihosting_read(cases, &word, 4) != 4) semihosting_exit(EXIT_SHORT_FILE);
  return word;
}

static int16_t next16(void) { return (int16_t)next(); }

static void next_bytes(void* to, uint32_t count) {
  if (count != 0 && semihosting_read(cases, to, count) != count) semihosting_exit(EXIT_SHORT_FILE);
}

static void next_view(mcufit_view* view) {
  view->offset = next();
  view->row_stride = next();
  view->pixel_stride = next16();
  view->ring_rows = next16();
}

static void next_window(mcufit_window* w) {
  w->input_height = next16();
  w->input_width = next16();
  w->input_channels = next16();
  w->output_width = next16();
  w->output_channels = next16();
  w->kernel_height = next16();
  w->kernel_width = next16();
  w->stride_height = next16();
  w->stride_width = next16();
  w->dilation_height = next16();
  w->dilation_width = next16();
  w->pad_top = next16();
  w->pad_left = next16();
}

/* The filter stands where its address has the remainder that the case asks for. */
static const int8_t* next_tables(mcufit_requantization* q) {
  int8_t* filter = filter_memory + next();
  const uint32_t filter_bytes = (uint32_t)next();
  const uint32_t channels = (uint32_t)next();
  next_bytes(filter, filter_bytes);
  next_bytes(bias, 4 * channels);
  next_bytes(multiplier, 4 * channels);
  next_bytes(shift, channels);
  q->multiplier = multiplier;
  q->shift = shift;
  q->output_zero_point = (int8_t)next();
  q->output_min = (int8_t)next();
  q->output_max = (int8_t)next();
  q->short_form = (int8_t)next();
  return filter;
}

static void next_convolution(mcufit_conv2d_s8_step* s) {
  next_view(&s->input);
  next_view(&s->output);
  next_window(&s->window);
  s->input_zero_point = (int8_t)next();
  s->interleaved = 0;
  s->filter = next_tables(&s->requantization);
  s->bias = bias;
}

/* The filter comes once more, as cores read it that want it interleaved; what the step says of that. */
static int16_t next_interleaved(const int8_t** filter) {
  const int16_t order = next16();
  const uint32_t bytes = (uint32_t)next();
  const int16_t read = (int16_t)MCUFIT_INTERLEAVED(order);
  if (order == 0) return 0;
  next_bytes(read > 0 ? filter_memory : arena_memory, bytes);
  if (read > 0) *filter = filter_memory;
  return read;
}

static void next_layer(mcufit_fully_connected_s8_step* s) {
  s->input_offset = next();
  s->output_offset = next();
  s->input_elements = next16();
  s->output_elements = next16();
  s->filter = next_tables(&s->requantization);
  s->bias = bias;
  s->interleaved_outputs = next_interleaved(&s->filter);
}

static void next_add(mcufit_add_s8_step* s) {
  next_view(&s->input1);
  next_view(&s->input2);
  next_view(&s->output);
  s->width = next16();
  s->channels = next16();
  s->multiplier1 = next();
  s->multiplier2 = next();
  s->output_multiplier = next();
  s->shift1 = (int8_t)next();
  s->shift2 = (int8_t)next();
  s->output_shift = (int8_t)next();
  s->zero_point1 = next16();
  s->zero_point2 = next16();
  s->output_zero_point = next16();
  s->output_min = (int8_t)next();
  s->output_max = (int8_t)next();
}

static void next_pool(mcufit_pool2d_s8_step* s) {
  next_view(&s->input);
  next_view(&s->output);
  next_window(&s->window);
  s->output_min = (int8_t)next();
  s->output_max = (int8_t)next();
}

static union {
  mcufit_conv2d_s8_step convolution;
  mcufit_fully_connected_s8_step layer;
  mcufit_add_s8_step add;
  mcufit_pool2d_s8_step pool;
} step;

static void next_step(int32_t kind) {
  if (kind <= 1) next_convolution(&step.convolution);
  if (kind == 2) next_layer(&step.layer);
  if (kind == 3) next_add(&step.add);
  if (kind == 4) next_pool(&step.pool);
}

static void call(int32_t kind, int8_t* arena, int16_t first, int16_t end) {
  if (kind == 0) mcufit_conv2d_s8(&step.convolution, arena, first, end);
  if (kind == 1) mcufit_depthwise_conv2d_s8(&step.convolution, arena, first, end);
  if (kind == 2) mcufit_fully_connected_s8(&step.layer, arena, first, end);
  if (kind == 3) mcufit_add_s8(&step.add, arena, first, end);
  if (kind == 4) mcufit_average_pool2d_s8(&step.pool, arena, first, end);
}

static void run_case(int32_t kind) {
  int8_t *arena, *other;
  uint32_t bytes, scratch, scratch_bytes, i;
  int16_t first, end;
  next_step(kind);
  if (kind <= 1) step.convolution.interleaved = (int8_t)next_interleaved(&step.convolution.filter);
  first = next16();
  end = next16();
  scratch = (uint32_t)next();
  scratch_bytes = (uint32_t)next();
  if (kind <= 1) step.convolution.scratch = (int32_t)scratch;
  i = (uint32_t)next();
  arena = arena_memory + i;
  other = other_memory + i;
  bytes = (uint32_t)next();
  next_bytes(arena, bytes);
  for (i = 0; i < bytes; ++i) other[i] = arena[i];
  for (i = scratch; i < scratch + scratch_bytes; ++i) other[i] = (int8_t)~arena[i];
  call(kind, arena, first, end);
  call(kind, other, first, end);
  semihosting_write(results, arena, bytes);
  semihosting_write(results, other, bytes);
}

int main(void);
int main(void) {
  int32_t count;
  cases = semihosting_open("cases.bin", OPEN_READ);
  results = semihosting_open("results.bin", OPEN_WRITE);
  for (count = next(); count > 0; --count) run_case(next());
  semihosting_close(results);
  return EXIT_OK;
}
