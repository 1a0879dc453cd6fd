/* SPDX-License-Identifier: Apache-2.0 */
/* Helium: sixteen channels side by side, their sums in four registers. Taps outside the input read a few
   bytes of its zero point. */
#include "mcufit_mve.h"

#define LANES 16

/* One output pixel's patch of the input. */
typedef struct {
  const int8_t *ring; /* the ring's first row, at the patch's first column inside */
  int32_t row;        /* of the first row inside, bytes from the ring's start */
  int32_t row_step, ring_bytes, column_step;
  mcufit_taps rows, columns;
  int32_t *sums; /* of MCUFIT_MVE_BLOCK channels: the scratch */
  int8_t zero_points[LANES];
} patch;

/* A rectangle of taps that all lie inside the input or all outside of it, for groups of LANES channels, in
   the order in which add_taps() takes it. */
typedef struct {
  const int8_t *x, *w;
  int32_t across, down;     /* bytes from one tap of a row to the next, in the input and in the filter */
  int32_t skip_x, skip_w;   /* bytes from the end of a row to the next */
  int32_t rows, pairs, odd; /* taps of a row are 2 * pairs + odd */
  int32_t lanes;            /* bytes from one group of the input's channels to the next */
  const int32_t *end;       /* of the sums */
} rectangle;

/* Two taps' products fit 16 bits. Sums of channels c, c + 4, c + 8 and c + 12 stand in register 4 + c. */
#define ADD_PRODUCTS        \
  "vmovlb.s16 q0, q2\n\t"   \
  "vmovlb.s16 q1, q3\n\t"   \
  "vadd.i32 q4, q4, q0\n\t" \
  "vadd.i32 q5, q5, q1\n\t" \
  "vmovlt.s16 q2, q2\n\t"   \
  "vmovlt.s16 q3, q3\n\t"   \
  "vadd.i32 q6, q6, q2\n\t" \
  "vadd.i32 q7, q7, q3\n\t"

#define FIRST_PRODUCTS       \
  "vldrb.u8 q0, [r0]\n\t"    \
  "vldrb.u8 q1, [r1]\n\t"    \
  "add r0, r2\n\t"           \
  "add r1, r3\n\t"           \
  "vmullb.s8 q2, q0, q1\n\t" \
  "vmullt.s8 q3, q0, q1\n\t"

/* sums[c] = first[c] + the rectangle's products, to the end of the sums; both may be one array. */
static MCUFIT_NOINLINE void add_taps(rectangle *taps, const int32_t *first, int32_t *sums) {
  register const int32_t *from __asm__("r9") = first;
  register int32_t *to __asm__("r10") = sums;
  register rectangle *r __asm__("r12") = taps;
  __asm__ volatile(
      "ldrd r2, r3, [r12, #8]\n\t"
      "ldrd r8, r11, [r12, #16]\n\t"
      "ldrd r5, r4, [r12, #28]\n"
      "0:\n\t"
      "ldrd r0, r1, [r12]\n\t"
      "ldr lr, [r12, #36]\n\t"
      "add lr, r0\n\t"
      "add r6, r1, #16\n\t"
      "strd lr, r6, [r12]\n\t"
      "ldr r6, [r12, #24]\n\t"
      "vld40.32 {q4, q5, q6, q7}, [r9]\n\t"
      "vld41.32 {q4, q5, q6, q7}, [r9]\n\t"
      "vld42.32 {q4, q5, q6, q7}, [r9]\n\t"
      "vld43.32 {q4, q5, q6, q7}, [r9]!\n"
      "1:\n\t"
      "wls lr, r5, 3f\n"
      "2:\n\t" FIRST_PRODUCTS
      "vldrb.u8 q0, [r0]\n\t"
      "vldrb.u8 q1, [r1]\n\t"
      "vmullt.s8 q1, q0, q1\n\t"
      "vadd.i16 q3, q3, q1\n\t"
      "vldrb.u8 q1, [r1]\n\t"
      "add r0, r2\n\t"
      "add r1, r3\n\t"
      "vmullb.s8 q1, q0, q1\n\t"
      "vadd.i16 q2, q2, q1\n\t" ADD_PRODUCTS
      "le lr, 2b\n"
      "3:\n\t"
      "cbz r4, 4f\n\t" FIRST_PRODUCTS ADD_PRODUCTS
      "4:\n\t"
      "add r0, r8\n\t"
      "add r1, r11\n\t"
      "subs r6, r6, #1\n\t"
      "bne 1b\n\t"
      "vst40.32 {q4, q5, q6, q7}, [r10]\n\t"
      "vst41.32 {q4, q5, q6, q7}, [r10]\n\t"
      "vst42.32 {q4, q5, q6, q7}, [r10]\n\t"
      "vst43.32 {q4, q5, q6, q7}, [r10]!\n\t"
      "ldr lr, [r12, #40]\n\t"
      "cmp r10, lr\n\t"
      "bne 0b"
      : "+r"(from), "+r"(to)
      : "r"(r)
      : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r11", "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6",
        "q7", "cc", "memory");
}

/* Which taps of the filter a rectangle has. */
typedef struct {
  mcufit_taps rows, columns;
} span;

/* Adds the taps of a rectangle outside the input. */
static const int32_t *add_outside(const mcufit_window *window, const patch *p, const int8_t *w, span s,
                                  const int32_t *first, int32_t *sums, int32_t channels) {
  const int32_t down = window->output_channels;
  const int32_t columns = s.columns.end - s.columns.first;
  rectangle taps;
  taps.rows = s.rows.end - s.rows.first;
  if (taps.rows <= 0 || columns <= 0) return first;
  taps.x = p->zero_points;
  taps.w = w + (s.rows.first * (int32_t)window->kernel_width + s.columns.first) * down;
  taps.across = taps.skip_x = taps.lanes = 0;
  taps.down = down;
  taps.skip_w = (window->kernel_width - columns) * down;
  taps.pairs = columns / 2;
  taps.odd = columns & 1;
  taps.end = sums + channels;
  add_taps(&taps, first, sums);
  return sums;
}

/* Adds the taps inside the input: all rows at once but where the ring of rows starts again. */
static const int32_t *add_inside(const mcufit_window *window, const patch *p, const int8_t *w, int32_t from,
                                 const int32_t *first, int32_t *sums, int32_t channels) {
  const int32_t down = window->output_channels;
  const int32_t columns = p->columns.end - p->columns.first;
  int32_t rows = p->rows.end - p->rows.first;
  int32_t row = p->row;
  rectangle taps;
  if (columns <= 0) return first;
  w += (p->rows.first * (int32_t)window->kernel_width + p->columns.first) * down;
  taps.across = p->column_step;
  taps.skip_x = p->row_step - columns * p->column_step;
  taps.lanes = LANES;
  taps.down = down;
  taps.skip_w = (window->kernel_width - columns) * down;
  taps.pairs = columns / 2;
  taps.odd = columns & 1;
  taps.end = sums + channels;
  while (rows > 0) {
    int32_t n = rows;
    while (row + (n - 1) * p->row_step >= p->ring_bytes) --n;
    taps.rows = n;
    taps.x = p->ring + from + row;
    taps.w = w;
    add_taps(&taps, first, sums);
    first = sums;
    w += n * window->kernel_width * down;
    rows -= n;
    row += n * p->row_step - p->ring_bytes;
  }
  return first;
}

/* The sums of groups of LANES channels; the first of them is `channel`. */
static void sum_groups(const mcufit_depthwise_conv2d_s8_step *step, const patch *p, int32_t channel,
                       int32_t *sums, int32_t channels) {
  const mcufit_window *window = &step->window;
  const int8_t *w = step->filter + channel;
  const int32_t *first = add_inside(window, p, w, channel, step->bias + channel, sums, channels);
  const int16_t height = window->kernel_height, width = window->kernel_width;
  const span above = {{0, p->rows.first}, {0, width}}, below = {{p->rows.end, height}, {0, width}};
  const span left = {p->rows, {0, p->columns.first}}, right = {p->rows, {p->columns.end, width}};
  if (p->rows.first > 0) first = add_outside(window, p, w, above, first, sums, channels);
  if (p->columns.first > 0) first = add_outside(window, p, w, left, first, sums, channels);
  if (p->columns.end < width) first = add_outside(window, p, w, right, first, sums, channels);
  if (p->rows.end < height) add_outside(window, p, w, below, first, sums, channels);
}

/* The sum of one output channel that reads input channel `from`, for those that do not fill all lanes. */
static MCUFIT_NOINLINE int32_t sum_one(const mcufit_depthwise_conv2d_s8_step *step, const patch *p,
                                       int32_t channel, int32_t from) {
  const mcufit_window *window = &step->window;
  const int8_t *w = step->filter + channel;
  int32_t sum = step->bias[channel];
  int32_t row = p->row;
  int16_t k, i;
  for (k = 0; k < window->kernel_height; ++k) {
    const int row_inside = k >= p->rows.first && k < p->rows.end;
    const int8_t *x = p->ring + from + row;
    for (i = 0; i < window->kernel_width; ++i) {
      const int inside = row_inside && i >= p->columns.first && i < p->columns.end;
      sum += (int32_t)(inside ? *x : step->input_zero_point) * *w;
      if (inside) x += p->column_step;
      w += window->output_channels;
    }
    if (row_inside) row += p->row_step;
    if (row >= p->ring_bytes) row -= p->ring_bytes;
  }
  return sum;
}

static void compute_pixel(const mcufit_depthwise_conv2d_s8_step *step, const mcufit_mve_output *out,
                          const patch *p, int8_t *output) {
  const int32_t channels = step->window.output_channels;
  const int32_t multiplier = channels / step->window.input_channels;
  int32_t *const sums = p->sums;
  int32_t c = 0;
  while (c < channels) {
    const int32_t n = channels - c < MCUFIT_MVE_BLOCK ? channels - c : MCUFIT_MVE_BLOCK;
    int32_t i = 0;
    if (multiplier == 1 && n >= LANES) {
      i = n & ~(LANES - 1);
      sum_groups(step, p, c, sums, i);
    }
    for (; i < n; ++i) sums[i] = sum_one(step, p, c + i, (c + i) / multiplier);
    mcufit_mve_requantize(out, c, sums, n, output + c);
    c += n;
  }
}

/* `count` pixels whose patches lie inside the input and do not pass the ring's end, of a number of channels
   that fills all lanes; the first tap of the first of them is at `from`. */
static MCUFIT_NOINLINE void compute_inside(const mcufit_depthwise_conv2d_s8_step *step,
                                           const mcufit_mve_output *out, const patch *p, const int8_t *from,
                                           int8_t *output, int32_t count) {
  const mcufit_window *window = &step->window;
  const int32_t channels = window->output_channels;
  const int32_t width = window->kernel_width;
  const int32_t from_step = window->stride_width * (int32_t)step->input.pixel_stride;
  int32_t *const sums = p->sums;
  rectangle taps;
  taps.across = p->column_step;
  taps.skip_x = p->row_step - width * p->column_step;
  taps.lanes = LANES;
  taps.down = channels;
  taps.skip_w = 0;
  taps.rows = window->kernel_height;
  taps.pairs = width / 2;
  taps.odd = width & 1;
  for (; count > 0; --count) {
    int32_t c = 0;
    taps.x = from;
    taps.w = step->filter;
    while (c < channels) {
      const int32_t n = channels - c < MCUFIT_MVE_BLOCK ? channels - c : MCUFIT_MVE_BLOCK;
      taps.end = sums + n;
      add_taps(&taps, step->bias + c, sums);
      mcufit_mve_requantize(out, c, sums, n, output + c);
      c += n;
    }
    from += from_step;
    output += step->output.pixel_stride;
  }
}

/* Whether compute_inside() can do pixels of this row. */
static int rows_are_inside(const mcufit_window *window, const patch *p) {
  const int32_t rows = p->rows.end - p->rows.first;
  return window->output_channels == window->input_channels && window->output_channels % LANES == 0 &&
         rows == window->kernel_height && p->row + (rows - 1) * p->row_step < p->ring_bytes;
}

static void compute_row(const mcufit_depthwise_conv2d_s8_step *step, const mcufit_mve_output *out, patch *p,
                        const int8_t *input, int8_t *output) {
  const mcufit_window *window = &step->window;
  const int32_t most = window->input_width - (window->kernel_width - 1) * window->dilation_width;
  const int32_t pixel_stride = step->input.pixel_stride;
  const int inside = rows_are_inside(window, p);
  int32_t origin = -(int32_t)window->pad_left;
  int32_t column = 0;
  while (column < window->output_width) {
    int32_t count = 1;
    if (inside && origin >= 0 && origin < most) {
      const int32_t upto = (most - 1 - origin) / window->stride_width + 1;
      count = window->output_width - column < upto ? window->output_width - column : upto;
      compute_inside(step, out, p, input + p->row + origin * pixel_stride, output, count);
    } else {
      p->columns = mcufit_inside(origin, window->dilation_width, window->kernel_width, window->input_width);
      p->ring = input + (origin + (int32_t)p->columns.first * window->dilation_width) * pixel_stride;
      compute_pixel(step, out, p, output);
    }
    output += count * step->output.pixel_stride;
    origin += count * window->stride_width;
    column += count;
  }
}

void mcufit_depthwise_conv2d_s8(const mcufit_depthwise_conv2d_s8_step *step, int8_t *arena, int16_t first_row,
                                int16_t end_row) {
  const mcufit_window *window = &step->window;
  mcufit_mve_output out;
  patch p;
  int16_t y;
  out.q = &step->requantization;
  out.shifts_right = mcufit_mve_shifts_right(out.q, window->output_channels);
  p.row_step = window->dilation_height * step->input.row_stride;
  p.ring_bytes = step->input.ring_rows * step->input.row_stride;
  p.column_step = (int32_t)window->dilation_width * step->input.pixel_stride;
  p.sums = (int32_t *)(void *)(arena + step->scratch);
  mcufit_mve_fill(p.zero_points, step->input_zero_point, LANES);
  for (y = first_row; y < end_row; ++y) {
    const int32_t origin = (int32_t)y * window->stride_height - window->pad_top;
    p.rows = mcufit_inside(origin, window->dilation_height, window->kernel_height, window->input_height);
    p.row = mcufit_row(&step->input, origin + (int32_t)p.rows.first * window->dilation_height);
    compute_row(step, &out, &p, arena + step->input.offset,
                arena + step->output.offset + mcufit_row(&step->output, y));
  }
}
