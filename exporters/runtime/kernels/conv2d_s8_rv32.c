/* SPDX-License-Identifier: Apache-2.0 */
/* For RV32I with its multiplier, whose 31 registers hold the sums of two pixels and four output channels: six
   loads feed eight products. The inputs of both pixels are gathered once, padding included, and serve all
   output channels; where they lie side by side already, they stay. Long filters go in chunks. Plain C, so
   that it runs and is tested on any machine. */
#include "mcufit_isa.h"
#include "mcufit_rounding.h"
#include "mcufit_runtime.h"
#include "mcufit_scratch.h"

typedef char mcufit_conv2d_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_conv2d_s8_step) == MCUFIT_CONV2D_S8_STEP_BYTES ? 1 : -1];

/* Output channels that are summed together. */
#define BLOCK 4

/* The inputs of two pixels, and the filters of a block of channels. */
typedef struct {
  const int8_t *x, *y;
  const int8_t *w[BLOCK];
} operands;

/* Sums stay sums, and the next tap's loads behind them: gcc would hold so many products that registers run
 * out. */
#ifdef MCUFIT_ISA_RV32
#define SUMMED                                                                                      \
  __asm__ volatile(""                                                                               \
                   : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a3), "+r"(b0), "+r"(b1), "+r"(b2), "+r"(b3) \
                   :                                                                                \
                   : "memory");
#else
#define SUMMED
#endif

/* Adds the products of n taps to sums[0 .. 3] of the first and sums[MCUFIT_RV32_CHANNELS ..] of the second
   pixel. Modulo 2^32: padding is summed in its place, where a sum that fits in the end may not. */
static MCUFIT_NOINLINE void dot(const operands *o, int32_t n, uint32_t *sums) {
  const int8_t *x = o->x, *y = o->y;
  const int8_t *w0 = o->w[0], *w1 = o->w[1], *w2 = o->w[2], *w3 = o->w[3];
  const int8_t *const end = x + n, *const unrolled_end = end - (n & 3);
  uint32_t a0 = sums[0], a1 = sums[1], a2 = sums[2], a3 = sums[3];
  uint32_t b0 = sums[MCUFIT_RV32_CHANNELS], b1 = sums[MCUFIT_RV32_CHANNELS + 1],
           b2 = sums[MCUFIT_RV32_CHANNELS + 2], b3 = sums[MCUFIT_RV32_CHANNELS + 3];
#define CHANNEL(i, A, B, W)        \
  {                                \
    const int32_t w = (W)[i];      \
    (A) += (uint32_t)(first * w);  \
    (B) += (uint32_t)(second * w); \
  }
#define TAP(i)                                 \
  {                                            \
    const int32_t first = x[i], second = y[i]; \
    CHANNEL(i, a0, b0, w0)                     \
    CHANNEL(i, a1, b1, w1)                     \
    CHANNEL(i, a2, b2, w2)                     \
    CHANNEL(i, a3, b3, w3)                     \
    SUMMED                                     \
  }
  while (x != unrolled_end) {
    TAP(0)
    TAP(1)
    TAP(2)
    TAP(3)
    x += 4;
    y += 4;
    w0 += 4;
    w1 += 4;
    w2 += 4;
    w3 += 4;
  }
  while (x != end) {
    TAP(0)
    ++x;
    ++y;
    ++w0;
    ++w1;
    ++w2;
    ++w3;
  }
  sums[0] = a0;
  sums[1] = a1;
  sums[2] = a2;
  sums[3] = a3;
  sums[MCUFIT_RV32_CHANNELS] = b0;
  sums[MCUFIT_RV32_CHANNELS + 1] = b1;
  sums[MCUFIT_RV32_CHANNELS + 2] = b2;
  sums[MCUFIT_RV32_CHANNELS + 3] = b3;
}

/* The output pixel whose input is looked at. */
typedef struct {
  const mcufit_conv2d_s8_step *step;
  const int8_t *input; /* the ring's first row */
  int32_t row;         /* of the first row inside, bytes from the ring's start */
  int32_t row_step, ring_bytes;
  int32_t row_bytes; /* of the filter */
  int32_t column_origin;
  int contiguous; /* the taps of a kernel row lie side by side */
  mcufit_taps rows, columns;
} patch;

/* Bytes of the input, or of padding where `from` is null. */
typedef struct {
  const int8_t *from;
  int32_t n;
} stretch;

/* The inputs of kernel row `k` from byte `at` on: as many as lie side by side, at most n. */
static stretch stretch_of(const patch *p, int32_t k, int32_t at, int32_t n) {
  const int32_t channels = p->step->window.input_channels;
  const int32_t left = p->columns.first * channels, right = p->columns.end * channels;
  const int row_inside = k >= p->rows.first && k < p->rows.end;
  int32_t end = p->row_bytes;
  stretch s = {0, n};
  if (row_inside && at < left) end = left;
  if (row_inside && at >= left && at < right) {
    int32_t row = p->row + (k - p->rows.first) * p->row_step;
    int32_t offset = p->column_origin * p->step->input.pixel_stride + at;
    while (row >= p->ring_bytes) row -= p->ring_bytes;
    end = right;
    if (!p->contiguous) {
      const int32_t column = at / channels;
      end = (column + 1) * channels;
      offset = (p->column_origin + column * p->step->window.dilation_width) * p->step->input.pixel_stride +
               at - column * channels;
    }
    s.from = p->input + row + offset;
  }
  if (end - at < n) s.n = end - at;
  return s;
}

static void put(const stretch *s, int8_t padding, int8_t *to) {
  const int8_t *from = s->from;
  int8_t *const end = to + s->n;
  int8_t *const unrolled_end = end - (s->n & 3);
  if (from == 0) {
    while (to != end) *to++ = padding;
    return;
  }
  while (to != unrolled_end) {
    const int8_t a = from[0], b = from[1], c = from[2], d = from[3];
    to[0] = a;
    to[1] = b;
    to[2] = c;
    to[3] = d;
    from += 4;
    to += 4;
  }
  while (to != end) *to++ = *from++;
}

/* Taps [from, from + n) of the pixel: where they lie, if that is side by side, else copied to `to`. */
static MCUFIT_NOINLINE const int8_t *gather(const patch *p, int32_t from, int32_t n, int8_t *to) {
  int8_t *at = to;
  int32_t k = 0;
  while (from >= p->row_bytes) {
    from -= p->row_bytes;
    ++k;
  }
  while (n > 0) {
    const stretch s = stretch_of(p, k, from, n);
    if (s.n == n && at == to && s.from != 0) return s.from;
    put(&s, (int8_t)p->step->input_zero_point, at);
    at += s.n;
    n -= s.n;
    from += s.n;
    if (from == p->row_bytes) {
      from = 0;
      ++k;
    }
  }
  return to;
}

/* Up to two pixels and where their outputs go. */
typedef struct {
  patch patches[2];
  int8_t *outputs[2];
  int count;
  const int8_t *inputs[2];
  /* Of the scratch: */
  uint32_t *sums; /* [pixel][channel] */
  int8_t *gathered[2];
} pixels;

/* A pixel that is alone is paired with itself. */
static void gather_pixels(pixels *p, int32_t from, int32_t n) {
  p->inputs[0] = gather(&p->patches[0], from, n, p->gathered[0]);
  p->inputs[1] = p->count == 2 ? gather(&p->patches[1], from, n, p->gathered[1]) : p->inputs[0];
}

/* Of the last block, channels that are not there get the last one's filter and sums that nobody reads. */
static void add_taps(pixels *p, int32_t first_channel, int32_t channels, int32_t from, int32_t n) {
  const mcufit_conv2d_s8_step *step = p->patches[0].step;
  const int32_t filter_bytes = step->window.kernel_height * p->patches[0].row_bytes;
  const int8_t *w = step->filter + first_channel * filter_bytes + from;
  operands o;
  int32_t c, i;
  o.x = p->inputs[0];
  o.y = p->inputs[1];
  for (c = 0; c < channels; c += BLOCK) {
    for (i = 0; i < BLOCK; ++i) {
      o.w[i] = w;
      if (c + i + 1 < channels) w += filter_bytes;
    }
    dot(&o, n, p->sums + c);
  }
}

static MCUFIT_NOINLINE void put_outputs(const mcufit_requantization *q, int32_t channel, int32_t n,
                                        const uint32_t *sums, int8_t *outputs) {
  const int32_t *multipliers = q->multiplier + channel;
  const int8_t *shifts = q->shift + channel;
  const int32_t zero_point = q->output_zero_point;
  const int8_t least = q->output_min, most = q->output_max;
  int32_t i;
  for (i = 0; i < n; ++i) {
    const int32_t scaled = mcufit_requantize((int32_t)sums[i], multipliers[i], shifts[i]);
    outputs[i] = mcufit_clamp(scaled + zero_point, least, most);
  }
}

/* Sums of channels [first, first + channels) start at their biases, the block's others anywhere. */
static void start_sums(pixels *p, const int32_t *bias, int32_t channels) {
  int32_t c;
  for (c = 0; c < channels; ++c) p->sums[c] = p->sums[MCUFIT_RV32_CHANNELS + c] = (uint32_t)bias[c];
  for (; c % BLOCK != 0; ++c) p->sums[c] = p->sums[MCUFIT_RV32_CHANNELS + c] = 0;
}

static MCUFIT_NOINLINE void compute_pixels(pixels *p) {
  const mcufit_conv2d_s8_step *step = p->patches[0].step;
  const int32_t taps = step->window.kernel_height * p->patches[0].row_bytes;
  int32_t first, from, i;
  if (taps <= MCUFIT_RV32_TAPS) gather_pixels(p, 0, taps);
  for (first = 0; first < step->window.output_channels; first += MCUFIT_RV32_CHANNELS) {
    const int32_t left = step->window.output_channels - first;
    const int32_t channels = left < MCUFIT_RV32_CHANNELS ? left : MCUFIT_RV32_CHANNELS;
    start_sums(p, step->bias + first, channels);
    for (from = 0; from < taps; from += MCUFIT_RV32_TAPS) {
      const int32_t n = taps - from < MCUFIT_RV32_TAPS ? taps - from : MCUFIT_RV32_TAPS;
      if (taps > MCUFIT_RV32_TAPS) gather_pixels(p, from, n);
      add_taps(p, first, channels, from, n);
    }
    for (i = 0; i < p->count; ++i)
      put_outputs(&step->requantization, first, channels, p->sums + i * MCUFIT_RV32_CHANNELS,
                  p->outputs[i] + first);
  }
  p->count = 0;
}

void mcufit_conv2d_s8(const mcufit_conv2d_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  const mcufit_window *window = &step->window;
  pixels p;
  patch row;
  int16_t x, y;
  row.step = step;
  row.input = arena + step->input.offset;
  row.row_step = window->dilation_height * step->input.row_stride;
  row.ring_bytes = step->input.ring_rows * step->input.row_stride;
  row.row_bytes = (int32_t)window->kernel_width * window->input_channels;
  row.contiguous = window->dilation_width == 1 && step->input.pixel_stride == window->input_channels;
  p.count = 0;
  p.sums = (uint32_t *)(void *)(arena + step->scratch);
  p.gathered[0] = (int8_t *)(p.sums + 2 * MCUFIT_RV32_CHANNELS);
  p.gathered[1] = p.gathered[0] + mcufit_at_most(mcufit_conv2d_taps(window), MCUFIT_RV32_TAPS);
  for (y = first_row; y < end_row; ++y) {
    const int32_t origin = (int32_t)y * window->stride_height - window->pad_top;
    int8_t *output = arena + step->output.offset + mcufit_row(&step->output, y);
    row.rows = mcufit_inside(origin, window->dilation_height, window->kernel_height, window->input_height);
    row.row = mcufit_row(&step->input, origin + (int32_t)row.rows.first * window->dilation_height);
    row.column_origin = -(int32_t)window->pad_left;
    for (x = 0; x < window->output_width; ++x) {
      row.columns =
          mcufit_inside(row.column_origin, window->dilation_width, window->kernel_width, window->input_width);
      p.patches[p.count] = row;
      p.outputs[p.count++] = output;
      if (p.count == 2) compute_pixels(&p);
      output += step->output.pixel_stride;
      row.column_origin += window->stride_width;
    }
  }
  if (p.count > 0) compute_pixels(&p);
}
