/* SPDX-License-Identifier: Apache-2.0 */
#include "mcufit_runtime.h"
#include "mcufit_rounding.h"

/* One output pixel's patch of the input. */
typedef struct {
  const int8_t *ring; /* the ring's first row, at the patch's first column inside */
  int32_t row;        /* of the first row inside, bytes from the ring's start */
  int32_t row_step, ring_bytes, column_step;
  mcufit_taps rows, columns;
} patch;

/* Channels that are summed side by side, where each output channel has an input channel of its own. */
#define BLOCK 4

/* Adds a block of channels' taps inside the input to their sums; `ring` and `w` point to the first of the
 * channels. */
static MCUFIT_NOINLINE void sum_inside(const mcufit_window *window, const patch *p, const int8_t *ring,
                                       const int8_t *w, int32_t *sums) {
  const int32_t channels = window->output_channels;
  const int32_t column_step = p->column_step;
  int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
  int32_t row = p->row;
  int16_t k;
  w += (p->rows.first * (int32_t)window->kernel_width + p->columns.first) * channels;
  for (k = p->rows.first; k < p->rows.end; ++k) {
    const int8_t *x = ring + row;
    const int8_t *tap = w;
    int32_t i;
    for (i = p->columns.end - p->columns.first; i > 0; --i) {
      a += (int32_t)x[0] * MCUFIT_FLASH_S8(tap);
      b += (int32_t)x[1] * MCUFIT_FLASH_S8(tap + 1);
      c += (int32_t)x[2] * MCUFIT_FLASH_S8(tap + 2);
      d += (int32_t)x[3] * MCUFIT_FLASH_S8(tap + 3);
      x += column_step;
      tap += channels;
    }
    w += window->kernel_width * channels;
    row += p->row_step;
    if (row >= p->ring_bytes) row -= p->ring_bytes;
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
}

/* Adds a block of channels' taps outside the input, each of which reads `zero_point`. */
static MCUFIT_NOINLINE void sum_outside(const mcufit_window *window, const patch *p, const int8_t *w,
                                        int32_t zero_point, int32_t *sums) {
  int16_t k, i;
  for (k = 0; k < window->kernel_height; ++k) {
    const int row_inside = k >= p->rows.first && k < p->rows.end;
    for (i = 0; i < window->kernel_width; ++i) {
      if (!row_inside || i < p->columns.first || i >= p->columns.end) {
        sums[0] += zero_point * MCUFIT_FLASH_S8(w);
        sums[1] += zero_point * MCUFIT_FLASH_S8(w + 1);
        sums[2] += zero_point * MCUFIT_FLASH_S8(w + 2);
        sums[3] += zero_point * MCUFIT_FLASH_S8(w + 3);
      }
      w += window->output_channels;
    }
  }
}

/* The sum of one output channel that reads input channel `from`, for those that fill no block. */
static MCUFIT_NOINLINE int32_t sum_one(const mcufit_depthwise_conv2d_s8_step *step, const patch *p,
                                       int32_t channel, int32_t from) {
  const mcufit_window *window = &step->window;
  const int8_t *w = step->filter + channel;
  int32_t sum = MCUFIT_FLASH_S32(step->bias + channel);
  int32_t row = p->row;
  int16_t k, i;
  for (k = 0; k < window->kernel_height; ++k) {
    const int row_inside = k >= p->rows.first && k < p->rows.end;
    const int8_t *x = p->ring + from + row;
    for (i = 0; i < window->kernel_width; ++i) {
      const int inside = row_inside && i >= p->columns.first && i < p->columns.end;
      sum += (int32_t)(inside ? *x : step->input_zero_point) * MCUFIT_FLASH_S8(w);
      if (inside) x += p->column_step;
      w += window->output_channels;
    }
    if (row_inside) row += p->row_step;
    if (row >= p->ring_bytes) row -= p->ring_bytes;
  }
  return sum;
}

static MCUFIT_NOINLINE int8_t requantized(const mcufit_requantization *q, int32_t channel, int32_t sum) {
  const int32_t multiplier = MCUFIT_FLASH_S32(q->multiplier + channel);
  sum = mcufit_requantize(sum, multiplier, MCUFIT_FLASH_S8(q->shift + channel));
  return mcufit_clamp(sum + q->output_zero_point, q->output_min, q->output_max);
}

static void compute_pixel(const mcufit_depthwise_conv2d_s8_step *step, const patch *p, int8_t *output) {
  const mcufit_window *window = &step->window;
  const int clipped = p->rows.end - p->rows.first < window->kernel_height ||
                      p->columns.end - p->columns.first < window->kernel_width;
  const int32_t multiplier = window->output_channels / window->input_channels;
  const int32_t blocks_end = multiplier == 1 ? window->output_channels - BLOCK + 1 : 0;
  int32_t sums[BLOCK];
  int32_t c, i;
  for (c = 0; c < blocks_end; c += BLOCK) {
    for (i = 0; i < BLOCK; ++i) sums[i] = MCUFIT_FLASH_S32(step->bias + c + i);
    sum_inside(window, p, p->ring + c, step->filter + c, sums);
    if (clipped) sum_outside(window, p, step->filter + c, step->input_zero_point, sums);
    for (i = 0; i < BLOCK; ++i) output[c + i] = requantized(&step->requantization, c + i, sums[i]);
  }
  for (; c < window->output_channels; ++c) {
    output[c] = requantized(&step->requantization, c, sum_one(step, p, c, c / multiplier));
  }
}

static void compute_row(const mcufit_depthwise_conv2d_s8_step *step, patch *p, const int8_t *input,
                        int8_t *output) {
  const mcufit_window *window = &step->window;
  int32_t origin = -(int32_t)window->pad_left;
  int16_t column;
  for (column = 0; column < window->output_width; ++column) {
    p->columns = mcufit_inside(origin, window->dilation_width, window->kernel_width, window->input_width);
    p->ring =
        input + (origin + (int32_t)p->columns.first * window->dilation_width) * step->input.pixel_stride;
    compute_pixel(step, p, output);
    output += step->output.pixel_stride;
    origin += window->stride_width;
  }
}

void mcufit_depthwise_conv2d_s8(const mcufit_depthwise_conv2d_s8_step *step, int8_t *arena, int16_t first_row,
                                int16_t end_row) {
  const mcufit_window *window = &step->window;
  patch p;
  int16_t y;
  p.row_step = window->dilation_height * step->input.row_stride;
  p.ring_bytes = step->input.ring_rows * step->input.row_stride;
  p.column_step = (int32_t)window->dilation_width * step->input.pixel_stride;
  for (y = first_row; y < end_row; ++y) {
    const int32_t origin = (int32_t)y * window->stride_height - window->pad_top;
    p.rows = mcufit_inside(origin, window->dilation_height, window->kernel_height, window->input_height);
    p.row = mcufit_row(&step->input, origin + (int32_t)p.rows.first * window->dilation_height);
    compute_row(step, &p, arena + step->input.offset,
                arena + step->output.offset + mcufit_row(&step->output, y));
  }
}
