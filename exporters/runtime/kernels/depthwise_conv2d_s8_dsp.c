/* SPDX-License-Identifier: Apache-2.0 */
/* Four channels at a time, each of which has an input channel of its own. Their bytes under a stretch of an
   output row are gathered column by column, padding included, so that every window is one run of words; two
   words give the four channels a pair of taps each, and the filter is paired likewise once per call. */
#define MCUFIT_DSP_SMALL
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

/* Three rows of words, [column][row] when they are gathered. */
typedef struct {
  int32_t second, third; /* bytes from the first row */
  int32_t stride;        /* bytes from a column to the next */
} three_rows;

/* Output pixels of a block, the first of which begins the strip. */
typedef struct {
  const uint32_t *block;
  int32_t pairs; /* of taps */
  int8_t *output;
  int32_t pixel_stride; /* of the output */
  int32_t step;         /* bytes of the strip from the end of a window to the next one */
  const int8_t *end;    /* of the output */
} stretch;

/* A row of output pixels, and what is the same for all. */
typedef struct {
  const mcufit_depthwise_conv2d_s8_step *step;
  int8_t *arena;
  int32_t taps;      /* of a filter */
  three_rows filter; /* where the kernel has three rows */
  stretch pixels;
  int32_t most_columns; /* output columns of a stretch; 0 where blocks cannot be computed so */
  int short_form;
  int32_t y; /* the row; -1: none yet */
  int32_t first_below,
      last_below;     /* rows whose input and output lie below those of the row before, all inside */
  int32_t input_step; /* bytes from the input of one of them to the next one's */
  mcufit_taps rows;   /* of the kernel, inside */
  const int8_t *row;  /* the first of them */
  three_rows three;   /* where the kernel has three rows: one that is outside is read as one that is inside */
  int8_t *output;
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

/* Copies columns, the first of which is at x, to [to, end). */
static MCUFIT_NOINLINE uint32_t *copy_columns(const three_rows *rows, const int8_t *x, uint32_t *to,
                                              const uint32_t *end) {
  const int32_t second = rows->second, third = rows->third, stride = rows->stride;
  while (to < end) {
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
    x += stride;
  }
  return to;
}

/* The filter's words from `channel` on, column by column, and one of zeros, to the strip. */
static void gather_filter(patch *p, int32_t channel) {
  const mcufit_window *window = &p->step->window;
  const int8_t *column = p->step->filter + channel;
  uint32_t *to = p->strip;
  uint32_t *const end = to + p->taps;
  *end = 0;
  if (window->kernel_height == 3) to = copy_columns(&p->filter, column, to, end);
  while (to != end) {
    const int8_t *tap = column;
    int32_t k;
    for (k = window->kernel_height; k > 0; --k) {
      *to++ = mcufit_load_s8x4(tap);
      tap += p->filter.second;
    }
    column += p->filter.stride;
  }
}

/* The pairs of taps of words [x, end), and of one more where they are odd, twice as large. */
static inline uint32_t *double_pairs(const uint32_t *x, const uint32_t *end, uint32_t *to) {
#if defined(MCUFIT_ISA_DSP)
  __asm__ volatile(
      "1:\n\t"
      "ldrd r4, r5, [%[x]], #8\n\t"
      "pkhbt r6, r4, r5, lsl #16\n\t"
      "pkhtb r5, r5, r4, asr #16\n\t"
      "sxtb16 r8, r6\n\t"
      "sxtb16 r9, r6, ror #8\n\t"
      "sxtb16 r10, r5\n\t"
      "sxtb16 r11, r5, ror #8\n\t"
      "sxtab16 r8, r8, r6\n\t"
      "sxtab16 r9, r9, r6, ror #8\n\t"
      "sxtab16 r10, r10, r5\n\t"
      "sxtab16 r11, r11, r5, ror #8\n\t"
      "stmia %[to]!, {r8, r9, r10, r11}\n\t"
      "cmp %[x], %[end]\n\t"
      "bcc 1b"
      : [x] "+r"(x), [to] "+r"(to)
      : [end] "r"(end)
      : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "cc", "memory");
#else
  for (; x < end; x += 2) {
    const tap_pair pair = pair_of(x[0], x[1]);
    *to++ = (pair.a & 0x7FFF7FFFU) << 1;
    *to++ = (pair.b & 0x7FFF7FFFU) << 1;
    *to++ = (pair.c & 0x7FFF7FFFU) << 1;
    *to++ = (pair.d & 0x7FFF7FFFU) << 1;
  }
#endif
  return to;
}

/* Four biases, twice as large where they are `doubled`. */
static inline uint32_t *put_biases(const int32_t *bias, int doubled, uint32_t *to) {
#if defined(MCUFIT_ISA_DSP)
  __asm__ volatile(
      "ldmia %[bias], {r4, r5, r6, r8}\n\t"
      "lsl r4, r4, %[doubled]\n\t"
      "lsl r5, r5, %[doubled]\n\t"
      "lsl r6, r6, %[doubled]\n\t"
      "lsl r8, r8, %[doubled]\n\t"
      "stmia %[to]!, {r4, r5, r6, r8}"
      : [to] "+r"(to)
      : [bias] "r"(bias), [doubled] "r"(doubled)
      : "r4", "r5", "r6", "r8", "memory");
#else
  int i;
  for (i = 0; i < BLOCK; ++i) *to++ = (uint32_t)bias[i] << doubled;
#endif
  return to;
}

/* Four scales of the short form: multiplier, addend, bits. */
static inline void put_scales(const mcufit_requantization *q, int32_t channel, uint32_t *to) {
#if defined(MCUFIT_ISA_DSP)
  const int32_t *multiplier = q->multiplier + channel;
  const int8_t *shift = q->shift + channel;
#define MCUFIT_SCALE                \
  "ldrsb r6, [%[shift]], #1\n\t"    \
  "ldr r4, [%[multiplier]], #4\n\t" \
  "mvn r5, r6\n\t"                  \
  "lsl r5, %[rounding], r5\n\t"     \
  "rsb r6, r6, #0\n\t"              \
  "stmia %[to]!, {r4, r5, r6}\n\t"
  __asm__ volatile(MCUFIT_SCALE MCUFIT_SCALE MCUFIT_SCALE MCUFIT_SCALE
                   : [multiplier] "+r"(multiplier), [shift] "+r"(shift), [to] "+r"(to)
                   : [rounding] "r"(2 * q->output_zero_point + 1)
                   : "r4", "r5", "r6", "memory");
#undef MCUFIT_SCALE
#else
  int i;
  for (i = 0; i < BLOCK; ++i) {
    const mcufit_dsp_scale scale = mcufit_dsp_scale_of(q, channel + i);
    *to++ = (uint32_t)scale.multiplier;
    *to++ = (uint32_t)scale.addend;
    *to++ = (uint32_t)scale.bits;
  }
#endif
}

/* The block from `channel` on; it leaves the filter's words in the strip. */
static MCUFIT_NOINLINE void load_block(patch *p, int32_t channel) {
  uint32_t *to;
  uint32_t *word;
  gather_filter(p, channel);
  word = put_biases(p->step->bias + channel, p->short_form, p->block);
  to = double_pairs(p->strip, p->strip + p->taps, word);
  if (p->short_form) {
    put_scales(&p->step->requantization, channel, to);
    return;
  }
  for (; word != to; ++word) *word = mcufit_s16_pair(mcufit_low_s16(*word) / 2, mcufit_high_s16(*word) / 2);
}

/* One kernel row of the strip, of which only the columns from `column` on that are inside are read. */
static MCUFIT_NOINLINE void gather_row(const patch *p, const int8_t *row, int32_t column, int32_t columns,
                                       uint32_t *to) {
  const mcufit_window *window = &p->step->window;
  const uint32_t outside = (uint8_t)p->step->input_zero_point * 0x01010101U;
  for (; columns > 0; --columns) {
    *to = row != 0 && (uint32_t)column < (uint32_t)window->input_width
              ? mcufit_load_s8x4(row + column * p->step->input.pixel_stride)
              : outside;
    to += window->kernel_height;
    ++column;
  }
}

/* Where row `from` of the kernel's lies, a ring's row below those before. */
static const int8_t *row_at(const patch *p, int32_t k) {
  const int32_t origin = p->y * p->step->window.stride_height - p->step->window.pad_top;
  return p->arena + p->step->input.offset +
         mcufit_row(&p->step->input, origin + k * p->step->window.dilation_height);
}

/* Columns of three rows. */
static uint32_t *fill(uint32_t value, uint32_t *to, const uint32_t *end) {
  for (; to < end; to += 3) to[0] = to[1] = to[2] = value;
  return to;
}

/* Three kernel rows in one pass; then those outside are overwritten. */
static inline void gather_three(patch *p, int32_t channel, int32_t column, int32_t columns) {
  const uint32_t outside = (uint8_t)p->step->input_zero_point * 0x01010101U;
  const int32_t left = p->step->window.input_width - column;
  const int32_t before = column < 0 ? -column : 0;
  const int8_t *x = p->row + channel + (column + before) * p->three.stride;
  uint32_t *const end = p->strip + 3 * columns;
  uint32_t *to = p->strip;
  int32_t k;
  to = fill(outside, to, before < columns ? to + 3 * before : end);
  to = copy_columns(&p->three, x, to, left < columns ? p->strip + 3 * left : end);
  fill(outside, to, end);
  for (k = 0; k < 3 && p->rows.end - p->rows.first != 3; ++k) {
    if (k >= p->rows.first && k < p->rows.end) continue;
    for (to = p->strip + k; to < end; to += 3) *to = outside;
  }
}

/* The input under `columns` input columns from `column` on, for the block from `channel` on. */
static MCUFIT_NOINLINE void gather(patch *p, int32_t channel, int32_t column, int32_t columns) {
  int32_t k;
  for (k = 0; k < p->step->window.kernel_height; ++k) {
    const int inside = k >= p->rows.first && k < p->rows.end;
    gather_row(p, inside ? row_at(p, k) + channel : 0, column, columns, p->strip + k);
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

static MCUFIT_NOINLINE int8_t requantized(const mcufit_requantization *q, int32_t channel, int32_t sum) {
  const int32_t scaled = mcufit_requantize(sum, q->multiplier[channel], q->shift[channel]);
  return mcufit_clamp(scaled + q->output_zero_point, q->output_min, q->output_max);
}

/* Where the short form holds. */
static inline void compute_short(const uint32_t *x, stretch *s) {
#if defined(MCUFIT_ISA_DSP)
  uint32_t w, n, first, second, low;
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
  "add r10, r10, " sum              \
  ", asr #31\n\t"                   \
  "smmlar " sum ", " sum            \
  ", r9, r10\n\t"                   \
  "asr " sum ", " sum               \
  ", r11\n\t"                       \
  "ssat " sum ", #8, " sum "\n\t"
  __asm__ volatile(
      "1:\n\t"
      "ldrd %[w], %[n], %[block]\n\t" /* and pairs */
      "ldmia %[w]!, {r4, r5, r6, r8}\n\t"
      "lsrs %[n], %[n], #1\n\t"
      "bcc 2f\n\t" MCUFIT_PAIR "beq 3f\n"
      "2:\n\t" MCUFIT_PAIR MCUFIT_PAIR
      "subs %[n], %[n], #1\n\t"
      "bne 2b\n"
      "3:\n\t" MCUFIT_SCALED("r4") MCUFIT_SCALED("r5") MCUFIT_SCALED("r6") MCUFIT_SCALED("r8")
      "ldrd %[w], %[n], %[output]\n\t" /* and pixel stride */
      "bfi r4, r5, #8, #8\n\t"
      "bfi r4, r6, #16, #8\n\t"
      "bfi r4, r8, #24, #8\n\t"
      "str r4, [%[w]]\n\t"
      "add %[w], %[n]\n\t"
      "str %[w], %[output]\n\t"
      "ldrd %[low], %[n], %[step]\n\t" /* and end */
      "add %[x], %[low]\n\t"
      "cmp %[w], %[n]\n\t"
      "bne 1b"
      : [x] "+r"(x), [w] "=&r"(w), [n] "=&r"(n), [first] "=&r"(first), [second] "=&r"(second),
        [low] "=&r"(low), [output] "+m"(s->output)
      : [block] "m"(s->block), [step] "m"(s->step), "m"(s->pairs), "m"(s->pixel_stride), "m"(s->end)
      : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
#undef MCUFIT_PAIR
#undef MCUFIT_SCALED
#else
  for (; s->output != s->end; s->output += s->pixel_stride) {
    const sums all = sum_pairs(x, s->block, s->pairs);
    const int32_t doubled[BLOCK] = {all.a, all.b, all.c, all.d};
    const uint32_t *w = s->block + 4 + 4 * s->pairs;
    int32_t i;
    for (i = 0; i < BLOCK; ++i) {
      const mcufit_dsp_scale scale = {(int32_t)w[0], (int32_t)w[1], (int32_t)w[2]};
      s->output[i] = (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale_doubled(doubled[i], scale));
      w += 3;
    }
    x += 2 * s->pairs + s->step / 4;
  }
#endif
}

static MCUFIT_NOINLINE void compute_exactly(const mcufit_requantization *q, int32_t channel,
                                            const uint32_t *x, const stretch *s) {
  int8_t *output = s->output;
  for (; output != s->end; output += s->pixel_stride) {
    const sums all = sum_pairs(x, s->block, s->pairs);
    output[0] = requantized(q, channel, all.a);
    output[1] = requantized(q, channel + 1, all.b);
    output[2] = requantized(q, channel + 2, all.c);
    output[3] = requantized(q, channel + 3, all.d);
    x += 2 * s->pairs + s->step / 4;
  }
}

/* A row of the block from `channel` on. */
static void compute_block(patch *p, int32_t channel) {
  const mcufit_window *window = &p->step->window;
  const int32_t stride = window->stride_width;
  int32_t left = window->output_width;
  int32_t column = -(int32_t)window->pad_left;
  int8_t *output = p->output + channel;
  while (left > 0) {
    const int32_t count = left < p->most_columns ? left : p->most_columns;
    const int32_t columns = (count - 1) * stride + window->kernel_width;
    if (window->kernel_height == 3 && p->rows.first < p->rows.end)
      gather_three(p, channel, column, columns);
    else
      gather(p, channel, column, columns);
    p->pixels.output = output;
    output += count * p->pixels.pixel_stride;
    p->pixels.end = output;
    if (p->short_form)
      compute_short(p->strip, &p->pixels);
    else
      compute_exactly(&p->step->requantization, channel, p->strip, &p->pixels);
    column += count * stride;
    left -= count;
  }
}

/* The output of one channel that reads input channel `from`, for those that fill no block. */
static int8_t compute_one(const patch *p, int32_t column, int32_t from, int32_t channel) {
  const mcufit_window *window = &p->step->window;
  const int8_t *w = p->step->filter + channel;
  int32_t sum = p->step->bias[channel];
  int32_t k, i;
  for (k = 0; k < window->kernel_height; ++k) {
    const int8_t *row = k >= p->rows.first && k < p->rows.end ? row_at(p, k) + from : 0;
    int32_t at = column;
    for (i = 0; i < window->kernel_width; ++i) {
      sum += *w * (row != 0 && at >= 0 && at < window->input_width ? row[at * p->step->input.pixel_stride]
                                                                   : p->step->input_zero_point);
      at += window->dilation_width;
      w += window->output_channels;
    }
  }
  return requantized(&p->step->requantization, channel, sum);
}

/* A row, channel by channel. */
static MCUFIT_NOINLINE void compute_slowly(const patch *p) {
  const mcufit_window *window = &p->step->window;
  const int32_t multiplier = window->output_channels / window->input_channels;
  int8_t *output = p->output;
  int32_t column = -(int32_t)window->pad_left;
  int32_t i, c;
  for (i = window->output_width; i > 0; --i) {
    for (c = 0; c < window->output_channels; ++c) output[c] = compute_one(p, column, c / multiplier, c);
    column += window->stride_width;
    output += p->step->output.pixel_stride;
  }
}

/* Bytes from the row that begins at `row` of the ring to the kernel's next one. */
static inline int32_t row_below(const mcufit_depthwise_conv2d_s8_step *step, int32_t row) {
  const int32_t down = step->window.dilation_height * step->input.row_stride;
  const int32_t ring = step->input.ring_rows * step->input.row_stride;
  return row + down < ring ? down : down - ring;
}

static MCUFIT_NOINLINE void start_row(patch *p, int32_t y) {
  const mcufit_depthwise_conv2d_s8_step *step = p->step;
  const mcufit_window *window = &step->window;
  const int32_t origin = y * window->stride_height - window->pad_top;
  const int32_t span = (window->kernel_height - 1) * (int32_t)window->dilation_height + 1;
  int32_t at;
  p->y = y;
  p->output = p->arena + step->output.offset + mcufit_row(&step->output, y);
  p->rows.first = 0;
  p->rows.end = window->kernel_height;
  if (origin < 0 || origin + span > window->input_height)
    p->rows = mcufit_inside(origin, window->dilation_height, window->kernel_height, window->input_height);
  if (p->rows.first == p->rows.end) return;
  at = mcufit_row(&step->input, origin + p->rows.first * window->dilation_height);
  p->row = p->arena + step->input.offset + at;
  p->three.second = p->rows.first < 1 && p->rows.end > 1 ? row_below(step, at) : 0;
  at += p->three.second;
  p->three.third = p->three.second + (p->rows.first < 2 && p->rows.end > 2 ? row_below(step, at) : 0);
}

/* Rows that start_row() need not look at, where neither rows of the input nor of the output wrap around. */
static void find_rows_below(patch *p, int32_t end_row) {
  const mcufit_depthwise_conv2d_s8_step *step = p->step;
  const mcufit_window *window = &step->window;
  const int32_t span = (window->kernel_height - 1) * (int32_t)window->dilation_height + 1;
  const int32_t last_origin = window->input_height - span;
  p->input_step = window->stride_height * step->input.row_stride;
  p->first_below = (window->pad_top + window->stride_height - 1) / window->stride_height + 1;
  p->last_below = -1;
  if (step->input.ring_rows >= window->input_height && step->output.ring_rows >= end_row && last_origin >= 0)
    p->last_below = (last_origin + window->pad_top) / window->stride_height;
}

static inline void move_to_row(patch *p, int32_t y) {
  if (y != p->y + 1 || y < p->first_below || y > p->last_below) {
    if (y != p->y) start_row(p, y);
    return;
  }
  p->y = y;
  p->row += p->input_step;
  p->output += p->step->output.row_stride;
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
  const mcufit_window *window = &step->window;
  const int32_t channels = window->output_channels;
  patch p;
  int32_t c, y;
  p.step = step;
  p.arena = arena;
  p.y = -1;
  p.taps = (int32_t)window->kernel_height * window->kernel_width;
  p.filter.second = window->kernel_width * channels;
  p.filter.third = 2 * p.filter.second;
  p.filter.stride = channels;
  p.three.stride = step->input.pixel_stride;
  p.pixels.block = p.block;
  p.pixels.pairs = (p.taps + 1) >> 1;
  p.pixels.pixel_stride = step->output.pixel_stride;
  p.pixels.step = 4 * (window->stride_width * window->kernel_height - 2 * p.pixels.pairs);
  p.most_columns = most_columns(window);
  find_rows_below(&p, end_row);
  p.short_form = step->requantization.short_form;
  for (y = first_row; y < end_row && p.most_columns == 0; ++y) {
    start_row(&p, y);
    compute_slowly(&p);
  }
  for (c = 0; c < channels && p.most_columns != 0; c += BLOCK) {
    const int32_t channel = c + BLOCK <= channels ? c : channels - BLOCK;
    load_block(&p, channel);
    for (y = first_row; y < end_row; ++y) {
      move_to_row(&p, y);
      compute_block(&p, channel);
    }
  }
}
