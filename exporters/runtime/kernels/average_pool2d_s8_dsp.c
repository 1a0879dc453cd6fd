/* SPDX-License-Identifier: Apache-2.0 */
/* Four channels at a time, summed as pairs of int16 that spill into int32 before they can overflow. */
#define MCUFIT_SMALL
#include "mcufit_dsp.h"

typedef char mcufit_pool2d_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_pool2d_s8_step) == MCUFIT_POOL2D_S8_STEP_BYTES ? 1 : -1];

/* Channels side by side, and the most bytes that a sum of int16 holds. */
#define BLOCK 4
#define MOST_ADDENDS 256

/* One output pixel's patch of the input. */
typedef struct {
  const int8_t *ring; /* the ring's first row, at the patch's first column inside */
  int32_t row;        /* of the first row inside, bytes from the ring's start */
  int32_t row_step, ring_bytes, column_step;
  mcufit_taps rows, columns;
} patch;

/* The sums of n <= BLOCK channels' taps inside the input, from `ring` on. */
static MCUFIT_NOINLINE void sum_inside(const patch *p, const int8_t *ring, int32_t n, int32_t *sums) {
  mcufit_s16x2 even = 0, odd = 0;
  int32_t row = p->row;
  int32_t addends = 0;
  int32_t k, i;
  sums[0] = sums[1] = sums[2] = sums[3] = 0;
  for (k = p->rows.end - p->rows.first; k > 0; --k) {
    const int8_t *x = ring + row;
    for (i = p->columns.end - p->columns.first; i > 0; --i) {
      const uint32_t word = n == BLOCK ? mcufit_load_s8x4(x) : mcufit_load_few_s8(x, n);
      even = mcufit_add_even_s8(even, word);
      odd = mcufit_add_odd_s8(odd, word);
      x += p->column_step;
      if (++addends < MOST_ADDENDS && (i > 1 || k > 1)) continue;
      sums[0] += mcufit_low_s16(even);
      sums[1] += mcufit_low_s16(odd);
      sums[2] += mcufit_high_s16(even);
      sums[3] += mcufit_high_s16(odd);
      even = odd = 0;
      addends = 0;
    }
    row += p->row_step;
    if (row >= p->ring_bytes) row -= p->ring_bytes;
  }
}

/* To nearest, ties away from zero. Only taps inside are counted. */
static void compute_pixel(const mcufit_pool2d_s8_step *step, const patch *p, int8_t *output) {
  const int32_t count = (int32_t)(p->rows.end - p->rows.first) * (p->columns.end - p->columns.first);
  const int32_t channels = step->window.output_channels;
  const int32_t half = count / 2;
  int32_t sums[BLOCK];
  int32_t c, i;
  for (c = 0; c < channels; c += BLOCK) {
    const int32_t n = channels - c < BLOCK ? channels - c : BLOCK;
    sum_inside(p, p->ring + c, n, sums);
    for (i = 0; i < n; ++i)
      output[c + i] = mcufit_clamp((sums[i] > 0 ? sums[i] + half : sums[i] - half) / count, step->output_min,
                                   step->output_max);
  }
}

static void compute_row(const mcufit_pool2d_s8_step *step, patch *p, const int8_t *input, int8_t *output) {
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

void mcufit_average_pool2d_s8(const mcufit_pool2d_s8_step *step, int8_t *arena, int16_t first_row,
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
