/* SPDX-License-Identifier: Apache-2.0 */
/* Four channels at a time, each of which has an input channel of its own. Their bytes under a stretch of an
   output row are gathered column by column, padding included, so that every window is one run of words; two
   words give the four channels a pair of taps each, and the filter is paired likewise once per call. */
#include "mcufit_dsp.h"

/* Channels side by side. */
#define BLOCK 4
/* Bounds of the stack: the most taps of a filter that is paired, and words of gathered input. */
#define TAPS 50
#define STRIP 192

/* Two taps, for each channel of a block; a last single one beside 0. */
typedef struct {
  mcufit_s16x2 a, b, c, d;
} tap_pair;

typedef struct {
  int32_t a, b, c, d;
} sums;

/* One row of output pixels, and what is the same for all. */
typedef struct {
  const mcufit_depthwise_conv2d_s8_step *step;
  const int8_t *input; /* the ring's first row */
  int32_t row;         /* of the first row inside, bytes from the ring's start */
  int32_t row_step, ring_bytes;
  mcufit_taps rows;     /* inside */
  int32_t most_columns; /* output columns of a stretch; 0 where blocks cannot be computed so */
  int short_form;
  /* A block's biases, its filter's pairs of taps, column by column, then its scales, if they have the short
     form; biases and filter are doubled then, which the upper product asks of sums. */
  uint32_t block[4 + 4 * (TAPS / 2) + 3 * BLOCK];
  uint32_t strip[STRIP +
                 1]; /* [input column][kernel row] of four channels, and a word that is read but not used */
} patch;

static inline tap_pair pair_of(uint32_t first, uint32_t second) {
  const uint32_t low = mcufit_low_halves(first, second), high = mcufit_high_halves(first, second);
  tap_pair pair;
  pair.a = mcufit_even_s8(low);
  pair.b = mcufit_odd_s8(low);
  pair.c = mcufit_even_s8(high);
  pair.d = mcufit_odd_s8(high);
  return pair;
}

static uint32_t *put_pair(uint32_t *to, uint32_t first, uint32_t second, int doubled) {
  const tap_pair pair = pair_of(first, second);
  const uint32_t no_carry = doubled ? 0xFFFEFFFFU : 0xFFFFFFFFU;
  to[0] = pair.a << doubled & no_carry;
  to[1] = pair.b << doubled & no_carry;
  to[2] = pair.c << doubled & no_carry;
  to[3] = pair.d << doubled & no_carry;
  return to + 4;
}

/* The block from `channel` on. */
static MCUFIT_NOINLINE void load_block(patch *p, int32_t channel) {
  const mcufit_window *window = &p->step->window;
  const int8_t *filter = p->step->filter + channel;
  uint32_t *to = p->block;
  uint32_t first = 0;
  int odd = 0;
  int32_t k, i;
  for (i = 0; i < BLOCK; ++i) *to++ = (uint32_t)p->step->bias[channel + i] << p->short_form;
  for (i = 0; i < window->kernel_width; ++i) {
    for (k = 0; k < window->kernel_height; ++k) {
      const int32_t at = (k * window->kernel_width + i) * window->output_channels;
      const uint32_t word = mcufit_load_s8x4(filter + at);
      if (odd) to = put_pair(to, first, word, p->short_form);
      first = word;
      odd = !odd;
    }
  }
  if (odd) to = put_pair(to, first, 0, p->short_form);
  for (i = 0; i < BLOCK && p->short_form; ++i) {
    const mcufit_dsp_scale scale = mcufit_dsp_scale_of(&p->step->requantization, channel + i);
    *to++ = (uint32_t)scale.multiplier;
    *to++ = (uint32_t)scale.addend;
    *to++ = (uint32_t)scale.bits;
  }
}

/* One kernel row of the strip: `columns` input columns from `column` on. */
static void gather_row(const patch *p, const int8_t *row, int32_t column, int32_t columns, uint32_t *to) {
  const mcufit_window *window = &p->step->window;
  const uint32_t outside = (uint8_t)p->step->input_zero_point * 0x01010101U;
  for (; columns > 0; --columns) {
    *to = row != 0 && column >= 0 && column < window->input_width
              ? mcufit_load_s8x4(row + column * p->step->input.pixel_stride)
              : outside;
    to += window->kernel_height;
    ++column;
  }
}

static inline uint32_t *copy_three(const int8_t *x, int32_t second, int32_t third, uint32_t *to) {
#if defined(MCUFIT_ISA_DSP)
  __asm__(
      "ldr r4, [%1]\n\t"
      "ldr r5, [%1, %2]\n\t"
      "ldr r6, [%1, %3]\n\t"
      "stmia %0!, {r4, r5, r6}"
      : "+r"(to)
      : "r"(x), "r"(second), "r"(third)
      : "r4", "r5", "r6", "memory");
#else
  *to++ = mcufit_load_s8x4(x);
  *to++ = mcufit_load_s8x4(x + second);
  *to++ = mcufit_load_s8x4(x + third);
#endif
  return to;
}

/* A row below, in the ring: bytes from the row that starts at `row`. */
static inline int32_t row_below(const patch *p, int32_t row) {
  return row + p->row_step < p->ring_bytes ? p->row_step : p->row_step - p->ring_bytes;
}

/* Three kernel rows in one pass. One that is outside the input is read as one that is inside, then
   overwritten. */
static void gather_three(patch *p, int32_t channel, int32_t column, int32_t columns) {
  const int32_t stride = p->step->input.pixel_stride;
  const int32_t left = p->step->window.input_width - column;
  const int32_t before = column < 0 ? -column : 0;
  const uint32_t outside = (uint8_t)p->step->input_zero_point * 0x01010101U;
  const int32_t second = p->rows.first < 1 && p->rows.end > 1 ? row_below(p, p->row) : 0;
  const int32_t third = p->rows.first < 2 && p->rows.end > 2 ? second + row_below(p, p->row + second) : 0;
  const int8_t *x = p->input + (channel + p->row + (column + before) * stride);
  uint32_t *to = p->strip;
  uint32_t *const end = to + 3 * columns;
  uint32_t *const last_inside = left < columns ? to + 3 * left : end;
  uint32_t *const first_inside = before < columns ? to + 3 * before : end;
  int32_t k;
  while (to != first_inside) *to++ = outside;
  for (; to < last_inside; x += stride) to = copy_three(x, second, third, to);
  while (to != end) *to++ = outside;
  if (p->rows.end - p->rows.first == 3) return;
  for (k = 0; k < 3; ++k) {
    if (k >= p->rows.first && k < p->rows.end) continue;
    for (to = p->strip + k; to < end; to += 3) *to = outside;
  }
}

/* The input under `columns` input columns from `column` on, for the block from `channel` on. */
static MCUFIT_NOINLINE void gather(patch *p, int32_t channel, int32_t column, int32_t columns) {
  const int32_t height = p->step->window.kernel_height;
  int32_t row = p->row;
  int32_t k;
  if (height == 3 && p->rows.first < p->rows.end) {
    gather_three(p, channel, column, columns);
    return;
  }
  for (k = 0; k < height; ++k) {
    const int inside = k >= p->rows.first && k < p->rows.end;
    gather_row(p, inside ? p->input + channel + row : 0, column, columns, p->strip + k);
    if (inside) row += p->row_step;
    if (row >= p->ring_bytes) row -= p->ring_bytes;
  }
}

/* The sums of a window of which each pair of words meets a pair of taps. */
static MCUFIT_NOINLINE sums sum_pairs(const uint32_t *x, const uint32_t *w, int32_t pairs) {
  sums s;
  s.a = (int32_t)w[0], s.b = (int32_t)w[1], s.c = (int32_t)w[2], s.d = (int32_t)w[3];
  for (; pairs > 0; --pairs) {
    const tap_pair pair = pair_of(x[0], x[1]);
    w += 4;
    s.a = mcufit_add_products(pair.a, w[0], s.a);
    s.b = mcufit_add_products(pair.b, w[1], s.b);
    s.c = mcufit_add_products(pair.c, w[2], s.c);
    s.d = mcufit_add_products(pair.d, w[3], s.d);
    x += 2;
  }
  return s;
}

/* The four output bytes of a window, where the short form holds. */
static inline uint32_t output_word(const uint32_t *x, const uint32_t *w, int32_t pairs) {
#if defined(MCUFIT_ISA_DSP)
  uint32_t first, second, low;
#define MCUFIT_PAIR                                   \
  "ldrd %[first], %[second], [%[x]], #8\n\t"          \
  "ldmia %[w]!, {r9, r10, r11, r12}\n\t"              \
  "pkhbt %[low], %[first], %[second], lsl #16\n\t"    \
  "pkhtb %[second], %[second], %[first], asr #16\n\t" \
  "sxtb16 %[first], %[low]\n\t"                       \
  "sxtb16 %[low], %[low], ror #8\n\t"                 \
  "smlad r4, %[first], r9, r4\n\t"                    \
  "smlad r5, %[low], r10, r5\n\t"                     \
  "sxtb16 %[first], %[second]\n\t"                    \
  "sxtb16 %[second], %[second], ror #8\n\t"           \
  "smlad r6, %[first], r11, r6\n\t"                   \
  "smlad r8, %[second], r12, r8\n\t"
#define MCUFIT_SCALED(sum)          \
  "ldmia %[w]!, {r9, r10, r11}\n\t" \
  "smmulr " sum ", " sum            \
  ", r9\n\t"                        \
  "add r10, r10, " sum              \
  ", asr #31\n\t"                   \
  "add " sum ", " sum               \
  ", r10\n\t"                       \
  "asr " sum ", " sum               \
  ", r11\n\t"                       \
  "ssat " sum ", #8, " sum "\n\t"
  __asm__(
      "ldmia %[w]!, {r4, r5, r6, r8}\n"
      "lsrs %[n], %[n], #1\n\t"
      "bcc 1f\n\t" MCUFIT_PAIR
      "cmp %[n], #0\n\t"
      "beq 2f\n"
      "1:\n\t" MCUFIT_PAIR MCUFIT_PAIR
      "subs %[n], %[n], #1\n\t"
      "bne 1b\n"
      "2:\n\t" MCUFIT_SCALED("r4") MCUFIT_SCALED("r5") MCUFIT_SCALED("r6") MCUFIT_SCALED("r8")
      "uxtb %[first], r4\n\t"
      "bfi %[first], r5, #8, #8\n\t"
      "bfi %[first], r6, #16, #8\n\t"
      "bfi %[first], r8, #24, #8"
      : [x] "+r"(x), [w] "+r"(w), [n] "+r"(pairs), [first] "=&r"(first), [second] "=&r"(second),
        [low] "=&r"(low)
      :
      : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
#undef MCUFIT_PAIR
#undef MCUFIT_SCALED
  return first;
#else
  const sums s = sum_pairs(x, w, pairs);
  const int32_t doubled[BLOCK] = {s.a, s.b, s.c, s.d};
  uint32_t word = 0;
  int32_t i;
  w += 4 + 4 * pairs;
  for (i = 0; i < BLOCK; ++i) {
    const int32_t product = mcufit_upper_product(doubled[i], (int32_t)w[0]);
    const int32_t scaled = (product + (product >> 31) + (int32_t)w[1]) >> w[2];
    word |= (uint32_t)(uint8_t)mcufit_saturate_s8(scaled) << 8 * i;
    w += 3;
  }
  return word;
#endif
}

static MCUFIT_NOINLINE int8_t requantized(const mcufit_requantization *q, int32_t channel, int32_t sum) {
  const int32_t scaled = mcufit_requantize(sum, q->multiplier[channel], q->shift[channel]);
  return mcufit_clamp(scaled + q->output_zero_point, q->output_min, q->output_max);
}

/* Pixels of a stretch, the first of which begins the strip. */
typedef struct {
  int32_t channel, count, pairs;
  int32_t advance;      /* words of the strip from one pixel to the next */
  int32_t pixel_stride; /* of the output */
  int8_t *output;
} stretch;

static MCUFIT_NOINLINE void compute_short(const patch *p, const stretch *s) {
  const int32_t pairs = s->pairs, advance = s->advance, pixel_stride = s->pixel_stride;
  const uint32_t *x = p->strip;
  int8_t *output = s->output;
  int32_t n;
  for (n = s->count; n > 0; --n) {
    mcufit_store_s8x4(output, output_word(x, p->block, pairs));
    x += advance;
    output += pixel_stride;
  }
}

static MCUFIT_NOINLINE void compute_exactly(const patch *p, const stretch *s) {
  const mcufit_requantization *q = &p->step->requantization;
  const uint32_t *x = p->strip;
  int8_t *output = s->output;
  int32_t n;
  for (n = s->count; n > 0; --n) {
    const sums all = sum_pairs(x, p->block, s->pairs);
    output[0] = requantized(q, s->channel, all.a);
    output[1] = requantized(q, s->channel + 1, all.b);
    output[2] = requantized(q, s->channel + 2, all.c);
    output[3] = requantized(q, s->channel + 3, all.d);
    x += s->advance;
    output += s->pixel_stride;
  }
}

/* A row of the block from `channel` on. */
static void compute_block(patch *p, int32_t channel, int8_t *output) {
  const mcufit_window *window = &p->step->window;
  stretch s;
  int32_t first;
  s.channel = channel;
  s.pairs = ((int32_t)window->kernel_height * window->kernel_width + 1) >> 1;
  s.pixel_stride = p->step->output.pixel_stride;
  s.advance = (int32_t)window->stride_width * window->kernel_height;
  for (first = 0; first < window->output_width; first += p->most_columns) {
    const int32_t left = window->output_width - first;
    s.count = left < p->most_columns ? left : p->most_columns;
    s.output = output + first * s.pixel_stride + channel;
    gather(p, channel, first * window->stride_width - window->pad_left,
           (s.count - 1) * window->stride_width + window->kernel_width);
    if (p->short_form)
      compute_short(p, &s);
    else
      compute_exactly(p, &s);
  }
}

/* The output of one channel that reads input channel `from`, for those that fill no block. */
static int8_t compute_one(const patch *p, int32_t column, int32_t from, int32_t channel) {
  const mcufit_window *window = &p->step->window;
  const int8_t *w = p->step->filter + channel;
  int32_t sum = p->step->bias[channel];
  int32_t row = p->row;
  int32_t k, i;
  for (k = 0; k < window->kernel_height; ++k) {
    const int inside = k >= p->rows.first && k < p->rows.end;
    int32_t at = column;
    for (i = 0; i < window->kernel_width; ++i) {
      sum += *w * (inside && at >= 0 && at < window->input_width
                       ? p->input[row + at * p->step->input.pixel_stride + from]
                       : p->step->input_zero_point);
      at += window->dilation_width;
      w += window->output_channels;
    }
    if (inside) row += p->row_step;
    if (row >= p->ring_bytes) row -= p->ring_bytes;
  }
  return requantized(&p->step->requantization, channel, sum);
}

/* A row, channel by channel. */
static MCUFIT_NOINLINE void compute_slowly(const patch *p, int8_t *output) {
  const mcufit_window *window = &p->step->window;
  const int32_t multiplier = window->output_channels / window->input_channels;
  int32_t column = -(int32_t)window->pad_left;
  int32_t i, c;
  for (i = window->output_width; i > 0; --i) {
    for (c = 0; c < window->output_channels; ++c) output[c] = compute_one(p, column, c / multiplier, c);
    column += window->stride_width;
    output += p->step->output.pixel_stride;
  }
}

/* Output rows [first, end) of the block from `channel` on; of all channels, where it is negative. */
static void compute_rows(patch *p, int8_t *arena, int32_t channel, int16_t first, int16_t end) {
  const mcufit_depthwise_conv2d_s8_step *step = p->step;
  const mcufit_window *window = &step->window;
  const int32_t span = (window->kernel_height - 1) * (int32_t)window->dilation_height + 1;
  int16_t y;
  if (channel >= 0) load_block(p, channel);
  for (y = first; y < end; ++y) {
    const int32_t origin = (int32_t)y * window->stride_height - window->pad_top;
    int8_t *output = arena + step->output.offset + mcufit_row(&step->output, y);
    p->rows.first = 0;
    p->rows.end = window->kernel_height;
    if (origin < 0 || origin + span > window->input_height)
      p->rows = mcufit_inside(origin, window->dilation_height, window->kernel_height, window->input_height);
    p->row = mcufit_row(&step->input, origin + (int32_t)p->rows.first * window->dilation_height);
    if (channel >= 0)
      compute_block(p, channel, output);
    else
      compute_slowly(p, output);
  }
}

/* How many output columns the strip serves at once. */
static int32_t most_columns(const mcufit_window *window) {
  const int32_t columns = STRIP / window->kernel_height;
  if (window->output_channels != window->input_channels || window->output_channels < BLOCK ||
      (int32_t)window->kernel_height * window->kernel_width > TAPS || columns < window->kernel_width ||
      window->dilation_width != 1)
    return 0;
  return (columns - window->kernel_width) / window->stride_width + 1;
}

/* The last block overlaps the one before where channels do not come by fours. */
void mcufit_depthwise_conv2d_s8(const mcufit_depthwise_conv2d_s8_step *step, int8_t *arena, int16_t first_row,
                                int16_t end_row) {
  const int32_t channels = step->window.output_channels;
  patch p;
  int32_t c;
  p.step = step;
  p.input = arena + step->input.offset;
  p.row_step = step->window.dilation_height * step->input.row_stride;
  p.ring_bytes = step->input.ring_rows * step->input.row_stride;
  p.most_columns = most_columns(&step->window);
  p.short_form = mcufit_dsp_short_form(&step->requantization, step->bias, 0, channels);
  if (p.most_columns == 0) {
    compute_rows(&p, arena, -1, first_row, end_row);
    return;
  }
  for (c = 0; c < channels; c += BLOCK)
    compute_rows(&p, arena, c + BLOCK <= channels ? c : channels - BLOCK, first_row, end_row);
}
