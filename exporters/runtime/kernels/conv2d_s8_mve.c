/* SPDX-License-Identifier: Apache-2.0 */
/* Helium: a pixel's patch of the input is gathered, its padding filled in, and then is one run of bytes as
   the filters are; a patch that is one run in the input stays there. */
#include "mcufit_mve.h"

typedef char mcufit_conv2d_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_conv2d_s8_step) == MCUFIT_CONV2D_S8_STEP_BYTES ? 1 : -1];

/* Bytes of a patch that are held at a time. */
#define PATCH_BYTES 576

/* One output pixel's patch of the input. */
typedef struct {
  const int8_t *ring; /* the ring's first row, at the patch's first column inside */
  int32_t row;        /* of the first row inside, bytes from the ring's start */
  int32_t row_step, ring_bytes, run_step;
  int contiguous; /* the taps of a row are one run of bytes */
  mcufit_taps rows, columns;
} patch;

/* Gathers a whole patch whose rows are runs. */
static void gather_rows(const mcufit_conv2d_s8_step *step, const patch *p, int8_t *to) {
  const mcufit_window *window = &step->window;
  const int32_t row_bytes = (int32_t)window->kernel_width * window->input_channels;
  const int32_t left = (int32_t)p->columns.first * window->input_channels;
  const int32_t right = (int32_t)p->columns.end * window->input_channels;
  const int32_t zero_point = step->input_zero_point;
  int32_t row = p->row;
  int32_t k;
  if (p->rows.first > 0) mcufit_mve_fill(to, zero_point, p->rows.first * row_bytes);
  to += p->rows.first * row_bytes;
  for (k = p->rows.first; k < p->rows.end; ++k) {
    mcufit_mve_copy(to + left, p->ring + row, right - left);
    if (left > 0) mcufit_mve_fill(to, zero_point, left);
    if (right < row_bytes) mcufit_mve_fill(to + right, zero_point, row_bytes - right);
    to += row_bytes;
    row += p->row_step;
    if (row >= p->ring_bytes) row -= p->ring_bytes;
  }
  k = window->kernel_height - p->rows.end;
  if (k > 0) mcufit_mve_fill(to, zero_point, k * row_bytes);
}

/* Where bytes of a tap stand in the input; null outside of it. */
static const int8_t *tap_of(const mcufit_window *window, const patch *p, int32_t tap) {
  const int32_t k = tap / window->kernel_width;
  const int32_t i = tap - k * window->kernel_width;
  int32_t row;
  if (k < p->rows.first || k >= p->rows.end || i < p->columns.first || i >= p->columns.end) return 0;
  row = (p->row + (k - p->rows.first) * p->row_step) % p->ring_bytes;
  return p->ring + row + (i - p->columns.first) * p->run_step;
}

/* Gathers bytes [first, end) of any patch, tap by tap. */
static MCUFIT_NOINLINE void gather_part(const mcufit_conv2d_s8_step *step, const patch *p, int32_t first,
                                        int32_t end, int8_t *to) {
  const mcufit_window *window = &step->window;
  const int32_t channels = window->input_channels;
  int32_t tap = first / channels;
  int32_t channel = first - tap * channels;
  while (first < end) {
    const int8_t *from = tap_of(window, p, tap);
    const int32_t n = channels - channel < end - first ? channels - channel : end - first;
    if (from != 0) {
      mcufit_mve_copy(to, from + channel, n);
    } else {
      mcufit_mve_fill(to, step->input_zero_point, n);
    }
    to += n;
    first += n;
    channel = 0;
    ++tap;
  }
}

/* The sums of channels from `channel` on over a patch that is gathered in parts. */
static void sum_parts(const mcufit_conv2d_s8_step *step, const patch *p, int32_t channel, int32_t channels,
                      int32_t *sums) {
  const mcufit_window *window = &step->window;
  const int32_t bytes = (int32_t)window->kernel_height * window->kernel_width * window->input_channels;
  const int32_t *first = step->bias + channel;
  int32_t buffer[PATCH_BYTES / 4];
  int8_t *const part = (int8_t *)buffer;
  int32_t at = 0;
  do {
    const int32_t n = bytes - at < PATCH_BYTES ? bytes - at : PATCH_BYTES;
    if (p->contiguous && n == bytes) {
      gather_rows(step, p, part);
    } else {
      gather_part(step, p, at, at + n, part);
    }
    mcufit_mve_sums(part, step->filter + channel * bytes + at, bytes, n, first, sums, channels);
    first = sums;
    at += n;
  } while (at < bytes);
}

/* The patch, where it is one run of bytes of the input; else null. */
static const int8_t *run_of(const mcufit_window *window, const patch *p) {
  const int inside =
      p->rows.end - p->rows.first == 1 && p->columns.end - p->columns.first == window->kernel_width;
  return p->contiguous && inside && window->kernel_height == 1 ? p->ring + p->row : 0;
}

static void compute_pixel(const mcufit_conv2d_s8_step *step, const mcufit_mve_output *out, const patch *p,
                          int8_t *output) {
  const mcufit_window *window = &step->window;
  const int32_t channels = window->output_channels;
  const int8_t *run = run_of(window, p);
  int32_t sums[MCUFIT_MVE_BLOCK];
  int32_t c = 0;
  while (c < channels) {
    const int32_t n = channels - c < MCUFIT_MVE_BLOCK ? channels - c : MCUFIT_MVE_BLOCK;
    if (run != 0) {
      const int32_t bytes = (int32_t)window->kernel_width * window->input_channels;
      mcufit_mve_sums(run, step->filter + c * bytes, bytes, bytes, step->bias + c, sums, n);
    } else {
      sum_parts(step, p, c, n, sums);
    }
    mcufit_mve_requantize(out, c, sums, n, output + c);
    c += n;
  }
}

static void compute_row(const mcufit_conv2d_s8_step *step, const mcufit_mve_output *out, patch *p,
                        const int8_t *input, int8_t *output) {
  const mcufit_window *window = &step->window;
  const int32_t most = window->input_width - (window->kernel_width - 1) * window->dilation_width;
  int32_t origin = -(int32_t)window->pad_left;
  int16_t column;
  for (column = 0; column < window->output_width; ++column) {
    if (origin >= 0 && origin < most) {
      p->columns.first = 0;
      p->columns.end = window->kernel_width;
    } else {
      p->columns = mcufit_inside(origin, window->dilation_width, window->kernel_width, window->input_width);
    }
    p->ring =
        input + (origin + (int32_t)p->columns.first * window->dilation_width) * step->input.pixel_stride;
    compute_pixel(step, out, p, output);
    output += step->output.pixel_stride;
    origin += window->stride_width;
  }
}

void mcufit_conv2d_s8(const mcufit_conv2d_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  const mcufit_window *window = &step->window;
  mcufit_mve_output out;
  patch p;
  int16_t y;
  out.q = &step->requantization;
  out.shifts_right = mcufit_mve_shifts_right(out.q, window->output_channels);
  p.row_step = window->dilation_height * step->input.row_stride;
  p.ring_bytes = step->input.ring_rows * step->input.row_stride;
  p.run_step = (int32_t)window->dilation_width * step->input.pixel_stride;
  p.contiguous = window->kernel_width == 1 ||
                 (window->dilation_width == 1 && step->input.pixel_stride == window->input_channels);
  for (y = first_row; y < end_row; ++y) {
    const int32_t origin = (int32_t)y * window->stride_height - window->pad_top;
    p.rows = mcufit_inside(origin, window->dilation_height, window->kernel_height, window->input_height);
    p.row = mcufit_row(&step->input, origin + (int32_t)p.rows.first * window->dilation_height);
    compute_row(step, &out, &p, arena + step->input.offset,
                arena + step->output.offset + mcufit_row(&step->output, y));
  }
}
