/* SPDX-License-Identifier: Apache-2.0 */
/* For Armv6-M (Cortex-M0, M0+, M1), which multiplies 32 bits by 32 and has no other arithmetic for bytes: two
   inputs share a word, that one product serves two outputs. Two pixels at a time, then: their inputs are
   gathered into words once, padding included, and serve all output channels, two of them at a time. Long
   filters go in chunks. */
#include "mcufit_scratch.h"
#include "mcufit_v6m.h"

typedef char mcufit_conv2d_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_conv2d_s8_step) == MCUFIT_CONV2D_S8_STEP_BYTES ? 1 : -1];

/* Input bytes of two pixels at the same tap, as -(first + second * 2^16) modulo 2^32. Negated since then a
   pair of products with any two int8 stays in [-2^15, 2^15), and two taps of each pixel add up in one word
   from which both sums are read exactly. */
typedef uint32_t inputs_of_two;

static inline uint32_t product(inputs_of_two x, int32_t w) { return x * (uint32_t)w; }

/* Modulo 2^32: padding is summed in its place, where a sum that fits in the end may not. */
static inline void subtract(int32_t *from, int32_t x) { *from = (int32_t)((uint32_t)*from - (uint32_t)x); }

/* Takes the sums of two pixels out of a word: subtracts the lower from sums[0], the upper from
   sums[MCUFIT_V6M_CHANNELS]. */
static inline void take(uint32_t word, int32_t *sums) {
  const int32_t low = (int32_t)((word & 0xFFFFU) ^ 0x8000U) - 0x8000;
  const uint32_t high = (word - (uint32_t)low) >> 16;
  subtract(sums, low);
  subtract(sums + MCUFIT_V6M_CHANNELS, (int32_t)(high ^ 0x8000U) - 0x8000);
}

/* Adds the products of n taps of both pixels with filter w to sums[0] and sums[MCUFIT_V6M_CHANNELS], those
   with filter v to the sums behind them. */
static MCUFIT_NOINLINE void dot(const inputs_of_two *x, const int8_t *w, const int8_t *v, int32_t n,
                                int32_t *sums) {
#if defined(MCUFIT_ISA_V6M)
  /* Sign-extending loads want an index in a register: it counts up to 0. */
  int32_t i = -(n & ~1);
  w -= i;
  v -= i;
  if (i != 0) {
    int32_t a = 0, b = 0, c = 0, d = 0;
    uint32_t inputs, of_w, of_v, t;
    __asm__ volatile(
        ".syntax unified\n"
        "1:\n\t"
        "ldmia %[x]!, {%[inputs]}\n\t"
        "ldrsb %[of_w], [%[w], %[i]]\n\t"
        "muls %[of_w], %[inputs], %[of_w]\n\t"
        "ldrsb %[of_v], [%[v], %[i]]\n\t"
        "muls %[of_v], %[inputs], %[of_v]\n\t"
        "adds %[i], #1\n\t"
        "ldmia %[x]!, {%[inputs]}\n\t"
        "ldrsb %[t], [%[w], %[i]]\n\t"
        "muls %[t], %[inputs], %[t]\n\t"
        "adds %[of_w], %[of_w], %[t]\n\t"
        "ldrsb %[t], [%[v], %[i]]\n\t"
        "muls %[t], %[inputs], %[t]\n\t"
        "adds %[of_v], %[of_v], %[t]\n\t"
        "sxth %[t], %[of_w]\n\t"
        "add %[a], %[t]\n\t"
        "subs %[of_w], %[of_w], %[t]\n\t"
        "asrs %[of_w], %[of_w], #16\n\t"
        "add %[b], %[of_w]\n\t"
        "sxth %[t], %[of_v]\n\t"
        "add %[c], %[t]\n\t"
        "subs %[of_v], %[of_v], %[t]\n\t"
        "asrs %[of_v], %[of_v], #16\n\t"
        "add %[d], %[of_v]\n\t"
        "adds %[i], #1\n\t"
        "bne 1b"
        : [a] "+h"(a), [b] "+h"(b), [c] "+h"(c), [d] "+h"(d), [x] "+l"(x), [i] "+l"(i),
          [inputs] "=&l"(inputs), [of_w] "=&l"(of_w), [of_v] "=&l"(of_v), [t] "=&l"(t)
        : [w] "l"(w), [v] "l"(v)
        : "cc", "memory");
    subtract(sums, a);
    subtract(sums + MCUFIT_V6M_CHANNELS, b);
    subtract(sums + 1, c);
    subtract(sums + MCUFIT_V6M_CHANNELS + 1, d);
  }
#else
  for (; n > 1; n -= 2) {
    take(product(x[0], w[0]) + product(x[1], w[1]), sums);
    take(product(x[0], v[0]) + product(x[1], v[1]), sums + 1);
    x += 2;
    w += 2;
    v += 2;
  }
#endif
  if (n & 1) {
    take(product(x[0], w[0]), sums);
    take(product(x[0], v[0]), sums + 1);
  }
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

/* The first pixel's word is written, the second pixel's byte added to it. */
static void put_inputs(inputs_of_two *to, const int8_t *from, int32_t n, int second) {
  const inputs_of_two *const end = to + n;
  if (second) {
    for (; to != end; ++to) *to -= (uint32_t)(int32_t)*from++ << 16;
  } else {
    for (; to != end; ++to) *to = 0U - (uint32_t)(int32_t)*from++;
  }
}

static void put_border(inputs_of_two *to, int32_t value, int32_t n, int second) {
  const inputs_of_two *const end = to + n;
  const uint32_t negated = 0U - (uint32_t)value;
  if (second) {
    for (; to != end; ++to) *to += negated << 16;
  } else {
    for (; to != end; ++to) *to = negated;
  }
}

/* The inputs of kernel row `k` from byte `at` on: as many as lie side by side, at most n. Returns how many.
 */
static int32_t put_stretch(const patch *p, int32_t k, int32_t at, int32_t n, inputs_of_two *to, int second) {
  const int32_t channels = p->step->window.input_channels;
  const int32_t left = p->columns.first * channels, right = p->columns.end * channels;
  const int row_inside = k >= p->rows.first && k < p->rows.end;
  int32_t end = p->row_bytes;
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
    if (end - at < n) n = end - at;
    put_inputs(to, p->input + row + offset, n, second);
    return n;
  }
  if (row_inside && at < left) end = left;
  if (end - at < n) n = end - at;
  put_border(to, p->step->input_zero_point, n, second);
  return n;
}

/* Taps [from, from + n) of the pixel. */
static MCUFIT_NOINLINE void gather(const patch *p, int32_t from, int32_t n, inputs_of_two *to, int second) {
  int32_t k = 0;
  while (from >= p->row_bytes) {
    from -= p->row_bytes;
    ++k;
  }
  while (n > 0) {
    const int32_t put = put_stretch(p, k, from, n, to, second);
    to += put;
    n -= put;
    from += put;
    if (from == p->row_bytes) {
      from = 0;
      ++k;
    }
  }
}

/* Up to two pixels and where their outputs go. */
typedef struct {
  patch patches[2];
  int8_t *outputs[2];
  int count;
  /* Of the scratch: */
  int32_t *sums; /* [pixel][channel] */
  inputs_of_two *inputs;
} pixels;

static void gather_pixels(pixels *p, int32_t from, int32_t n) {
  int i;
  for (i = 0; i < p->count; ++i) gather(&p->patches[i], from, n, p->inputs, i);
}

static void add_taps(pixels *p, int32_t first_channel, int32_t channels, int32_t from, int32_t n) {
  const mcufit_conv2d_s8_step *step = p->patches[0].step;
  const int32_t filter_bytes = step->window.kernel_height * p->patches[0].row_bytes;
  const int8_t *w = step->filter + first_channel * filter_bytes + from;
  const inputs_of_two *const inputs = p->inputs;
  int32_t *sums = p->sums;
  for (; channels > 0; channels -= 2) {
    const int32_t next = channels > 1 ? filter_bytes : 0; /* an odd last one is paired with itself */
    dot(inputs, w, w + next, n, sums);
    w += 2 * filter_bytes;
    sums += 2;
  }
}

static void put_outputs(const pixels *p, int32_t first_channel, int32_t channels) {
  const mcufit_requantization *q = &p->patches[0].step->requantization;
  int i;
  for (i = 0; i < p->count; ++i)
    mcufit_v6m_requantize(q, first_channel, channels, p->sums + i * MCUFIT_V6M_CHANNELS,
                          p->outputs[i] + first_channel);
}

static MCUFIT_NOINLINE void compute_pixels(pixels *p) {
  const mcufit_window *window = &p->patches[0].step->window;
  const int32_t taps = window->kernel_height * p->patches[0].row_bytes;
  const int32_t *bias = p->patches[0].step->bias;
  int32_t first, from, c;
  if (taps <= MCUFIT_V6M_TAPS) gather_pixels(p, 0, taps);
  for (first = 0; first < window->output_channels; first += MCUFIT_V6M_CHANNELS) {
    const int32_t left = window->output_channels - first;
    const int32_t channels = left < MCUFIT_V6M_CHANNELS ? left : MCUFIT_V6M_CHANNELS;
    for (c = 0; c < channels; ++c) p->sums[c] = p->sums[MCUFIT_V6M_CHANNELS + c] = bias[first + c];
    if (c & 1) p->sums[c] = p->sums[MCUFIT_V6M_CHANNELS + c] = 0; /* nobody reads them */
    for (from = 0; from < taps; from += MCUFIT_V6M_TAPS) {
      const int32_t n = taps - from < MCUFIT_V6M_TAPS ? taps - from : MCUFIT_V6M_TAPS;
      if (taps > MCUFIT_V6M_TAPS) gather_pixels(p, from, n);
      add_taps(p, first, channels, from, n);
    }
    put_outputs(p, first, channels);
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
  p.sums = (int32_t *)(void *)(arena + step->scratch);
  p.inputs = (inputs_of_two *)p.sums + 2 * MCUFIT_V6M_CHANNELS;
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
