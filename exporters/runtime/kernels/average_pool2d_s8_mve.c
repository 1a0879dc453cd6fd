/* SPDX-License-Identifier: Apache-2.0 */
/* Helium: a tap's channels are added four at a time; the division is by one number, channel by channel. */
#include "mcufit_runtime.h"
#include "mcufit_rounding.h"

typedef char mcufit_pool2d_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_pool2d_s8_step) == MCUFIT_POOL2D_S8_STEP_BYTES ? 1 : -1];

/* Sums of this many channels are held at a time. */
#define BLOCK 64

/* One output pixel's patch of the input. */
typedef struct {
  const int8_t *ring; /* the ring's first row, at the patch's first column inside */
  int32_t row;        /* of the first row inside, bytes from the ring's start */
  int32_t row_step, ring_bytes, column_step;
  mcufit_taps rows, columns;
} patch;

static inline void clear(int32_t *sums, int32_t channels) {
  __asm__ volatile(
      "vmov.i32 q0, #0\n\t"
      "wlstp.32 lr, %[n], 2f\n"
      "1:\n\t"
      "vstrw.32 q0, [%[sums]], #16\n\t"
      "letp lr, 1b\n"
      "2:"
      : [sums] "+r"(sums)
      : [n] "r"(channels)
      : "q0", "lr", "cc", "memory");
}

static inline void add_tap(const int8_t *x, int32_t *sums, int32_t channels) {
  __asm__ volatile(
      "wlstp.32 lr, %[n], 2f\n"
      "1:\n\t"
      "vldrb.s32 q0, [%[x]], #4\n\t"
      "vldrw.u32 q1, [%[sums]]\n\t"
      "vadd.i32 q0, q0, q1\n\t"
      "vstrw.32 q0, [%[sums]], #16\n\t"
      "letp lr, 1b\n"
      "2:"
      : [x] "+l"(x), [sums] "+r"(sums)
      : [n] "r"(channels)
      : "q0", "q1", "lr", "cc", "memory");
}

/* The sums of the taps inside the input; `ring` points to the first of the channels. */
static void sum_inside(const patch *p, const int8_t *ring, int32_t *sums, int32_t channels) {
  int32_t row = p->row;
  int32_t k, i;
  clear(sums, channels);
  for (k = p->rows.first; k < p->rows.end; ++k) {
    const int8_t *x = ring + row;
    for (i = p->columns.first; i < p->columns.end; ++i) {
      add_tap(x, sums, channels);
      x += p->column_step;
    }
    row += p->row_step;
    if (row >= p->ring_bytes) row -= p->ring_bytes;
  }
}

/* To nearest, ties away from zero. Only taps inside are counted. */
static void compute_pixel(const mcufit_pool2d_s8_step *step, const patch *p, int8_t *output) {
  const int32_t channels = step->window.output_channels;
  const int32_t count = (int32_t)(p->rows.end - p->rows.first) * (p->columns.end - p->columns.first);
  const int32_t half = count / 2;
  int32_t sums[BLOCK];
  int32_t c, i;
  for (c = 0; c < channels; c += BLOCK) {
    const int32_t n = channels - c < BLOCK ? channels - c : BLOCK;
    sum_inside(p, p->ring + c, sums, n);
    for (i = 0; i < n; ++i) {
      const int32_t sum = sums[i] > 0 ? sums[i] + half : sums[i] - half;
      output[c + i] = mcufit_clamp(sum / count, step->output_min, step->output_max);
    }
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
