/* SPDX-License-Identifier: Apache-2.0 */
/* Four output pixels at a time: their patches of the input are widened to int16 once, so that each word of a
   filter is loaded and widened once for 16 products. Long filters go in portions of DEPTH taps, and the sums
   of CHANNELS output channels wait for the next portion, so that the stack holds no more than these. */
#include "mcufit_dsp.h"

typedef char mcufit_conv2d_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_conv2d_s8_step) == MCUFIT_CONV2D_S8_STEP_BYTES ? 1 : -1];

#define LANES 4
#define DEPTH 144
#define CHANNELS 32
/* Words of four widened taps: (0, 2) of each lane, then (1, 3) of each. */
#define GROUP (2 * LANES)

/* The lanes' sums. */
typedef struct {
  int32_t a, b, c, d;
} sums;

/* One output pixel. */
typedef struct {
  int8_t *output;
  int32_t row, column; /* of its first tap in the input */
} pixel;

/* A tile of output pixels, and what is the same for all. */
typedef struct {
  const mcufit_conv2d_s8_step *step;
  const int8_t *input;
  int32_t filter_bytes;
  int32_t run;    /* bytes of a patch that are neighbours in memory: a row of it, or its pixels one by one */
  int32_t runs;   /* of a row */
  int short_form; /* of requantization, and no clamp but to int8 */
  pixel pixels[LANES];
  int neighbours; /* pixels of one row, with columns that are all inside and runs that come by fours */
  sums kept[CHANNELS];
  mcufit_s16x2 taps[DEPTH / 4 * GROUP];
  int8_t bytes[DEPTH]; /* taps of one pixel that lie not all in the input, or do not come by fours */
} tile;

/* Widens n taps, or up to 3 more, for one lane. */
static mcufit_s16x2 *widen(const int8_t *from, int32_t n, mcufit_s16x2 *to) {
  uint32_t word;
  for (; n > 4; n -= 8) {
    word = mcufit_load_s8x4(from);
    to[0] = mcufit_even_s8(word);
    to[LANES] = mcufit_odd_s8(word);
    word = mcufit_load_s8x4(from + 4);
    to[GROUP] = mcufit_even_s8(word);
    to[GROUP + LANES] = mcufit_odd_s8(word);
    to += 2 * GROUP;
    from += 8;
  }
  if (n > 0) {
    word = mcufit_load_s8x4(from);
    to[0] = mcufit_even_s8(word);
    to[LANES] = mcufit_odd_s8(word);
    to += GROUP;
  }
  return to;
}

static inline int8_t *copy_inline(const int8_t *from, int32_t n, int8_t *to) {
  for (; n >= 4; n -= 4) {
    mcufit_store_s8x4(to, mcufit_load_s8x4(from));
    from += 4;
    to += 4;
  }
  while (n-- > 0) *to++ = *from++;
  return to;
}

static MCUFIT_NOINLINE int8_t *copy(const int8_t *from, int32_t n, int8_t *to) {
  return copy_inline(from, n, to);
}

static MCUFIT_NOINLINE int8_t *fill(int8_t value, int32_t n, int8_t *to) {
  const uint32_t word = (uint8_t)value * 0x01010101U;
  for (; n >= 4; n -= 4) {
    mcufit_store_s8x4(to, word);
    to += 4;
  }
  for (; n > 0; --n) {
    *to++ = value;
    __asm__ volatile("" : : : "memory"); /* or the compiler calls memset, which is not there */
  }
  return to;
}

static inline int32_t between(int32_t x, int32_t low, int32_t high) {
  return x < low ? low : (x > high ? high : x);
}

/* Copies bytes [from, end) of a run, of which those outside [first, last) are not in the input. */
static int8_t *copy_clipped(const tile *t, const int8_t *run, int32_t from, int32_t end, int32_t first,
                            int32_t last, int8_t *to) {
  const int8_t outside = (int8_t)t->step->input_zero_point;
  first = between(first, from, end);
  last = between(last, first, end);
  to = copy(run + first, last - first, fill(outside, first - from, to));
  return fill(outside, end - last, to);
}

/* Widens taps [first, end) of a pixel's patch for one lane. Those outside the input are its zero point. */
static MCUFIT_NOINLINE void gather(tile *t, int lane, int32_t first, int32_t end) {
  const mcufit_view *view = &t->step->input;
  const mcufit_window *window = &t->step->window;
  const int32_t channels = window->input_channels;
  const int32_t step = window->dilation_height;
  const int by_fours = (t->run & 3) == 0;
  const int32_t nth = first / t->run;
  mcufit_s16x2 *to = t->taps + lane;
  int8_t *byte = t->bytes;
  int32_t row = t->pixels[lane].row + nth / t->runs * step;
  int32_t kx = nth % t->runs;
  int32_t from = first - nth * t->run;
  while (first < end) {
    const int32_t column = t->pixels[lane].column + kx * window->dilation_width;
    const int32_t upto = t->run - from < end - first ? t->run : from + end - first;
    const int inside = row >= 0 && row < window->input_height;
    const int8_t *x = t->input + column * (int32_t)view->pixel_stride;
    const int32_t left = -column * channels;
    const int32_t right = inside ? (window->input_width - column) * channels : left;
    if (inside) x += mcufit_row(view, row);
    if (left <= from && upto <= right) {
      if (by_fours)
        to = widen(x + from, upto - from, to);
      else
        byte = copy(x + from, upto - from, byte);
    } else {
      byte = copy_clipped(t, x, from, upto, left, right, byte);
      if (by_fours) {
        to = widen(t->bytes, upto - from, to);
        byte = t->bytes;
      }
    }
    first += upto - from;
    from = 0;
    if (++kx == t->runs) {
      kx = 0;
      row += step;
    }
  }
  if (by_fours) return;
  fill(0, (t->bytes - byte) & 3, byte);
  widen(t->bytes, (int32_t)(byte - t->bytes), to);
}

/* The same of a whole patch whose rows are runs. */
static MCUFIT_NOINLINE void gather_rows(tile *t, int lane) {
  const mcufit_view *view = &t->step->input;
  const mcufit_window *window = &t->step->window;
  const int8_t outside = (int8_t)t->step->input_zero_point;
  const int32_t column = t->pixels[lane].column;
  const int32_t run = t->run;
  const int32_t left = between(-column * window->input_channels, 0, run);
  const int32_t right = between((window->input_width - column) * window->input_channels, left, run);
  const int8_t *x = t->input + column * (int32_t)view->pixel_stride + left;
  int32_t row = t->pixels[lane].row;
  int8_t *byte = t->bytes;
  int32_t k;
  for (k = window->kernel_height; k > 0; --k) {
    if (row < 0 || row >= window->input_height) {
      byte = fill(outside, run, byte);
    } else {
      if (left > 0) byte = fill(outside, left, byte);
      byte = copy_inline(x + mcufit_row(view, row), right - left, byte);
      if (right < run) byte = fill(outside, run - right, byte);
    }
    row += window->dilation_height;
  }
  if (t->filter_bytes & 3) fill(0, 4 - (t->filter_bytes & 3), byte);
  widen(t->bytes, t->filter_bytes, t->taps + lane);
}

/* Widens n taps, a multiple of 4, for the four lanes, whose bytes lie `apart`. */
static inline mcufit_s16x2 *widen_four(const int8_t *from, int32_t apart, int32_t n, mcufit_s16x2 *to) {
#if defined(MCUFIT_ISA_DSP)
  const int8_t *third;
#define MCUFIT_WIDEN                    \
  "ldr r9, [%[x], %[s]]\n\t"            \
  "ldr r10, [%[x], %[s], lsl #1]\n\t"   \
  "ldr r11, [%[t], %[s], lsl #1]\n\t"   \
  "ldr r8, [%[x]], #4\n\t"              \
  "adds %[t], #4\n\t"                   \
  "sxtb16 r4, r8\n\t"                   \
  "sxtb16 r5, r9\n\t"                   \
  "sxtb16 r6, r10\n\t"                  \
  "sxtb16 r12, r11\n\t"                 \
  "stmia %[to]!, {r4, r5, r6, r12}\n\t" \
  "sxtb16 r8, r8, ror #8\n\t"           \
  "sxtb16 r9, r9, ror #8\n\t"           \
  "sxtb16 r10, r10, ror #8\n\t"         \
  "sxtb16 r11, r11, ror #8\n\t"         \
  "stmia %[to]!, {r8, r9, r10, r11}\n\t"
  __asm__ volatile(
      "tst %[n], #4\n\t"
      "beq 2f\n\t" MCUFIT_WIDEN
      "b 2f\n"
      "1:\n\t" MCUFIT_WIDEN MCUFIT_WIDEN
      "2:\n\t"
      "subs %[n], %[n], #8\n\t"
      "bpl 1b"
      : [x] "+r"(from), [t] "=&r"(third), [to] "+r"(to), [n] "+r"(n)
      : "1"(from + apart), [s] "r"(apart)
      : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
#undef MCUFIT_WIDEN
#else
  int32_t i;
  int lane;
  for (i = 0; i < n; i += 4) {
    for (lane = 0; lane < LANES; ++lane) {
      const uint32_t word = mcufit_load_s8x4(from + lane * apart + i);
      to[lane] = mcufit_even_s8(word);
      to[LANES + lane] = mcufit_odd_s8(word);
    }
    to += GROUP;
  }
#endif
  return to;
}

static mcufit_s16x2 *fill_four(int32_t value, int32_t n, mcufit_s16x2 *to) {
  const mcufit_s16x2 pair = mcufit_s16_pair(value, value);
  for (; n > 0; n -= 4) {
    to[0] = to[1] = to[2] = to[3] = to[4] = to[5] = to[6] = to[7] = pair;
    to += GROUP;
  }
  return to;
}

/* Widens taps [first, end) of neighbours whose runs come by fours. */
static MCUFIT_NOINLINE void gather_neighbours(tile *t, int32_t first, int32_t end) {
  const mcufit_view *view = &t->step->input;
  const mcufit_window *window = &t->step->window;
  const int32_t apart = window->stride_width * (int32_t)view->pixel_stride;
  const int32_t column_step = window->dilation_width * (int32_t)view->pixel_stride;
  const int32_t nth = first / t->run;
  const int32_t ky = nth / t->runs;
  const int8_t *column = t->input + t->pixels[0].column * (int32_t)view->pixel_stride;
  mcufit_s16x2 *to = t->taps;
  int32_t row = t->pixels[0].row + ky * window->dilation_height;
  int32_t kx = nth - ky * t->runs;
  int32_t from = first - nth * t->run;
  while (first < end) {
    const int32_t n = t->run - from < end - first ? t->run - from : end - first;
    if (row >= 0 && row < window->input_height)
      to = widen_four(column + mcufit_row(view, row) + kx * column_step + from, apart, n, to);
    else
      to = fill_four(t->step->input_zero_point, n, to);
    first += n;
    from = 0;
    if (++kx == t->runs) {
      kx = 0;
      row += window->dilation_height;
    }
  }
}

#if defined(MCUFIT_ISA_DSP)
/* A word of a filter, with the lanes' sums in r4, r5, r6, r8. */
#define MCUFIT_WORD                      \
  "ldr %[word], [%[w]], #4\n\t"          \
  "ldmia %[x]!, {r9, r10, r11, r12}\n\t" \
  "sxtb16 %[pair], %[word]\n\t"          \
  "smlad r4, %[pair], r9, r4\n\t"        \
  "smlad r5, %[pair], r10, r5\n\t"       \
  "smlad r6, %[pair], r11, r6\n\t"       \
  "smlad r8, %[pair], r12, r8\n\t"       \
  "ldmia %[x]!, {r9, r10, r11, r12}\n\t" \
  "sxtb16 %[pair], %[word], ror #8\n\t"  \
  "smlad r4, %[pair], r9, r4\n\t"        \
  "smlad r5, %[pair], r10, r5\n\t"       \
  "smlad r6, %[pair], r11, r6\n\t"       \
  "smlad r8, %[pair], r12, r8\n\t"
#endif

/* Adds to one lane's sum the products of a word of a filter. */
static inline int32_t add_word(const mcufit_s16x2 *x, uint32_t word, int32_t sum) {
  sum = mcufit_add_products(mcufit_even_s8(word), x[0], sum);
  return mcufit_add_products(mcufit_odd_s8(word), x[LANES], sum);
}

static MCUFIT_NOINLINE int8_t requantized(const mcufit_requantization *q, int32_t channel, int32_t sum) {
  const int32_t scaled = mcufit_requantize(sum, q->multiplier[channel], q->shift[channel]);
  return mcufit_clamp(scaled + q->output_zero_point, q->output_min, q->output_max);
}

/* Output channels whose filters may be read by words to the end: the taps after the last are zeros, so what
   is read there of the next filter adds nothing. The filters of the channels after them are copied first. */
static int32_t padded_end(const tile *t) {
  const int32_t channels = t->step->window.output_channels;
  if ((t->filter_bytes & 3) == 0) return channels;
  return channels - (t->filter_bytes < 3 ? 3 : 1);
}

/* Output channels [channel, end_channel), and taps [first, end) of them. */
typedef struct {
  int32_t channel, end_channel;
  int32_t first, end;
} portion;

/* What the channels of a portion have in common. */
typedef struct {
  const mcufit_s16x2 *taps;
  int32_t words;       /* of a filter */
  int32_t channel;     /* the next, counted from the portion's first */
  const int32_t *bias; /* that the sums start from; 0: they start from what was kept */
  sums *kept;
  int32_t rounding;          /* and the output's zero point, before the shift */
  const int32_t *multiplier; /* of the short form; 0: the sums are kept */
  const int8_t *shift;
  int32_t skip; /* bytes from the last word to the next channel's first */
  int32_t end;  /* the channel to stop at */
  int8_t *outputs[LANES];
} computation;

/* Computes the channels; w is the first one's filter. */
static MCUFIT_NOINLINE void compute_words(computation *next, const int8_t *w) {
#if defined(MCUFIT_ISA_DSP)
  uint32_t word, pair, x, n;
#define MCUFIT_RESCALE(sum) \
  "lsl " sum ", " sum       \
  ", #1\n\t"                \
  "add %[word], r11, " sum  \
  ", asr #31\n\t"           \
  "smmlar " sum ", " sum    \
  ", r9, %[word]\n\t"       \
  "asr " sum ", " sum       \
  ", r10\n\t"               \
  "ssat " sum ", #8, " sum "\n\t"
  __asm__ volatile(
      "1:\n\t"
      "ldrd %[pair], %[word], [%[k], #8]\n\t"
      "cmp %[word], #0\n\t"
      "beq 2f\n\t"
      "ldr r4, [%[word], %[pair], lsl #2]\n\t"
      "mov r5, r4\n\t"
      "mov r6, r4\n\t"
      "mov r8, r4\n"
      "3:\n\t"
      "ldrd %[x], %[n], [%[k]]\n\t"
      "lsrs %[pair], %[n], #1\n\t"
      "bcc 4f\n\t" MCUFIT_WORD
      "4:\n\t"
      "lsrs %[pair], %[n], #2\n\t"
      "bcc 5f\n\t" MCUFIT_WORD MCUFIT_WORD
      "5:\n\t"
      "lsrs %[n], %[n], #2\n\t"
      "beq 8f\n\t"
      "lsrs %[n], %[n], #1\n\t"
      "bcs 7f\n\t"
      "subs %[n], %[n], #1\n"
      "6:\n\t" MCUFIT_WORD MCUFIT_WORD MCUFIT_WORD MCUFIT_WORD
      "7:\n\t" MCUFIT_WORD MCUFIT_WORD MCUFIT_WORD MCUFIT_WORD
      "subs %[n], %[n], #1\n\t"
      "bpl 6b\n"
      "8:\n\t"
      "ldr %[pair], [%[k], #8]\n\t"
      "ldrd %[x], %[n], [%[k], #24]\n\t"
      "cmp %[x], #0\n\t"
      "beq 9f\n\t"
      "ldr %[word], [%[k], #20]\n\t"
      "ldr r9, [%[x], %[pair], lsl #2]\n\t"
      "ldrsb r10, [%[n], %[pair]]\n\t"
      "mvn r11, r10\n\t"
      "lsl r11, %[word], r11\n\t"
      "rsb r10, r10, #0\n\t"
      MCUFIT_RESCALE("r4") MCUFIT_RESCALE("r5") MCUFIT_RESCALE("r6") MCUFIT_RESCALE("r8")
      "add %[x], %[k], #40\n\t"
      "ldmia %[x], {r9, r10, r11, r12}\n\t"
      "strb r4, [r9, %[pair]]\n\t"
      "strb r5, [r10, %[pair]]\n\t"
      "strb r6, [r11, %[pair]]\n\t"
      "strb r8, [r12, %[pair]]\n"
      "10:\n\t"
      "ldrd %[x], %[n], [%[k], #32]\n\t"
      "adds %[pair], %[pair], #1\n\t"
      "str %[pair], [%[k], #8]\n\t"
      "add %[w], %[x]\n\t"
      "cmp %[pair], %[n]\n\t"
      "bne 1b\n\t"
      "b 11f\n"
      "2:\n\t"
      "ldr %[word], [%[k], #16]\n\t"
      "add %[word], %[word], %[pair], lsl #4\n\t"
      "ldmia %[word], {r4, r5, r6, r8}\n\t"
      "b 3b\n"
      "9:\n\t"
      "ldr %[x], [%[k], #16]\n\t"
      "add %[x], %[x], %[pair], lsl #4\n\t"
      "stmia %[x], {r4, r5, r6, r8}\n\t"
      "b 10b\n"
      "11:"
      : [w] "+r"(w), [x] "=&r"(x), [n] "=&r"(n), [word] "=&r"(word), [pair] "=&r"(pair)
      : [k] "r"(next)
      : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
#undef MCUFIT_RESCALE
#else
  for (; next->channel != next->end; ++next->channel) {
    const int32_t c = next->channel;
    const int32_t start = next->bias ? next->bias[c] : 0;
    sums s = {start, start, start, start};
    int32_t *const of_lane = &s.a;
    int32_t i;
    int lane;
    if (!next->bias) s = next->kept[c];
    for (lane = 0; lane < LANES; ++lane) {
      for (i = 0; i < next->words; ++i)
        of_lane[lane] = add_word(next->taps + i * GROUP + lane, mcufit_load_s8x4(w + 4 * i), of_lane[lane]);
    }
    if (!next->multiplier) next->kept[c] = s;
    for (lane = 0; lane < LANES && next->multiplier; ++lane) {
      mcufit_dsp_scale scale;
      scale.multiplier = next->multiplier[c];
      scale.bits = -next->shift[c];
      scale.addend = mcufit_shift_left(next->rounding, (int)(scale.bits - 1));
      next->outputs[lane][c] = (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale(of_lane[lane], scale));
    }
    w += 4 * next->words + next->skip;
  }
#endif
}

/* Writes the portion's channels, by the rule itself. */
static MCUFIT_NOINLINE void finish_four(const tile *t, const portion *p) {
  const mcufit_requantization *q = &t->step->requantization;
  const int32_t *sum = &t->kept[0].a;
  int32_t c;
  int lane;
  for (c = p->channel; c < p->end_channel; ++c) {
    for (lane = 0; lane < LANES; ++lane) t->pixels[lane].output[c] = requantized(q, c, *sum++);
  }
}

/* Four pixels. */
static MCUFIT_NOINLINE void compute_four(tile *t, const portion *p) {
  const mcufit_requantization *q = &t->step->requantization;
  const int32_t n = p->end - p->first;
  const int32_t channels = p->end_channel - p->channel;
  const int32_t readable = (n & 3) == 0 ? channels : padded_end(t) - p->channel;
  const int complete = p->end == t->filter_bytes;
  const int8_t *w = t->step->filter + p->channel * t->filter_bytes + p->first;
  computation next;
  int lane;
  next.taps = t->taps;
  next.words = (n + 3) >> 2;
  next.skip = t->filter_bytes - 4 * next.words;
  next.channel = 0;
  next.bias = p->first == 0 ? t->step->bias + p->channel : 0;
  next.kept = t->kept;
  next.rounding = 2 * q->output_zero_point + 1;
  next.multiplier = complete && t->short_form ? q->multiplier + p->channel : 0;
  next.shift = q->shift + p->channel;
  next.end = readable < channels ? readable : channels;
  for (lane = 0; lane < LANES; ++lane) next.outputs[lane] = t->pixels[lane].output + p->channel;
  if (next.end > 0) compute_words(&next, w);
  while (next.channel < channels) {
    fill(0, -n & 3, copy(w + next.channel * t->filter_bytes, n, t->bytes));
    next.end = next.channel + 1;
    compute_words(&next, t->bytes);
  }
  if (complete && !t->short_form) finish_four(t, p);
}

/* The same for one pixel. */
static MCUFIT_NOINLINE void compute_one(tile *t, int lane, const portion *p) {
  const mcufit_conv2d_s8_step *step = t->step;
  const int32_t n = p->end - p->first;
  const int8_t *w = step->filter + p->channel * t->filter_bytes + p->first;
  int32_t *kept = &t->kept[0].a + lane;
  int32_t channel;
  for (channel = p->channel; channel < p->end_channel; ++channel) {
    const int8_t *const end = w + (n & ~3);
    const mcufit_s16x2 *x = t->taps + lane;
    int32_t sum = p->first == 0 ? step->bias[channel] : *kept;
    for (; w != end; w += 4) {
      sum = add_word(x, mcufit_load_s8x4(w), sum);
      x += GROUP;
    }
    if (n & 3) sum = add_word(x, mcufit_load_few_s8(w, n & 3), sum);
    if (p->end == t->filter_bytes)
      t->pixels[lane].output[channel] = requantized(&step->requantization, channel, sum);
    else
      *kept = sum;
    kept += LANES;
    w += t->filter_bytes - (n & ~3);
  }
}

static MCUFIT_NOINLINE void gather_tile(tile *t, int lanes, int32_t first, int32_t end) {
  const int rows = t->runs == 1 && end - first == t->filter_bytes;
  int lane;
  if (t->neighbours) {
    gather_neighbours(t, first, end);
    return;
  }
  for (lane = 0; lane < lanes; ++lane) {
    if (rows)
      gather_rows(t, lane);
    else
      gather(t, lane, first, end);
  }
}

static MCUFIT_NOINLINE void compute_tile(tile *t, int lanes) {
  const int32_t channels = t->step->window.output_channels;
  const int once = t->filter_bytes <= DEPTH;
  const int32_t block =
      once && lanes == LANES && t->short_form ? channels : CHANNELS; /* where nothing is kept */
  portion p;
  if (once) gather_tile(t, lanes, 0, t->filter_bytes);
  for (p.channel = 0; p.channel < channels; p.channel = p.end_channel) {
    p.end_channel = p.channel + block < channels ? p.channel + block : channels;
    for (p.first = 0; p.first < t->filter_bytes; p.first = p.end) {
      int lane;
      p.end = p.first + DEPTH < t->filter_bytes ? p.first + DEPTH : t->filter_bytes;
      if (!once) gather_tile(t, lanes, p.first, p.end);
      if (lanes == LANES)
        compute_four(t, &p);
      else
        for (lane = 0; lane < lanes; ++lane) compute_one(t, lane, &p);
    }
  }
}

/* Output columns whose windows are inside the input: [first, end). */
static mcufit_taps inside_columns(const mcufit_window *window) {
  const int32_t span = (window->kernel_width - 1) * (int32_t)window->dilation_width;
  const int32_t last = window->input_width - 1 - span + window->pad_left;
  mcufit_taps columns;
  columns.first = (int16_t)((window->pad_left + window->stride_width - 1) / window->stride_width);
  columns.end = (int16_t)(last < 0 ? 0 : last / window->stride_width + 1);
  if (columns.end > window->output_width) columns.end = window->output_width;
  return columns;
}

/* Pixels that are no tile of neighbours and wait for more of their kind. */
typedef struct {
  pixel pixels[LANES];
  int count;
} rest;

static void compute_rest(tile *t, rest *r) {
  int lane;
  if (r->count == LANES - 1) r->pixels[r->count++] = r->pixels[LANES - 2]; /* the last once more */
  for (lane = 0; lane < r->count; ++lane) t->pixels[lane] = r->pixels[lane];
  t->neighbours = 0;
  compute_tile(t, r->count);
  r->count = 0;
}

/* A row of output pixels, of which the rest waits for the rows that follow. */
static void compute_row(tile *t, rest *r, int32_t y, int8_t *output) {
  const mcufit_window *window = &t->step->window;
  const int32_t step = t->step->output.pixel_stride;
  const mcufit_taps inside = inside_columns(window);
  const int32_t end = (t->run & 3) == 0 ? inside.end : 0; /* of neighbours */
  pixel p;
  int32_t x = 0;
  p.row = y * window->stride_height - window->pad_top;
  p.column = -(int32_t)window->pad_left;
  p.output = output;
  while (x < window->output_width) {
    const int neighbours = x >= inside.first && x + LANES <= end;
    pixel *to = neighbours ? t->pixels : r->pixels + r->count;
    pixel *const upto = to + (neighbours ? LANES : 1);
    for (; to != upto; ++to) {
      *to = p;
      p.column += window->stride_width;
      p.output += step;
      ++x;
    }
    if (neighbours) {
      t->neighbours = 1;
      compute_tile(t, LANES);
    } else if (++r->count == LANES) {
      compute_rest(t, r);
    }
  }
}

void mcufit_conv2d_s8(const mcufit_conv2d_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  const mcufit_window *window = &step->window;
  const int32_t row_bytes = (int32_t)window->kernel_width * window->input_channels;
  const int contiguous = window->dilation_width == 1 && step->input.pixel_stride == window->input_channels;
  tile t;
  rest r;
  int16_t y;
  t.step = step;
  t.input = arena + step->input.offset;
  t.filter_bytes = window->kernel_height * row_bytes;
  t.run = contiguous ? row_bytes : window->input_channels;
  t.runs = contiguous ? 1 : window->kernel_width;
  t.short_form = t.filter_bytes <= 1 << 15 &&
                 mcufit_dsp_short_form(&step->requantization, step->bias, 0, window->output_channels);
  r.count = 0;
  for (y = first_row; y < end_row; ++y)
    compute_row(&t, &r, y, arena + step->output.offset + mcufit_row(&step->output, y));
  if (r.count > 0) compute_rest(&t, &r);
}
