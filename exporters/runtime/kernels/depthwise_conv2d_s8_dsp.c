/* SPDX-License-Identifier: Apache-2.0 */
/* Four channels at a time, each of which has an input channel of its own: a row's filters are widened to
   int16 once and meet each pixel's bytes tap by tap, so that a window which the border clips costs no more.
 */
#include "mcufit_dsp.h"

/* Channels side by side, and the most taps that are widened. */
#define BLOCK 4
#define TAPS 49

/* A filter's tap for channels (0, 2) and (1, 3) of a block. */
typedef struct {
  mcufit_s16x2 even, odd;
} tap;

/* One row of output pixels. */
typedef struct {
  const mcufit_depthwise_conv2d_s8_step *step;
  const int8_t *input; /* the ring's first row */
  int32_t row;         /* of the first row inside, bytes from the ring's start */
  int32_t row_step, ring_bytes, column_step;
  mcufit_taps rows, columns; /* inside; the columns are one pixel's */
  int short_form;
} patch;

typedef struct {
  int32_t a, b, c, d;
} sums;

static inline sums add_tap(const int8_t *x, const tap *w, sums s) {
  const uint32_t word = mcufit_load_s8x4(x);
  const mcufit_s16x2 even = mcufit_even_s8(word), odd = mcufit_odd_s8(word);
  s.a = mcufit_add_low_product(even, w->even, s.a);
  s.b = mcufit_add_low_product(odd, w->odd, s.b);
  s.c = mcufit_add_high_product(even, w->even, s.c);
  s.d = mcufit_add_high_product(odd, w->odd, s.d);
  return s;
}

/* Adds a block's taps inside the input; `ring` points to its first channel, in the first column inside. */
static inline sums sum_inside(const patch *p, const tap *w, const int8_t *ring, sums s) {
  const int32_t width = p->step->window.kernel_width;
  const int32_t column_step = p->column_step;
  const int32_t columns = p->columns.end - p->columns.first;
  int32_t row = p->row;
  int32_t k;
  w += p->rows.first * width + p->columns.first;
  for (k = p->rows.end - p->rows.first; k > 0; --k) {
    const int8_t *x = ring + row;
    if (columns == 3) {
      s = add_tap(x, w, s);
      s = add_tap(x + column_step, w + 1, s);
      s = add_tap(x + 2 * column_step, w + 2, s);
    } else {
      int32_t i;
      for (i = 0; i < columns; ++i) {
        s = add_tap(x, w + i, s);
        x += column_step;
      }
    }
    w += width;
    row += p->row_step;
    if (row >= p->ring_bytes) row -= p->ring_bytes;
  }
  return s;
}

/* Adds the taps outside the input, each of which reads its zero point. */
static MCUFIT_NOINLINE void sum_outside(const patch *p, const tap *w, sums *s) {
  const mcufit_window *window = &p->step->window;
  const mcufit_s16x2 zero = mcufit_s16_pair(p->step->input_zero_point, p->step->input_zero_point);
  int32_t k, i;
  for (k = 0; k < window->kernel_height; ++k) {
    const int row_inside = k >= p->rows.first && k < p->rows.end;
    for (i = 0; i < window->kernel_width; ++i, ++w) {
      if (row_inside && i >= p->columns.first && i < p->columns.end) continue;
      s->a = mcufit_add_low_product(zero, w->even, s->a);
      s->b = mcufit_add_low_product(zero, w->odd, s->b);
      s->c = mcufit_add_high_product(zero, w->even, s->c);
      s->d = mcufit_add_high_product(zero, w->odd, s->d);
    }
  }
}

static MCUFIT_NOINLINE int8_t requantized(const mcufit_requantization *q, int32_t channel, int32_t sum) {
  const int32_t scaled = mcufit_requantize(sum, q->multiplier[channel], q->shift[channel]);
  return mcufit_clamp(scaled + q->output_zero_point, q->output_min, q->output_max);
}

static inline int8_t requantized_short(int32_t sum, const mcufit_dsp_scale *scale) {
  return (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale(sum, *scale));
}

/* Moves to the pixel whose first tap is in column `origin`; returns where its first tap inside is. */
static inline const int8_t *move(patch *p, int32_t origin) {
  const mcufit_window *window = &p->step->window;
  p->columns = mcufit_inside(origin, window->dilation_width, window->kernel_width, window->input_width);
  return p->input +
         (origin + (int32_t)p->columns.first * window->dilation_width) * p->step->input.pixel_stride;
}

/* A row of the channels from `channel` on. */
static MCUFIT_NOINLINE void compute_block(patch *p, int32_t channel, int8_t *output) {
  const mcufit_depthwise_conv2d_s8_step *step = p->step;
  const mcufit_window *window = &step->window;
  const mcufit_requantization *q = &step->requantization;
  const int32_t taps = (int32_t)window->kernel_height * window->kernel_width;
  const int32_t span = (window->kernel_width - 1) * (int32_t)window->dilation_width;
  const int rows_clipped = p->rows.end - p->rows.first < window->kernel_height;
  const int32_t *bias = step->bias + channel;
  tap filter[TAPS];
  mcufit_dsp_scale scales[BLOCK];
  int32_t origin = -(int32_t)window->pad_left;
  int32_t i;
  for (i = 0; i < taps; ++i) {
    const uint32_t word = mcufit_load_s8x4(step->filter + channel + i * window->output_channels);
    filter[i].even = mcufit_even_s8(word);
    filter[i].odd = mcufit_odd_s8(word);
  }
  for (i = 0; i < BLOCK && p->short_form; ++i) scales[i] = mcufit_dsp_scale_of(q, channel + i);
  output += channel;
  for (i = window->output_width; i > 0; --i) {
    const int columns_clipped = origin < 0 || origin + span >= window->input_width;
    const int8_t *ring = p->input + origin * step->input.pixel_stride;
    sums s;
    s.a = bias[0], s.b = bias[1], s.c = bias[2], s.d = bias[3];
    p->columns.first = 0;
    p->columns.end = window->kernel_width;
    if (columns_clipped) ring = move(p, origin);
    if (columns_clipped || rows_clipped) {
      sums outside = s;
      sum_outside(p, filter, &outside);
      s = outside;
    }
    s = sum_inside(p, filter, ring + channel, s);
    if (p->short_form) {
      output[0] = requantized_short(s.a, scales);
      output[1] = requantized_short(s.b, scales + 1);
      output[2] = requantized_short(s.c, scales + 2);
      output[3] = requantized_short(s.d, scales + 3);
    } else {
      output[0] = requantized(q, channel, s.a);
      output[1] = requantized(q, channel + 1, s.b);
      output[2] = requantized(q, channel + 2, s.c);
      output[3] = requantized(q, channel + 3, s.d);
    }
    origin += window->stride_width;
    output += step->output.pixel_stride;
  }
}

/* The sum of one output channel that reads input channel `from`, for those that fill no block. */
static int32_t sum_one(const patch *p, const int8_t *ring, int32_t channel) {
  const mcufit_window *window = &p->step->window;
  const int8_t *w = p->step->filter + channel;
  int32_t sum = p->step->bias[channel];
  int32_t row = p->row;
  int16_t k, i;
  for (k = 0; k < window->kernel_height; ++k) {
    const int row_inside = k >= p->rows.first && k < p->rows.end;
    const int8_t *x = ring + (row_inside ? row : 0);
    for (i = 0; i < window->kernel_width; ++i) {
      const int inside = row_inside && i >= p->columns.first && i < p->columns.end;
      sum += (inside ? *x : p->step->input_zero_point) * *w;
      if (inside) x += p->column_step;
      w += window->output_channels;
    }
    if (row_inside) row += p->row_step;
    if (row >= p->ring_bytes) row -= p->ring_bytes;
  }
  return sum;
}

/* A row, channel by channel. */
static MCUFIT_NOINLINE void compute_slowly(patch *p, int8_t *output) {
  const mcufit_window *window = &p->step->window;
  const int32_t multiplier = window->output_channels / window->input_channels;
  int32_t origin = -(int32_t)window->pad_left;
  int32_t i, c;
  for (i = window->output_width; i > 0; --i) {
    const int8_t *ring = move(p, origin);
    for (c = 0; c < window->output_channels; ++c)
      output[c] = requantized(&p->step->requantization, c, sum_one(p, ring + c / multiplier, c));
    origin += window->stride_width;
    output += p->step->output.pixel_stride;
  }
}

/* The last block overlaps the one before where channels do not come by fours. */
static void compute_row(patch *p, int8_t *output) {
  const mcufit_window *window = &p->step->window;
  const int32_t channels = window->output_channels;
  const int blocks = channels == window->input_channels && channels >= BLOCK &&
                     (int32_t)window->kernel_height * window->kernel_width <= TAPS;
  int32_t c;
  if (!blocks) {
    compute_slowly(p, output);
    return;
  }
  for (c = 0; c + BLOCK <= channels; c += BLOCK) compute_block(p, c, output);
  if (c < channels) compute_block(p, channels - BLOCK, output);
}

void mcufit_depthwise_conv2d_s8(const mcufit_depthwise_conv2d_s8_step *step, int8_t *arena, int16_t first_row,
                                int16_t end_row) {
  const mcufit_window *window = &step->window;
  patch p;
  int16_t y;
  p.step = step;
  p.input = arena + step->input.offset;
  p.row_step = window->dilation_height * step->input.row_stride;
  p.ring_bytes = step->input.ring_rows * step->input.row_stride;
  p.column_step = (int32_t)window->dilation_width * step->input.pixel_stride;
  p.short_form = mcufit_dsp_short_form(&step->requantization, step->bias, 0, window->output_channels);
  for (y = first_row; y < end_row; ++y) {
    const int32_t origin = (int32_t)y * window->stride_height - window->pad_top;
    p.rows = mcufit_inside(origin, window->dilation_height, window->kernel_height, window->input_height);
    p.row = mcufit_row(&step->input, origin + (int32_t)p.rows.first * window->dilation_height);
    compute_row(&p, arena + step->output.offset + mcufit_row(&step->output, y));
  }
}
