/* SPDX-License-Identifier: Apache-2.0 */
/* Helium: a pixel's patch of the input is gathered, its padding filled in, and then is one run of bytes as
   the filters are; a patch that is one run in the input stays there. */
#include "mcufit_mve.h"

typedef char mcufit_conv2d_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_conv2d_s8_step) == MCUFIT_CONV2D_S8_STEP_BYTES ? 1 : -1];

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
  const int32_t n = (int32_t)(p->columns.end - p->columns.first) * window->input_channels;
  int8_t *at = to + p->rows.first * row_bytes + (int32_t)p->columns.first * window->input_channels;
  int32_t rows = p->rows.end - p->rows.first;
  int32_t row = p->row;
  if (n < row_bytes || rows < window->kernel_height)
    mcufit_mve_fill(to, step->input_zero_point, window->kernel_height * row_bytes);
  if (n == 0) return;
  while (rows > 0) { /* all at once but where the ring of rows starts again */
    int32_t together = rows;
    while (row + (together - 1) * p->row_step >= p->ring_bytes) --together;
    mcufit_mve_copy_rows(at, row_bytes, p->ring + row, p->row_step, n, together);
    at += together * row_bytes;
    rows -= together;
    row += together * p->row_step - p->ring_bytes;
  }
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

/* A call's constants, and its scratch. */
typedef struct {
  const mcufit_conv2d_s8_step *step;
  mcufit_mve_output out;
  int32_t bytes, most_chunks; /* of a patch; chunks where it is aligned */
  int direct;                 /* patches inside are one run in the input */
  int32_t *sums;              /* of MCUFIT_MVE_BLOCK channels */
  int8_t *buffer;             /* for a patch, or MCUFIT_MVE_PATCH_BYTES of it */
} work;

/* The sums of channels from `channel` on over a patch that is gathered in parts. */
static MCUFIT_NOINLINE void sum_parts(const work *k, const patch *p, int32_t channel, int32_t channels) {
  const int32_t *first = k->step->bias + channel;
  int8_t *const part = k->buffer;
  mcufit_mve_run run;
  int32_t at = 0;
  do {
    const int32_t n = k->bytes - at < MCUFIT_MVE_PATCH_BYTES ? k->bytes - at : MCUFIT_MVE_PATCH_BYTES;
    gather_part(k->step, p, at, at + n, part);
    mcufit_mve_start(&run, part, k->step->filter + channel * k->bytes + at, k->bytes, n);
    mcufit_mve_sums(&run, first, k->sums, channels);
    first = k->sums;
    at += n;
  } while (at < k->bytes);
}

/* A pixel whose patch is one run of bytes. */
static MCUFIT_NOINLINE void compute_run(const work *k, const int8_t *x, int8_t *output) {
  const mcufit_conv2d_s8_step *step = k->step;
  const int32_t channels = step->window.output_channels;
  int32_t *const sums = k->sums;
  mcufit_mve_run run;
  int32_t c = 0;
  run.x = x;
  run.w = step->filter;
  run.next = k->bytes;
  run.chunks = ((uintptr_t)x & 3U) == 0 ? k->most_chunks : 0;
  run.rest = k->bytes - run.chunks * 64;
  do {
    const int32_t n = channels - c < MCUFIT_MVE_BLOCK ? channels - c : MCUFIT_MVE_BLOCK;
    mcufit_mve_sums(&run, step->bias + c, sums, n);
    mcufit_mve_requantize(&k->out, c, sums, n, output + c);
    c += n;
  } while (c < channels);
}

/* A pixel whose patch does not fit the buffer. */
static MCUFIT_NOINLINE void compute_parts(const work *k, const patch *p, int8_t *output) {
  const int32_t channels = k->step->window.output_channels;
  int32_t c = 0;
  do {
    const int32_t n = channels - c < MCUFIT_MVE_BLOCK ? channels - c : MCUFIT_MVE_BLOCK;
    sum_parts(k, p, c, n);
    mcufit_mve_requantize(&k->out, c, k->sums, n, output + c);
    c += n;
  } while (c < channels);
}

/* Any pixel. */
static MCUFIT_NOINLINE void compute_pixel(const work *k, const patch *p, int8_t *output) {
  if (!p->contiguous || k->bytes > MCUFIT_MVE_PATCH_BYTES) {
    compute_parts(k, p, output);
  } else {
    gather_rows(k->step, p, k->buffer);
    compute_run(k, k->buffer, output);
  }
}

/* `count` pixels whose patches lie inside the input, each of rows that are runs; the first tap of the first
   of them is at `from`. */
static MCUFIT_NOINLINE void compute_inside(const work *k, const patch *p, const int8_t *from, int8_t *output,
                                           int32_t count) {
  const mcufit_window *window = &k->step->window;
  const int32_t from_step = window->stride_width * (int32_t)k->step->input.pixel_stride;
  const int32_t output_step = k->step->output.pixel_stride;
  const int32_t row_bytes = (int32_t)window->kernel_width * window->input_channels;
  for (; count > 0; --count) {
    const int8_t *x = from;
    if (!k->direct) {
      mcufit_mve_copy_rows(k->buffer, row_bytes, from, p->row_step, row_bytes, window->kernel_height);
      x = k->buffer;
    }
    compute_run(k, x, output);
    from += from_step;
    output += output_step;
  }
}

static int rows_are_inside(const work *k, const patch *p) {
  const int32_t rows = p->rows.end - p->rows.first;
  return p->contiguous && rows == k->step->window.kernel_height &&
         (k->direct || k->bytes <= MCUFIT_MVE_PATCH_BYTES) &&
         p->row + (rows - 1) * p->row_step < p->ring_bytes;
}

static void compute_row(work *k, patch *p, const int8_t *input, int8_t *output) {
  const mcufit_window *window = &k->step->window;
  const int32_t most = window->input_width - (window->kernel_width - 1) * window->dilation_width;
  const int32_t pixel_stride = k->step->input.pixel_stride;
  const int inside = rows_are_inside(k, p);
  int32_t origin = -(int32_t)window->pad_left;
  int32_t column = 0;
  while (column < window->output_width) {
    int32_t count = 1;
    if (inside && origin >= 0 && origin < most) {
      const int32_t upto = (most - 1 - origin) / window->stride_width + 1;
      count = window->output_width - column < upto ? window->output_width - column : upto;
      compute_inside(k, p, input + p->row + origin * pixel_stride, output, count);
    } else {
      p->columns = mcufit_inside(origin, window->dilation_width, window->kernel_width, window->input_width);
      p->ring = input + (origin + (int32_t)p->columns.first * window->dilation_width) * pixel_stride;
      compute_pixel(k, p, output);
    }
    output += count * k->step->output.pixel_stride;
    origin += count * window->stride_width;
    column += count;
  }
}

void mcufit_conv2d_s8(const mcufit_conv2d_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  const mcufit_window *window = &step->window;
  work k;
  patch p;
  int16_t y;
  k.step = step;
  k.out.q = &step->requantization;
  k.out.shifts_right = mcufit_mve_shifts_right(k.out.q, window->output_channels);
  k.bytes = (int32_t)window->kernel_height * window->kernel_width * window->input_channels;
  k.most_chunks = (((uintptr_t)step->filter | (uintptr_t)k.bytes) & 3U) == 0 ? k.bytes / 64 : 0;
  k.sums = (int32_t *)(void *)(arena + step->scratch);
  k.buffer = arena + step->scratch + mcufit_mve_sums_bytes(window);
  p.row_step = window->dilation_height * step->input.row_stride;
  p.ring_bytes = step->input.ring_rows * step->input.row_stride;
  p.run_step = (int32_t)window->dilation_width * step->input.pixel_stride;
  p.contiguous = window->kernel_width == 1 ||
                 (window->dilation_width == 1 && step->input.pixel_stride == window->input_channels);
  k.direct = window->kernel_height == 1 && p.contiguous;
  for (y = first_row; y < end_row; ++y) {
    const int32_t origin = (int32_t)y * window->stride_height - window->pad_top;
    p.rows = mcufit_inside(origin, window->dilation_height, window->kernel_height, window->input_height);
    p.row = mcufit_row(&step->input, origin + (int32_t)p.rows.first * window->dilation_height);
    compute_row(&k, &p, arena + step->input.offset,
                arena + step->output.offset + mcufit_row(&step->output, y));
  }
}
