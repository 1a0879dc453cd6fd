/* SPDX-License-Identifier: Apache-2.0 */
/* Four channels at a time, each of which has an input channel of its own. Their filters are widened to int16
   once for all pixels of a call. */
#include "mcufit_dsp.h"

/* Channels side by side, and the most taps that are widened. */
#define BLOCK 4
#define TAPS 49

/* A filter's tap for channels (0, 2) and (1, 3) of a block. */
typedef struct {
  mcufit_s16x2 even, odd;
} tap;

typedef struct {
  int32_t a, b, c, d;
} sums;

/* What a pixel of a block needs, in the order of its use, where the window is 3 x 3: the sums run over the 3
   x 3 pixels inside the input that are nearest to the window, whose taps move accordingly; those that find
   nothing add to the bias. Biases and filters are doubled, for the upper product. */
typedef struct {
  sums bias;
  struct {
    tap taps[3];
    int32_t step; /* to the next row, bytes */
  } rows[3];
  mcufit_dsp_scale scales[BLOCK];
  int32_t down, right; /* how far the window reaches out of the input, negative to the top and left */
} nine;

/* The taps outside the input of the pixels at one end of a row; rows differ in them at top and bottom only.
 */
typedef struct {
  mcufit_taps rows, columns;
  sums bias; /* with them */
} edge;

typedef struct {
  const mcufit_depthwise_conv2d_s8_step *step;
  const int8_t *input; /* the ring's first row */
  int32_t column_step, row_step, ring_bytes;
  int short_form, is_nine;
  tap filter[TAPS];
  mcufit_dsp_scale scales[BLOCK];
  nine nines[3]; /* at the left border, inside, at the right border */
  edge edges[2];
} block;

/* The channels of a block in one row of output pixels. */
typedef struct {
  int32_t channel;
  int32_t origin; /* row of the first tap */
  int8_t *output; /* of the row's first pixel */
} block_row;

static inline sums add_tap(uint32_t word, tap w, sums s) {
  const mcufit_s16x2 even = mcufit_even_s8(word), odd = mcufit_odd_s8(word);
  s.a = mcufit_add_low_product(even, w.even, s.a);
  s.b = mcufit_add_low_product(odd, w.odd, s.b);
  s.c = mcufit_add_high_product(even, w.even, s.c);
  s.d = mcufit_add_high_product(odd, w.odd, s.d);
  return s;
}

static inline int8_t requantized_short(int32_t doubled, const mcufit_dsp_scale *scale) {
  return (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale_doubled(doubled, *scale));
}

/* Writes a pixel; x is the first of the 3 x 3. */
static inline void compute_nine(const nine *w, const int8_t *x, int32_t column_step, int8_t *output) {
#if defined(MCUFIT_ISA_DSP)
  uint32_t even;
#define MCUFIT_TAP(from)        \
  "ldr r11, [%[x], " from       \
  "\n\t"                        \
  "ldmia %[w]!, {r9, r10}\n\t"  \
  "sxtb16 %[e], r11\n\t"        \
  "sxtb16 r11, r11, ror #8\n\t" \
  "smlabb r4, %[e], r9, r4\n\t" \
  "smlatt r6, %[e], r9, r6\n\t" \
  "smlabb r5, r11, r10, r5\n\t" \
  "smlatt r8, r11, r10, r8\n\t"
#define MCUFIT_ROW \
  MCUFIT_TAP("#0]") MCUFIT_TAP("%[s]]") MCUFIT_TAP("%[s], lsl #1]") "ldr r9, [%[w]], #4\n\t" \
  "add %[x], r9\n\t"
#define MCUFIT_FINISH(sum, at)      \
  "ldmia %[w]!, {r9, r10, r11}\n\t" \
  "smmulr " sum ", " sum            \
  ", r9\n\t"                        \
  "add " sum ", " sum ", " sum      \
  ", asr #31\n\t"                   \
  "add " sum ", " sum               \
  ", r10\n\t"                       \
  "asr " sum ", " sum               \
  ", r11\n\t"                       \
  "ssat " sum ", #8, " sum          \
  "\n\t"                            \
  "strb " sum ", [%[o], #" at "]\n\t"
  __asm__ volatile("ldmia %[w]!, {r4, r5, r6, r8}\n\t"  //
                   MCUFIT_ROW MCUFIT_ROW MCUFIT_ROW     //
                       MCUFIT_FINISH("r4", "0") MCUFIT_FINISH("r5", "1") MCUFIT_FINISH("r6", "2")
                           MCUFIT_FINISH("r8", "3")
                   : [x] "+r"(x), [w] "+r"(w), [e] "=&r"(even)
                   : [s] "r"(column_step), [o] "r"(output)
                   : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "memory");
#undef MCUFIT_FINISH
#undef MCUFIT_ROW
#undef MCUFIT_TAP
#else
  sums s = w->bias;
  int k, i;
  for (k = 0; k < 3; ++k) {
    for (i = 0; i < 3; ++i) s = add_tap(mcufit_load_s8x4(x + i * column_step), w->rows[k].taps[i], s);
    x += w->rows[k].step;
  }
  output[0] = requantized_short(s.a, w->scales);
  output[1] = requantized_short(s.b, w->scales + 1);
  output[2] = requantized_short(s.c, w->scales + 2);
  output[3] = requantized_short(s.d, w->scales + 3);
#endif
}

static inline mcufit_s16x2 doubled(mcufit_s16x2 x) {
  return mcufit_s16_pair(2 * mcufit_low_s16(x), 2 * mcufit_high_s16(x));
}

/* Moves the taps of a window that reaches out of the input. */
static MCUFIT_NOINLINE void move_nine(const block *b, nine *w, int32_t channel, int32_t down, int32_t right) {
  const int32_t *bias = b->step->bias + channel;
  const uint32_t zero = (uint8_t)b->step->input_zero_point * 0x01010101U;
  const tap *from = b->filter;
  sums s;
  int32_t k, i;
  s.a = bias[0], s.b = bias[1], s.c = bias[2], s.d = bias[3];
  w->down = down;
  w->right = right;
  if (down != 0 || right != 0) {
    for (k = 0; k < 3; ++k) {
      for (i = 0; i < 3; ++i) w->rows[k].taps[i].even = w->rows[k].taps[i].odd = 0;
    }
  }
  for (k = down; k < down + 3; ++k) {
    for (i = right; i < right + 3; ++i, ++from) {
      if (k < 0 || k > 2 || i < 0 || i > 2) {
        s = add_tap(zero, *from, s);
      } else {
        w->rows[k].taps[i].even = doubled(from->even);
        w->rows[k].taps[i].odd = doubled(from->odd);
      }
    }
  }
  w->bias.a = mcufit_shift_left(s.a, 1);
  w->bias.b = mcufit_shift_left(s.b, 1);
  w->bias.c = mcufit_shift_left(s.c, 1);
  w->bias.d = mcufit_shift_left(s.d, 1);
}

static inline int32_t between(int32_t x, int32_t low, int32_t high) {
  return x < low ? low : (x > high ? high : x);
}

static MCUFIT_NOINLINE void compute_nines(block *b, const block_row *r) {
  const mcufit_view *view = &b->step->input;
  const mcufit_window *window = &b->step->window;
  const int32_t top = between(r->origin, 0, window->input_height - 3);
  const int32_t first_row = mcufit_row(view, top);
  const int32_t to_second =
      first_row + b->row_step < b->ring_bytes ? b->row_step : b->row_step - b->ring_bytes;
  const int32_t to_third =
      first_row + to_second + b->row_step < b->ring_bytes ? b->row_step : b->row_step - b->ring_bytes;
  const int8_t *x = b->input + first_row + r->channel;
  const int32_t last = window->input_width - 3;
  const int32_t column_step = b->column_step;
  const int32_t stride = window->stride_width;
  const int32_t output_step = b->step->output.pixel_stride;
  int32_t column = -(int32_t)window->pad_left;
  const int32_t end = column + stride * window->output_width;
  int8_t *output = r->output;
  int i;
  for (i = 0; i < 3; ++i) {
    b->nines[i].rows[0].step = to_second;
    b->nines[i].rows[1].step = to_third;
  }
  while (column < end) {
    const int32_t left = between(column, 0, last);
    nine *w = b->nines + (column < left ? 0 : (column > left ? 2 : 1));
    const int32_t upto = column == left && last + 1 < end ? last + 1 : (column == left ? end : column + 1);
    const int8_t *at = x + left * column_step;
    if (w->down != r->origin - top || w->right != column - left)
      move_nine(b, w, r->channel, r->origin - top, column - left);
    for (; column < upto; column += stride) {
      compute_nine(w, at, column_step, output);
      at += stride * column_step;
      output += output_step;
    }
  }
}

static inline int same_taps(mcufit_taps a, mcufit_taps b) { return a.first == b.first && a.end == b.end; }

/* The biases, and the taps outside the input, each of which reads its zero point. */
static MCUFIT_NOINLINE void move_edge(const block *b, edge *e, const sums *bias) {
  const mcufit_window *window = &b->step->window;
  const uint32_t zero = (uint8_t)b->step->input_zero_point * 0x01010101U;
  const tap *w = b->filter;
  sums s = *bias;
  int32_t k, i;
  for (k = 0; k < window->kernel_height; ++k) {
    const int row_inside = k >= e->rows.first && k < e->rows.end;
    for (i = 0; i < window->kernel_width; ++i, ++w) {
      if (!row_inside || i < e->columns.first || i >= e->columns.end) s = add_tap(zero, *w, s);
    }
  }
  e->bias = s;
}

/* The rows of a window inside the input, and where the first of them is in bytes from the ring's start. */
typedef struct {
  mcufit_taps taps;
  int32_t first;
} rows_inside;

/* Adds the taps inside; x is the ring's first row at the first column inside. */
static inline sums sum_inside(const block *b, rows_inside rows, mcufit_taps columns, const int8_t *x,
                              sums s) {
  const int32_t column_step = b->column_step;
  const tap *w = b->filter + rows.taps.first * (int32_t)b->step->window.kernel_width + columns.first;
  const int32_t skipped = b->step->window.kernel_width - (columns.end - columns.first);
  int32_t k;
  for (k = rows.taps.first; k < rows.taps.end; ++k) {
    const int8_t *at = x + rows.first;
    const tap *const end = w + (columns.end - columns.first);
    for (; w != end; ++w) {
      s = add_tap(mcufit_load_s8x4(at), *w, s);
      at += column_step;
    }
    w += skipped;
    rows.first += b->row_step;
    if (rows.first >= b->ring_bytes) rows.first -= b->ring_bytes;
  }
  return s;
}

static MCUFIT_NOINLINE int8_t requantized(const mcufit_requantization *q, int32_t channel, int32_t sum) {
  const int32_t scaled = mcufit_requantize(sum, q->multiplier[channel], q->shift[channel]);
  return mcufit_clamp(scaled + q->output_zero_point, q->output_min, q->output_max);
}

static void finish(const block *b, int32_t channel, int8_t *output, sums s) {
  const mcufit_requantization *q = &b->step->requantization;
  if (b->short_form) {
    const mcufit_dsp_scale *scales = b->scales;
    output[0] = requantized_short(mcufit_shift_left(s.a, 1), scales);
    output[1] = requantized_short(mcufit_shift_left(s.b, 1), scales + 1);
    output[2] = requantized_short(mcufit_shift_left(s.c, 1), scales + 2);
    output[3] = requantized_short(mcufit_shift_left(s.d, 1), scales + 3);
  } else {
    output[0] = requantized(q, channel, s.a);
    output[1] = requantized(q, channel + 1, s.b);
    output[2] = requantized(q, channel + 2, s.c);
    output[3] = requantized(q, channel + 3, s.d);
  }
}

/* A row, with any window. */
static MCUFIT_NOINLINE void compute_pixels(block *b, const block_row *r) {
  const mcufit_depthwise_conv2d_s8_step *step = b->step;
  const mcufit_window *window = &step->window;
  const int32_t *biases = step->bias + r->channel;
  int8_t *output = r->output;
  int32_t column = -(int32_t)window->pad_left;
  rows_inside rows;
  int32_t n;
  rows.taps = mcufit_inside(r->origin, window->dilation_height, window->kernel_height, window->input_height);
  rows.first = mcufit_row(&step->input, r->origin + (int32_t)rows.taps.first * window->dilation_height);
  for (n = window->output_width; n > 0; --n) {
    edge *e = b->edges + (column < 0 ? 0 : 1);
    const mcufit_taps columns =
        mcufit_inside(column, window->dilation_width, window->kernel_width, window->input_width);
    const int8_t *x = b->input + r->channel +
                      (column + columns.first * (int32_t)window->dilation_width) * step->input.pixel_stride;
    if (!same_taps(e->columns, columns) || !same_taps(e->rows, rows.taps)) {
      sums bias;
      bias.a = biases[0], bias.b = biases[1], bias.c = biases[2], bias.d = biases[3];
      e->rows = rows.taps;
      e->columns = columns;
      move_edge(b, e, &bias);
    }
    finish(b, r->channel, output, sum_inside(b, rows, columns, x, e->bias));
    column += window->stride_width;
    output += step->output.pixel_stride;
  }
}

/* Widens the filters of the channels from `channel` on. */
static void start_block(block *b, int32_t channel) {
  const mcufit_depthwise_conv2d_s8_step *step = b->step;
  const int32_t taps = (int32_t)step->window.kernel_height * step->window.kernel_width;
  const int8_t *w = step->filter + channel;
  int32_t i, k;
  for (i = 0; i < taps; ++i) {
    const uint32_t word = mcufit_load_s8x4(w);
    b->filter[i].even = mcufit_even_s8(word);
    b->filter[i].odd = mcufit_odd_s8(word);
    w += step->window.output_channels;
  }
  b->edges[0].rows.first = b->edges[1].rows.first = -1; /* as no row has */
  for (i = 0; i < BLOCK && b->short_form; ++i) {
    b->scales[i] = mcufit_dsp_scale_of(&step->requantization, channel + i);
    for (k = 0; k < 3; ++k) b->nines[k].scales[i] = b->scales[i];
  }
  for (k = 0; k < 3; ++k) {
    b->nines[k].down = INT16_MAX; /* as no window is */
    b->nines[k].rows[2].step = 0;
  }
}

/* Rows [first_row, end_row) of the channels from `channel` on. */
static void compute_block(block *b, int32_t channel, int8_t *output, int32_t first_row, int32_t end_row) {
  const mcufit_depthwise_conv2d_s8_step *step = b->step;
  const mcufit_window *window = &step->window;
  block_row r;
  int32_t y;
  start_block(b, channel);
  r.channel = channel;
  for (y = first_row; y < end_row; ++y) {
    r.origin = y * window->stride_height - window->pad_top;
    r.output = output + mcufit_row(&step->output, y) + channel;
    if (b->is_nine)
      compute_nines(b, &r);
    else
      compute_pixels(b, &r);
  }
}

/* The sum of one output channel of the pixel whose first tap is at (row, column), read from input channel
   `from`. */
static int32_t sum_one(const block *b, int32_t row, int32_t column, int32_t channel, int32_t from) {
  const mcufit_view *view = &b->step->input;
  const mcufit_window *window = &b->step->window;
  const int8_t *w = b->step->filter + channel;
  int32_t sum = b->step->bias[channel];
  int32_t k, i;
  for (k = 0; k < window->kernel_height; ++k, row += window->dilation_height) {
    int32_t x = column;
    for (i = 0; i < window->kernel_width; ++i, x += window->dilation_width) {
      const int inside = row >= 0 && row < window->input_height && x >= 0 && x < window->input_width;
      sum += *w * (inside ? b->input[mcufit_row(view, row) + x * view->pixel_stride + from]
                          : b->step->input_zero_point);
      w += window->output_channels;
    }
  }
  return sum;
}

/* A row, channel by channel. */
static MCUFIT_NOINLINE void compute_slowly(const block *b, int32_t y, int8_t *output) {
  const mcufit_window *window = &b->step->window;
  const int32_t multiplier = window->output_channels / window->input_channels;
  const int32_t row = y * window->stride_height - window->pad_top;
  int32_t column = -(int32_t)window->pad_left;
  int32_t i, c;
  for (i = window->output_width; i > 0; --i) {
    for (c = 0; c < window->output_channels; ++c)
      output[c] = requantized(&b->step->requantization, c, sum_one(b, row, column, c, c / multiplier));
    column += window->stride_width;
    output += b->step->output.pixel_stride;
  }
}

/* The last block overlaps the one before where channels do not come by fours. */
void mcufit_depthwise_conv2d_s8(const mcufit_depthwise_conv2d_s8_step *step, int8_t *arena, int16_t first_row,
                                int16_t end_row) {
  const mcufit_window *window = &step->window;
  const int32_t channels = window->output_channels;
  const int blocks = channels == window->input_channels && channels >= BLOCK &&
                     (int32_t)window->kernel_height * window->kernel_width <= TAPS;
  int8_t *output = arena + step->output.offset;
  block b;
  int32_t c, y;
  b.step = step;
  b.input = arena + step->input.offset;
  b.column_step = window->dilation_width * (int32_t)step->input.pixel_stride;
  b.row_step = window->dilation_height * step->input.row_stride;
  b.ring_bytes = step->input.ring_rows * step->input.row_stride;
  b.short_form = mcufit_dsp_short_form(&step->requantization, step->bias, 0, channels);
  b.is_nine = b.short_form && window->kernel_height == 3 && window->kernel_width == 3 &&
              window->dilation_height == 1 && window->dilation_width == 1 && window->input_height >= 3 &&
              window->input_width >= 3 && step->input.ring_rows >= 3;
  if (!blocks) {
    for (y = first_row; y < end_row; ++y) compute_slowly(&b, y, output + mcufit_row(&step->output, y));
    return;
  }
  for (c = 0; c + BLOCK <= channels; c += BLOCK) compute_block(&b, c, output, first_row, end_row);
  if (c < channels) compute_block(&b, channels - BLOCK, output, first_row, end_row);
}
