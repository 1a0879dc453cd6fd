/* SPDX-License-Identifier: Apache-2.0 */
/* Four channels at a time, each of which has an input channel of its own. Their bytes under a stretch of an
   output row are gathered column by column, padding included, so that every window is one run of words; two
   words give the four channels a pair of taps each, and the filter lies likewise: MCUFIT_INTERLEAVED. */
#define MCUFIT_SMALL
#include "mcufit_dsp.h"
#include "mcufit_scratch.h"

/* Of step's `interleaved`. */
#define WIDE 2

/* Two taps, for each channel of a block; a last single one beside 0. */
typedef struct {
  mcufit_s16x2 a, b, c, d;
} tap_pair;

typedef struct {
  int32_t a, b, c, d;
} sums;

/* Output pixels of a block, the first of which begins the strip. */
typedef struct {
  const uint32_t *block;
  int32_t pairs; /* of taps */
  int8_t *output;
  int32_t pixel_stride; /* of the output */
  int32_t step;         /* bytes of the strip from the end of a window to the next one */
  const int8_t *end;    /* of the output */
} stretch;

/* What the next block is made of; where it ends the one after it begins. Two taps of the filter are two
   words, a0 b0 a1 b1 and c0 d0 c1 d1, a last single one is a b c d. */
typedef struct {
  const int32_t *bias;
  int32_t doubled; /* bits by which biases are shifted: 1 in the short form, else all of them */
  const uint32_t *words;
  int32_t taps;
  const int32_t *multiplier;
  const int8_t *shift;
  int32_t rounding; /* of a scale by one bit, and the output's zero point */
} source;

/* A stretch of output columns, row by row, and what is the same for all rows. */
typedef struct {
  const mcufit_depthwise_conv2d_s8_step *step;
  int8_t *arena;
  source blocks;
  int32_t wide_block; /* words of a block that is computed with where the filter is, else 0 */
  stretch pixels;
  uint32_t zero_points; /* four */
  /* Words of the strip whose column the input has, from its first kernel row's on; of three kernel rows,
     which are gathered in one pass, the same end. */
  uint32_t *inside;
  const uint32_t *end_three, *end_inside;
  int32_t row_offset;     /* bytes of an input row in front of that column */
  int32_t output_offset;  /* bytes of an output row in front of the stretch */
  int32_t output_bytes;   /* of the stretch */
  int32_t y, first, last; /* the row, and those of the call */
  int32_t last_below; /* the last row whose input and output lie below those of the row before, all inside */
  int32_t input_step; /* bytes from the input of such a row to the next one's */
  uint32_t outside;   /* a bit for each of three kernel rows that is; all where they are not three */
  const int8_t *row;  /* the first of three */
  int32_t second, third; /* bytes from there */
  int8_t *output;
  /* In the scratch: a block's biases, its filter's pairs of taps, column by column, then its scales. In the
     short form biases are doubled, without it they are 0; pairs always are, which the upper product asks of
     sums. */
  uint32_t *block;
  uint32_t *strip; /* [input column][kernel row] of four channels, and a word that is read but not used */
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

/* The words of a block whose channels lie tap by tap. They go to the end of where load_block() makes four
   words of two, so that it has read each before it writes there. */
static MCUFIT_NOINLINE const uint32_t *gather_filter(patch *p, const int8_t *tap, int32_t channels) {
  uint32_t *const words = p->strip - p->blocks.taps;
  uint32_t *to = words;
  int32_t left = p->blocks.taps;
  for (; left > 1; left -= 2) {
    const uint32_t first = mcufit_load_s8x4(tap), second = mcufit_load_s8x4(tap + channels);
    *to++ = mcufit_low_halves(first, second);
    *to++ = mcufit_high_halves(first, second);
    tap += 2 * channels;
  }
  if (left != 0) *to = mcufit_load_s8x4(tap);
  return words;
}

/* Puts the next block where it is computed with. Of a scale's bits the lowest byte counts. */
static MCUFIT_NOINLINE void load_block(source *from, uint32_t *to) {
#if defined(MCUFIT_DSP_LOOPS)
  uint32_t x;
#define MCUFIT_SCALE(multiplier) \
  "lsl r12, r6, %[x]\n\t"        \
  "stmia %[to]!, {" multiplier ", r12, lr}\n\t"
#define MCUFIT_NEXT         \
  "lsrs %[x], %[x], #8\n\t" \
  "lsr lr, lr, #8\n\t"
  __asm__ volatile(
      "ldrd r4, r5, [%[from]]\n\t" /* bias, doubled */
      "ldmia r4!, {r8, r9, r10, r11}\n\t"
      "lsl r8, r8, r5\n\t"
      "lsl r9, r9, r5\n\t"
      "lsl r10, r10, r5\n\t"
      "lsl r11, r11, r5\n\t"
      "stmia %[to]!, {r8, r9, r10, r11}\n\t"
      "str r4, [%[from]], #8\n\t"
      "ldrd %[x], r6, [%[from]]\n\t" /* words, taps */
      "subs r6, #1\n\t"
      "beq 3f\n"
      "1:\n\t"
      "ldrd r4, r5, [%[x]], #8\n"
      "2:\n\t"
      "sxtb16 r8, r4\n\t"
      "sxtb16 r9, r4, ror #8\n\t"
      "sxtb16 r10, r5\n\t"
      "sxtb16 r11, r5, ror #8\n\t"
      "sxtab16 r8, r8, r4\n\t"
      "sxtab16 r9, r9, r4, ror #8\n\t"
      "sxtab16 r10, r10, r5\n\t"
      "sxtab16 r11, r11, r5, ror #8\n\t"
      "stmia %[to]!, {r8, r9, r10, r11}\n\t"
      "subs r6, #2\n\t"
      "bgt 1b\n\t"
      "bmi 4f\n"
      "3:\n\t"
      "ldr r5, [%[x]], #4\n\t"
      "uxth r4, r5\n\t"
      "lsrs r5, r5, #16\n\t"
      "b 2b\n"
      "4:\n\t"
      "str %[x], [%[from]], #8\n\t"
      "ldmia %[from], {r4, r5, r6}\n\t" /* multiplier, shift, rounding */
      "ldr %[x], [r5], #4\n\t"
      "ldmia r4!, {r8, r9, r10, r11}\n\t"
      "strd r4, r5, [%[from]]\n\t"
      "mvns %[x], %[x]\n\t" /* bits - 1 in each byte */
      "add lr, %[x], #0x01010101\n\t" MCUFIT_SCALE("r8") MCUFIT_NEXT MCUFIT_SCALE("r9")
          MCUFIT_NEXT MCUFIT_SCALE("r10") MCUFIT_NEXT MCUFIT_SCALE("r11")
      : [from] "+l"(from), [to] "+r"(to), [x] "=&l"(x)
      :
      : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
#undef MCUFIT_SCALE
#undef MCUFIT_NEXT
#else
  const uint32_t *x = from->words;
  int32_t i;
  for (i = 0; i < MCUFIT_DSP_BLOCK; ++i) *to++ = from->doubled == 1 ? (uint32_t)from->bias[i] << 1 : 0U;
  from->bias += MCUFIT_DSP_BLOCK;
  for (i = from->taps; i > 0; i -= 2) {
    const uint32_t words[2] = {i == 1 ? *x & 0xFFFFU : x[0], i == 1 ? *x >> 16 : x[1]};
    int32_t k;
    for (k = 0; k < 2; ++k) {
      *to++ = (mcufit_even_s8(words[k]) & 0x7FFF7FFFU) << 1;
      *to++ = (mcufit_odd_s8(words[k]) & 0x7FFF7FFFU) << 1;
    }
    x += i == 1 ? 1 : 2;
  }
  from->words = x;
  for (i = 0; i < MCUFIT_DSP_BLOCK; ++i) {
    const int32_t bits = -*from->shift++;
    *to++ = (uint32_t)*from->multiplier++;
    *to++ = (uint32_t)from->rounding << ((bits - 1) & 31);
    *to++ = (uint32_t)bits & 31U;
  }
#endif
}

/* Where row k of the kernel's lies; null where it is outside. */
static MCUFIT_NOINLINE const int8_t *row_at(const patch *p, int32_t k) {
  const mcufit_window *window = &p->step->window;
  const int32_t y = p->y * window->stride_height - window->pad_top + k * window->dilation_height;
  if ((uint32_t)y >= (uint32_t)window->input_height) return 0;
  return p->arena + p->step->input.offset + mcufit_row(&p->step->input, y);
}

/* The input under the stretch, for the block from `channel` on: of three kernel rows those outside alone. */
static MCUFIT_NOINLINE void gather(patch *p, int32_t channel) {
  const int32_t height = p->step->window.kernel_height;
  int32_t k;
  for (k = 0; k < height; ++k) {
    uint32_t *to = p->inside + k;
    int32_t stride = 0;
    const int8_t *x;
    if (height == 3 && (p->outside >> k & 1U) == 0) continue;
    x = row_at(p, k);
    if (x != 0) stride = p->step->input.pixel_stride;
    x = x != 0 ? x + p->row_offset + channel : (const int8_t *)&p->zero_points;
    for (; to < p->end_inside; to += height) {
      *to = mcufit_load_s8x4(x);
      x += stride;
    }
  }
}

/* The same of all three, of which those outside get some bytes. */
static inline void gather_three(patch *p, int32_t channel) {
  const int8_t *x = p->row + channel;
  const int32_t stride = p->step->input.pixel_stride;
#if defined(MCUFIT_DSP_LOOPS)
  __asm__ volatile(
      "ldrd r8, r9, %[second]\n\t"   /* and third */
      "ldrd r10, r11, %[inside]\n\t" /* and end_three */
      "b 2f\n"
      "1:\n\t"
      "ldr r4, [%[x]]\n\t"
      "ldr r5, [%[x], r8]\n\t"
      "ldr r6, [%[x], r9]\n\t"
      "stmia r10!, {r4, r5, r6}\n\t"
      "add %[x], %[stride]\n"
      "2:\n\t"
      "cmp r10, r11\n\t"
      "bcc 1b"
      : [x] "+r"(x)
      : [second] "m"(p->second), [inside] "m"(p->inside), [stride] "r"(stride), "m"(p->third),
        "m"(p->end_three)
      : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "cc", "memory");
#else
  uint32_t *to = p->inside;
  while (to < p->end_three) {
    *to++ = mcufit_load_s8x4(x);
    *to++ = mcufit_load_s8x4(x + p->second);
    *to++ = mcufit_load_s8x4(x + p->third);
    x += stride;
  }
#endif
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

static MCUFIT_NOINLINE int8_t requantized(const mcufit_depthwise_conv2d_s8_step *step, int32_t channel,
                                          int32_t sum) {
  const mcufit_requantization *q = &step->requantization;
  const int32_t scaled =
      mcufit_requantize(sum + step->bias[channel], q->multiplier[channel], q->shift[channel]);
  return mcufit_clamp(scaled + q->output_zero_point, q->output_min, q->output_max);
}

/* Where the short form holds. */
static inline void compute_short(const uint32_t *x, stretch *s) {
#if defined(MCUFIT_DSP_LOOPS)
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
    const int32_t doubled[MCUFIT_DSP_BLOCK] = {all.a, all.b, all.c, all.d};
    const uint32_t *w = s->block + 4 + 4 * s->pairs;
    int32_t i;
    for (i = 0; i < MCUFIT_DSP_BLOCK; ++i) {
      const mcufit_dsp_scale scale = {(int32_t)w[0], (int32_t)w[1], (int32_t)w[2]};
      s->output[i] = (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale_doubled(doubled[i], scale));
      w += 3;
    }
    x += 2 * s->pairs + s->step / 4;
  }
#endif
}

static MCUFIT_NOINLINE void compute_exactly(const mcufit_depthwise_conv2d_s8_step *step, int32_t channel,
                                            const uint32_t *x, const stretch *s) {
  int8_t *output = s->output;
  for (; output != s->end; output += s->pixel_stride) {
    const sums all = sum_pairs(x, s->block, s->pairs);
    output[0] = requantized(step, channel, all.a / 2);
    output[1] = requantized(step, channel + 1, all.b / 2);
    output[2] = requantized(step, channel + 2, all.c / 2);
    output[3] = requantized(step, channel + 3, all.d / 2);
    x += 2 * s->pairs + s->step / 4;
  }
}

/* A row of the block from `channel` on. */
static inline void compute_row(patch *p, int32_t channel) {
  gather_three(p, channel);
  if (p->outside != 0) gather(p, channel);
  p->pixels.output = p->output + channel;
  p->pixels.end = p->pixels.output + p->output_bytes;
  if (p->blocks.doubled == 1)
    compute_short(p->strip, &p->pixels);
  else
    compute_exactly(p->step, channel, p->strip, &p->pixels);
}

/* The output of one channel that reads input channel `from`, for those that fill no block. */
static int8_t compute_one(const patch *p, int32_t column, int32_t from, int32_t channel) {
  const mcufit_window *window = &p->step->window;
  const int8_t *w = p->step->filter + channel;
  int32_t sum = 0;
  int32_t k, i;
  for (k = 0; k < window->kernel_height; ++k) {
    const int8_t *row = row_at(p, k);
    int32_t at = column;
    for (i = 0; i < window->kernel_width; ++i) {
      sum +=
          *w * (row != 0 && at >= 0 && at < window->input_width ? row[at * p->step->input.pixel_stride + from]
                                                                : p->step->input_zero_point);
      at += window->dilation_width;
      w += window->output_channels;
    }
  }
  return requantized(p->step, channel, sum);
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

/* One kernel row that is outside is read elsewhere, and then overwritten. */
static MCUFIT_NOINLINE void start_row(patch *p, int32_t y) {
  const mcufit_depthwise_conv2d_s8_step *step = p->step;
  const int8_t *rows[3];
  int32_t k;
  p->y = y;
  p->output = p->arena + step->output.offset + mcufit_row(&step->output, y) + p->output_offset;
  p->outside = step->window.kernel_height == 3 ? 0U : 7U;
  for (k = 0; k < 3; ++k) {
    rows[k] = row_at(p, k);
    if (rows[k] != 0) continue;
    rows[k] = p->arena;
    p->outside |= 1U << k;
  }
  p->row = rows[0] + p->row_offset;
  p->second = (int32_t)(rows[1] - rows[0]);
  p->third = (int32_t)(rows[2] - rows[0]);
}

/* Most rows lie below the one before, as input and output do unless they wrap around. */
static inline void move_to_next_row(patch *p) {
  const int32_t y = p->y + 1;
  if (p->outside != 0 || y > p->last_below) {
    start_row(p, y);
    return;
  }
  p->y = y;
  p->row += p->input_step;
  p->output += p->step->output.row_stride;
}

static MCUFIT_NOINLINE void fill(uint32_t value, uint32_t *to, const uint32_t *end) {
  while (to < end) *to++ = value;
}

/* `count` output columns from x on, whose columns in padding are written once. */
static MCUFIT_NOINLINE void start_stretch(patch *p, int32_t x, int32_t count) {
  const mcufit_window *window = &p->step->window;
  const int32_t height = window->kernel_height;
  const int32_t columns = (count - 1) * window->stride_width + window->kernel_width;
  const int32_t column = x * window->stride_width - window->pad_left;
  const int32_t before = column < 0 ? -column : 0; /* fewer than columns, as each window has one inside */
  int32_t end = window->input_width - column;
  if (end > columns) end = columns;
  p->inside = p->strip + before * height;
  p->end_inside = p->strip + end * height;
  p->end_three = height == 3 ? p->end_inside : p->inside;
  fill(p->zero_points, p->strip, p->inside);
  fill(p->zero_points, p->strip + end * height, p->strip + columns * height);
  p->row_offset = (column + before) * p->step->input.pixel_stride;
  p->output_offset = x * p->step->output.pixel_stride;
  p->output_bytes = count * p->step->output.pixel_stride;
  p->y = -1;
}

/* Block by block, the last of which overlaps the one before where channels do not come by fours: both of them
   are gathered. */
static inline void compute_stretch(patch *p) {
  const mcufit_depthwise_conv2d_s8_step *step = p->step;
  const int32_t channels = step->window.output_channels;
  const int32_t rest = channels % MCUFIT_DSP_BLOCK;
  const int32_t whole = rest != 0 ? channels - rest - MCUFIT_DSP_BLOCK : channels;
  source *blocks = &p->blocks;
  int32_t channel = 0;
  blocks->bias = step->bias;
  blocks->words = (const uint32_t *)(const void *)step->filter;
  blocks->multiplier = step->requantization.multiplier;
  blocks->shift = step->requantization.shift;
  p->pixels.block = p->block;
  for (;;) {
    if (p->wide_block != 0) {
      p->pixels.block = blocks->words;
      blocks->words += p->wide_block;
    } else {
      if (channel >= whole) {
        const int8_t *tap = step->filter + whole * (blocks->taps - 1) + channel;
        blocks->words = gather_filter(p, tap, channels - whole);
      }
      load_block(blocks, p->block);
    }
    if (p->y != p->first) start_row(p, p->first);
    for (;;) {
      compute_row(p, channel);
      if (p->y == p->last) break;
      move_to_next_row(p);
    }
    channel += MCUFIT_DSP_BLOCK;
    if (channel >= channels) return;
    if (channel + MCUFIT_DSP_BLOCK > channels) {
      channel -= MCUFIT_DSP_BLOCK - rest;
      blocks->bias -= MCUFIT_DSP_BLOCK - rest;
      blocks->multiplier -= MCUFIT_DSP_BLOCK - rest;
      blocks->shift -= MCUFIT_DSP_BLOCK - rest;
    }
  }
}

/* The last row that move_to_next_row() need not look for. */
static int32_t last_below(const mcufit_depthwise_conv2d_s8_step *step, int32_t end_row) {
  const mcufit_window *window = &step->window;
  const int32_t span = (window->kernel_height - 1) * (int32_t)window->dilation_height + 1;
  if (step->input.ring_rows < window->input_height || step->output.ring_rows < end_row) return -1;
  return (window->input_height - span + window->pad_top) / window->stride_height;
}

/* The filter is interleaved where blocks can be computed. */
void mcufit_depthwise_conv2d_s8(const mcufit_depthwise_conv2d_s8_step *step, int8_t *arena, int16_t first_row,
                                int16_t end_row) {
  const mcufit_window *window = &step->window;
  const int32_t height = window->kernel_height;
  const int32_t block_words = mcufit_depthwise_conv2d_s8_dsp_block_words(window);
  patch p;
  int32_t x, y, most;
  p.step = step;
  p.arena = arena;
  p.row_offset = 0;
  p.output_offset = 0;
  if (first_row >= end_row) return;
  if (!step->interleaved) {
    for (y = first_row; y < end_row; ++y) {
      start_row(&p, y);
      compute_slowly(&p);
    }
    return;
  }
  p.zero_points = (uint8_t)step->input_zero_point * 0x01010101U;
  p.blocks.taps = height * window->kernel_width;
  p.blocks.doubled = step->requantization.short_form ? 1 : 32;
  p.blocks.rounding = 2 * step->requantization.output_zero_point + 1;
  p.pixels.pairs = (p.blocks.taps + 1) >> 1;
  p.block = (uint32_t *)(void *)(arena + step->scratch);
  p.strip = p.block + block_words;
  p.wide_block = step->interleaved == WIDE ? block_words : 0;
  p.pixels.pixel_stride = step->output.pixel_stride;
  p.pixels.step = 4 * (window->stride_width * height - 2 * p.pixels.pairs);
  p.input_step = window->stride_height * step->input.row_stride;
  p.first = first_row;
  p.last = end_row - 1;
  p.last_below = last_below(step, end_row);
  most = (MCUFIT_DSP_STRIP / height - window->kernel_width) / window->stride_width + 1;
  for (x = 0; x < window->output_width; x += most) {
    const int32_t left = window->output_width - x;
    start_stretch(&p, x, left < most ? left : most);
    compute_stretch(&p);
  }
}
