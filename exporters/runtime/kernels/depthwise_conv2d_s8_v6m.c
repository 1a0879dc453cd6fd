/* SPDX-License-Identifier: Apache-2.0 */
/* For Armv6-M. Four channels at a time where each output channel has an input channel of its own and the taps
   of a kernel row lie side by side; else one by one. */
#include "mcufit_v6m.h"

/* One output pixel's patch of the input. */
typedef struct {
  const int8_t *ring; /* the ring's first row, at the patch's first column inside */
  int32_t row;        /* of the first row inside, bytes from the ring's start */
  int32_t row_step, ring_bytes, column_step;
  mcufit_taps rows, columns;
} patch;

/* Channels that are summed side by side, where each output channel has an input channel of its own. */
#define BLOCK 4
/* Channels that are requantized together; whole blocks. */
#define STRIP 16

/* A stretch of a kernel row: `taps` taps, at least one, of n channels, whole blocks of them. The channels of
   a tap follow each other in input and filter alike, and `step` bytes on come those of the next tap. */
typedef struct {
  const int8_t *x, *w;
  int32_t step, taps, n;
} stretch;

/* Adds its products to the sums of its channels. */
static MCUFIT_NOINLINE void add_stretch(const stretch *s, int32_t *sums) {
#if defined(MCUFIT_ISA_V6M)
/* The sums stand in the upper registers, which can be added to. */
#define TAP_OF(SUM)      \
  "ldrsb r4, [r0, r6]\n" \
  "ldrsb r5, [r1, r6]\n" \
  "adds r6, #1\n"        \
  "muls r4, r5, r4\n"    \
  "add " SUM ", r4\n"
  register const int8_t *x __asm__("r0") = s->x;
  register const int8_t *w __asm__("r1") = s->w;
  register int32_t *to __asm__("r2") = sums;
  register int32_t n __asm__("r3") = s->n;
  register int32_t taps __asm__("r12") = s->taps;
  register int32_t skip __asm__("r14") = s->step - BLOCK;
  __asm__ volatile(
      ".syntax unified\n"
      "1:\n"
      "ldmia r2!, {r4, r5, r6, r7}\n"
      "subs r2, #16\n"
      "mov r8, r4\n"
      "mov r9, r5\n"
      "mov r10, r6\n"
      "mov r11, r7\n"
      "mov r7, r12\n"
      "movs r6, #0\n"
      "2:\n" TAP_OF("r8") TAP_OF("r9") TAP_OF("r10") TAP_OF("r11")
      "add r6, r14\n"
      "subs r7, #1\n"
      "bne 2b\n"
      "mov r4, r8\n"
      "mov r5, r9\n"
      "mov r6, r10\n"
      "mov r7, r11\n"
      "stmia r2!, {r4, r5, r6, r7}\n"
      "adds r0, #4\n"
      "adds r1, #4\n"
      "subs r3, #4\n"
      "bne 1b\n"
      : "+l"(x), "+l"(w), "+l"(to), "+l"(n)
      : "h"(taps), "h"(skip)
      : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "cc", "memory");
#else
  int32_t i, c;
  for (i = 0; i < s->taps; ++i) {
    for (c = 0; c < s->n; ++c) sums[c] += (int32_t)s->x[i * s->step + c] * s->w[i * s->step + c];
  }
#endif
}

/* Adds the taps inside the input of n channels; `ring` and `w` point to the first of them. */
static void sum_inside(const mcufit_window *window, const patch *p, const int8_t *ring, const int8_t *w,
                       int32_t n, int32_t *sums) {
  stretch s;
  int32_t row = p->row;
  int32_t k;
  s.step = window->output_channels;
  s.taps = p->columns.end - p->columns.first;
  s.n = n;
  s.w = w + (p->rows.first * (int32_t)window->kernel_width + p->columns.first) * s.step;
  if (s.taps == 0) return;
  for (k = p->rows.end - p->rows.first; k > 0; --k) {
    s.x = ring + row;
    add_stretch(&s, sums);
    s.w += window->kernel_width * s.step;
    row += p->row_step;
    if (row >= p->ring_bytes) row -= p->ring_bytes;
  }
}

static const int8_t *add_filter(const int8_t *w, int32_t channels, int32_t taps, int32_t *sums) {
  for (; taps > 0; --taps) {
    sums[0] += w[0];
    sums[1] += w[1];
    sums[2] += w[2];
    sums[3] += w[3];
    w += channels;
  }
  return w;
}

/* Adds a block of channels' taps outside the input, each of which reads `zero_point`. */
static MCUFIT_NOINLINE void sum_outside(const mcufit_window *window, const patch *p, const int8_t *w,
                                        int32_t zero_point, int32_t *sums) {
  const int32_t channels = window->output_channels;
  const int32_t inside = p->columns.end - p->columns.first;
  int32_t outside[BLOCK] = {0, 0, 0, 0};
  int32_t k;
  w = add_filter(w, channels, p->rows.first * (int32_t)window->kernel_width, outside);
  for (k = p->rows.first; k < p->rows.end; ++k) {
    w = add_filter(w, channels, p->columns.first, outside) + inside * channels;
    w = add_filter(w, channels, window->kernel_width - p->columns.end, outside);
  }
  add_filter(w, channels, (window->kernel_height - p->rows.end) * (int32_t)window->kernel_width, outside);
  sums[0] += zero_point * outside[0];
  sums[1] += zero_point * outside[1];
  sums[2] += zero_point * outside[2];
  sums[3] += zero_point * outside[3];
}

/* The sum of one output channel that reads input channel `from`, for those that fill no block. */
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

/* n channels from `first` on, whole blocks of them. */
static MCUFIT_NOINLINE void compute_strip(const mcufit_depthwise_conv2d_s8_step *step, const patch *p,
                                          int32_t first, int32_t n, int8_t *output) {
  const mcufit_window *window = &step->window;
  const int clipped = p->rows.end - p->rows.first < window->kernel_height ||
                      p->columns.end - p->columns.first < window->kernel_width;
  const int32_t *bias = step->bias + first;
  int32_t sums[STRIP];
  int32_t c;
  for (c = 0; c < n; ++c) sums[c] = bias[c];
  sum_inside(window, p, p->ring + first, step->filter + first, n, sums);
  for (c = 0; clipped && c < n; c += BLOCK)
    sum_outside(window, p, step->filter + first + c, step->input_zero_point, sums + c);
  mcufit_v6m_requantize(&step->requantization, first, n, sums, output + first);
}

static void compute_pixel(const mcufit_depthwise_conv2d_s8_step *step, const patch *p, int8_t *output) {
  const mcufit_window *window = &step->window;
  const int32_t multiplier = window->output_channels / window->input_channels;
  const int blocks = multiplier == 1 && p->column_step == window->input_channels;
  const int32_t blocks_end = blocks ? window->output_channels & ~(BLOCK - 1) : 0;
  int32_t c;
  for (c = 0; c < blocks_end; c += STRIP) {
    const int32_t left = blocks_end - c;
    compute_strip(step, p, c, left < STRIP ? left : STRIP, output);
  }
  c = blocks_end;
  for (; c < window->output_channels; ++c) {
    const int32_t sum = sum_one(step, p, c, c / multiplier);
    mcufit_v6m_requantize(&step->requantization, c, 1, &sum, output + c);
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
