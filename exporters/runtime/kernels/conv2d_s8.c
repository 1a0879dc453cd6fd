/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_runtime.h"
#include "mcufit_dot.h"
#include "mcufit_rounding.h"

typedef char mcufit_conv2d_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_conv2d_s8_step) == MCUFIT_CONV2D_S8_STEP_BYTES ? 1 : -1];

/* One output pixel's patch of the input, as runs of bytes that filter and input both hold contiguously. */
typedef struct {
  const int8_t *ring; /* the ring's first row, at the patch's first column inside */
  int32_t row;        /* of the first row inside, bytes from the ring's start */
  int32_t row_step, ring_bytes, run_step;
  int32_t run, runs; /* bytes of a run; runs of a kernel row */
  mcufit_taps rows, columns;
} patch;

static int32_t sum_of(const int8_t *w, int32_t n) {
  int32_t sum = 0;
  while (n-- > 0) sum += MCUFIT_FLASH_S8(w++);
  return sum;
}

/* Adds the taps inside the input to the sums of two output channels, whose filters are at `w` and `next`
 * bytes on. */
static MCUFIT_NOINLINE void sum_inside(const mcufit_window *window, const patch *p, const int8_t *w,
                                       int32_t next, int32_t *sums) {
  const int32_t row_bytes = (int32_t)window->kernel_width * window->input_channels;
  int32_t row = p->row;
  int16_t k;
  w += p->rows.first * row_bytes + (int32_t)p->columns.first * window->input_channels;
  for (k = p->rows.first; k < p->rows.end; ++k) {
    const int8_t *x = p->ring + row;
    int32_t i;
    for (i = 0; i < p->runs; ++i) mcufit_dot_pair(x + i * p->run_step, w + i * p->run, next, p->run, sums);
    w += row_bytes;
    row += p->row_step;
    if (row >= p->ring_bytes) row -= p->ring_bytes;
  }
}

/* Sum of the filter's taps outside the input. */
static MCUFIT_NOINLINE int32_t sum_outside(const mcufit_window *window, const patch *p, const int8_t *w) {
  const int32_t row_bytes = (int32_t)window->kernel_width * window->input_channels;
  const int32_t left = (int32_t)p->columns.first * window->input_channels;
  const int32_t right = (int32_t)p->columns.end * window->input_channels;
  int32_t sum = sum_of(w, p->rows.first * row_bytes);
  int16_t k;
  for (k = p->rows.first; k < p->rows.end; ++k) {
    sum += sum_of(w + k * row_bytes, left) + sum_of(w + k * row_bytes + right, row_bytes - right);
  }
  return sum + sum_of(w + p->rows.end * row_bytes, (window->kernel_height - p->rows.end) * row_bytes);
}

static MCUFIT_NOINLINE int8_t requantized(const mcufit_requantization *q, int32_t channel, int32_t sum) {
  const int32_t multiplier = MCUFIT_FLASH_S32(q->multiplier + channel);
  sum = mcufit_requantize(sum, multiplier, MCUFIT_FLASH_S8(q->shift + channel));
  return mcufit_clamp(sum + q->output_zero_point, q->output_min, q->output_max);
}

/* Two output channels at a time share the loads of the input; an odd last one is paired with itself. */
static void compute_pixel(const mcufit_conv2d_s8_step *step, const patch *p, int8_t *output) {
  const mcufit_window *window = &step->window;
  const int32_t filter_bytes = (int32_t)window->kernel_height * window->kernel_width * window->input_channels;
  const int clipped = p->rows.end - p->rows.first < window->kernel_height ||
                      p->columns.end - p->columns.first < window->kernel_width;
  const int8_t *w = step->filter;
  int32_t c;
  for (c = 0; c < window->output_channels; c += 2) {
    const int32_t other = c + 1 < window->output_channels ? 1 : 0;
    int32_t sums[2];
    int32_t i;
    sums[0] = MCUFIT_FLASH_S32(step->bias + c);
    sums[1] = MCUFIT_FLASH_S32(step->bias + c + other);
    sum_inside(window, p, w, other * filter_bytes, sums);
    for (i = 0; i <= other; ++i) {
      if (clipped) sums[i] += step->input_zero_point * sum_outside(window, p, w);
      output[c + i] = requantized(&step->requantization, c + i, sums[i]);
      w += filter_bytes;
    }
  }
}

static void compute_row(const mcufit_conv2d_s8_step *step, patch *p, const int8_t *input, int8_t *output) {
  const mcufit_window *window = &step->window;
  const int contiguous = window->dilation_width == 1 && step->input.pixel_stride == window->input_channels;
  int32_t origin = -(int32_t)window->pad_left;
  int16_t column;
  for (column = 0; column < window->output_width; ++column) {
    int16_t taps;
    p->columns = mcufit_inside(origin, window->dilation_width, window->kernel_width, window->input_width);
    taps = (int16_t)(p->columns.end - p->columns.first);
    p->ring =
        input + (origin + (int32_t)p->columns.first * window->dilation_width) * step->input.pixel_stride;
    p->runs = contiguous ? 1 : taps;
    p->run = contiguous ? (int32_t)taps * window->input_channels : window->input_channels;
    compute_pixel(step, p, output);
    output += step->output.pixel_stride;
    origin += window->stride_width;
  }
}

void mcufit_conv2d_s8(const mcufit_conv2d_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  const mcufit_window *window = &step->window;
  patch p;
  int16_t y;
  p.row_step = window->dilation_height * step->input.row_stride;
  p.ring_bytes = step->input.ring_rows * step->input.row_stride;
  p.run_step = (int32_t)window->dilation_width * step->input.pixel_stride;
  for (y = first_row; y < end_row; ++y) {
    const int32_t origin = (int32_t)y * window->stride_height - window->pad_top;
    p.rows = mcufit_inside(origin, window->dilation_height, window->kernel_height, window->input_height);
    p.row = mcufit_row(&step->input, origin + (int32_t)p.rows.first * window->dilation_height);
    compute_row(step, &p, arena + step->input.offset,
                arena + step->output.offset + mcufit_row(&step->output, y));
  }
}
