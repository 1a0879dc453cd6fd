/* SPDX-License-Identifier: Apache-2.0 */
/* Up to five output pixels at a time, whatever their rows: their patches of the input are widened to int16
   once, so that each word of a filter is loaded and widened once for all of them. Filters too long for that
   go in portions, and the sums of some output channels wait for the next portion, so that the stack holds no
   more than these. */
#define MCUFIT_DSP_SMALL
#include "mcufit_dsp.h"

typedef char mcufit_conv2d_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_conv2d_s8_step) == MCUFIT_CONV2D_S8_STEP_BYTES ? 1 : -1];

#define LANES 5
/* The most taps of a filter that is no portion; taps of a portion, and channels whose sums wait. */
#define DEPTH 144
#define PORTION 96
#define CHANNELS 32
#define KEPT_WORDS (CHANNELS * LANES)

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
  int32_t run;                   /* bytes of a patch that are neighbours in memory: a row of it, or a pixel */
  int32_t runs;                  /* of a row */
  int32_t last_row, last_column; /* of a first tap whose patch is inside */
  int short_form;                /* of requantization, and no clamp but to int8 */
  int lanes;                     /* 5, 4 or 2 */
  int32_t depth, block;          /* taps and channels that are computed at once */
  pixel pixels[LANES];
  mcufit_s16x2 *taps;                                   /* of each four: (0, 2) of each lane, then (1, 3) */
  mcufit_s16x2 words[KEPT_WORDS + PORTION / 2 * LANES]; /* the kept sums, then the taps; or taps alone */
  int8_t bytes[DEPTH + 4]; /* taps of one pixel, where runs or what is clipped of them come not by fours */
} tile;

/* Widens n taps, or up to 3 more, for one lane. */
static MCUFIT_NOINLINE mcufit_s16x2 *widen(const int8_t *from, int32_t n, mcufit_s16x2 *to) {
#if defined(MCUFIT_ISA_DSP)
  uint32_t word, even;
#define MCUFIT_WIDEN                    \
  "ldr %[word], [%[from]], #4\n\t"      \
  "sxtb16 %[even], %[word]\n\t"         \
  "sxtb16 %[word], %[word], ror #8\n\t" \
  "str %[even], [%[to]], #20\n\t"       \
  "str %[word], [%[to]], #20\n\t"
  __asm__ volatile(
      "subs %[n], %[n], #16\n\t"
      "blt 2f\n"
      "1:\n\t" MCUFIT_WIDEN MCUFIT_WIDEN MCUFIT_WIDEN MCUFIT_WIDEN
      "subs %[n], %[n], #16\n\t"
      "bge 1b\n"
      "2:\n\t"
      "adds %[n], %[n], #16\n\t"
      "ble 4f\n"
      "3:\n\t" MCUFIT_WIDEN
      "subs %[n], %[n], #4\n\t"
      "bgt 3b\n"
      "4:"
      : [from] "+r"(from), [n] "+r"(n), [to] "+r"(to), [word] "=&r"(word), [even] "=&r"(even)
      :
      : "cc", "memory");
#undef MCUFIT_WIDEN
#else
  for (; n > 0; n -= 4) {
    const uint32_t word = mcufit_load_s8x4(from);
    to[0] = mcufit_even_s8(word);
    to[LANES] = mcufit_odd_s8(word);
    to += 2 * LANES;
    from += 4;
  }
#endif
  return to;
}

static MCUFIT_NOINLINE int8_t *copy(const int8_t *from, int32_t n, int8_t *to) {
  for (; n >= 4; n -= 4) {
    mcufit_store_s8x4(to, mcufit_load_s8x4(from));
    from += 4;
    to += 4;
  }
  while (n-- > 0) *to++ = *from++;
  return to;
}

/* n bytes and up to 3 more, which `to` has room for. */
static inline int8_t *copy_words(const int8_t *from, int32_t n, int8_t *to) {
  int8_t *const end = to + n;
  while (to < end) {
    mcufit_store_s8x4(to, mcufit_load_s8x4(from));
    from += 4;
    to += 4;
  }
  return end;
}

static MCUFIT_NOINLINE int8_t *fill(int32_t value, int32_t n, int8_t *to) {
  const uint32_t word = (uint8_t)value * 0x01010101U;
  for (; n >= 4; n -= 4) {
    mcufit_store_s8x4(to, word);
    to += 4;
  }
  for (; n > 0; --n) {
    *to++ = (int8_t)value;
    __asm__ volatile("" : : : "memory"); /* or the compiler calls memset, which is not there */
  }
  return to;
}

static inline int inside_columns(const tile *t, const pixel *p) {
  return p->column >= 0 && p->column <= t->last_column;
}

static inline int32_t between(int32_t x, int32_t low, int32_t high) {
  return x < low ? low : (x > high ? high : x);
}

/* "Widens" n times one value, a multiple of 4, for one lane. */
static MCUFIT_NOINLINE mcufit_s16x2 *widen_value(int32_t value, int32_t n, mcufit_s16x2 *to) {
  const mcufit_s16x2 pair = mcufit_s16_pair(value, value);
  for (; n > 0; n -= 4) {
    to[0] = pair;
    to[LANES] = pair;
    to += 2 * LANES;
  }
  return to;
}

/* Widens taps [first, end) of a pixel's patch for one lane. Those outside the input are its zero point. */
static MCUFIT_NOINLINE void gather(tile *t, int lane, int32_t first, int32_t end) {
  const mcufit_view *view = &t->step->input;
  const mcufit_window *window = &t->step->window;
  const int32_t outside = t->step->input_zero_point;
  const pixel p = t->pixels[lane];
  const int32_t run = t->run, runs = t->runs, channels = window->input_channels;
  const int by_fours = (run & 3) == 0 && ((channels & 3) == 0 || inside_columns(t, &p));
  const int32_t nth = first / run;
  const int32_t ky = nth / runs;
  mcufit_s16x2 *to = t->taps + lane;
  int8_t *byte = t->bytes;
  int32_t row = p.row + ky * window->dilation_height;
  int32_t kx = nth - ky * runs;
  int32_t from = first - nth * run;
  while (first < end) {
    const int32_t column = p.column + kx * window->dilation_width;
    const int32_t upto = run - from < end - first ? run : from + end - first;
    const int8_t *x = t->input + column * (int32_t)view->pixel_stride;
    int32_t left = upto, right = upto;
    if ((uint32_t)row < (uint32_t)window->input_height) {
      x += mcufit_row(view, row);
      left = between(-column * channels, from, upto);
      right = between((window->input_width - column) * channels, left, upto);
    }
    if (by_fours) {
      if (left > from) to = widen_value(outside, left - from, to);
      to = widen(x + left, right - left, to);
      if (upto > right) to = widen_value(outside, upto - right, to);
    } else {
      if (left > from) byte = fill(outside, left - from, byte);
      byte = copy(x + left, right - left, byte);
      if (upto > right) byte = fill(outside, upto - right, byte);
    }
    first += upto - from;
    from = 0;
    if (++kx == runs) {
      kx = 0;
      row += window->dilation_height;
    }
  }
  if (by_fours) return;
  byte = fill(0, (t->bytes - byte) & 3, byte);
  widen(t->bytes, (int32_t)(byte - t->bytes), to);
}

/* The same of a whole patch whose rows are runs, short ones, or clipped. */
static MCUFIT_NOINLINE void gather_rows(tile *t, int lane) {
  const mcufit_view *view = &t->step->input;
  const mcufit_window *window = &t->step->window;
  const int32_t outside = t->step->input_zero_point;
  const pixel *p = t->pixels + lane;
  const int32_t run = t->run;
  const int32_t from = -p->column * window->input_channels;
  const int32_t upto = from + window->input_width * window->input_channels;
  const int32_t left = between(from, 0, run), right = between(upto, left, run);
  const int8_t *x = t->input + p->column * (int32_t)view->pixel_stride + left;
  int8_t *byte = t->bytes;
  int32_t row = p->row;
  int32_t k;
  for (k = window->kernel_height; k > 0; --k) {
    if ((uint32_t)row >= (uint32_t)window->input_height) {
      byte = fill(outside, run, byte);
    } else {
      if (left > 0) byte = fill(outside, left, byte);
      if (upto >= run + 3) /* more of the row follows */
        byte = copy_words(x + mcufit_row(view, row), right - left, byte);
      else
        byte = copy(x + mcufit_row(view, row), right - left, byte);
      if (right < run) byte = fill(outside, run - right, byte);
    }
    row += window->dilation_height;
  }
  byte = fill(0, (t->bytes - byte) & 3, byte);
  widen(t->bytes, (int32_t)(byte - t->bytes), t->taps + lane);
}

/* Widens n taps, a multiple of 4, for five lanes, whose bytes lie `apart`. */
static inline mcufit_s16x2 *widen_five(const int8_t *from, int32_t apart, int32_t n, mcufit_s16x2 *to) {
#if defined(MCUFIT_ISA_DSP)
  const int8_t *fourth = from + 3 * apart;
  __asm__ volatile(
      "1:\n\t"
      "ldr r9, [%[x], %[s]]\n\t"
      "ldr r10, [%[x], %[s], lsl #1]\n\t"
      "ldr r12, [%[t], %[s]]\n\t"
      "ldr r11, [%[t]], #4\n\t"
      "ldr r8, [%[x]], #4\n\t"
      "sxtb16 r5, r9\n\t"
      "sxtb16 r6, r10\n\t"
      "sxtb16 r4, r8\n\t"
      "stmia %[to]!, {r4, r5, r6}\n\t"
      "sxtb16 r4, r11\n\t"
      "sxtb16 r5, r12\n\t"
      "stmia %[to]!, {r4, r5}\n\t"
      "sxtb16 r8, r8, ror #8\n\t"
      "sxtb16 r9, r9, ror #8\n\t"
      "sxtb16 r10, r10, ror #8\n\t"
      "sxtb16 r11, r11, ror #8\n\t"
      "sxtb16 r12, r12, ror #8\n\t"
      "subs %[n], %[n], #4\n\t"
      "stmia %[to]!, {r8, r9, r10, r11, r12}\n\t"
      "bgt 1b"
      : [x] "+r"(from), [t] "+r"(fourth), [to] "+r"(to), [n] "+r"(n)
      : [s] "r"(apart)
      : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
#else
  int lane;
  for (lane = 0; lane < LANES; ++lane) widen(from + lane * apart, n, to + lane);
  to += n / 2 * LANES;
#endif
  return to;
}

/* Widens taps [first, end) of five pixels side by side, with columns that are all inside and runs that come
   by fours. */
static MCUFIT_NOINLINE void gather_five(tile *t, int32_t first, int32_t end) {
  const mcufit_view *view = &t->step->input;
  const mcufit_window *window = &t->step->window;
  const pixel *p = t->pixels;
  const int32_t run = t->run, runs = t->runs;
  const int32_t apart = window->stride_width * (int32_t)view->pixel_stride;
  const int32_t nth = first / run;
  const int32_t ky = nth / runs;
  mcufit_s16x2 *to = t->taps;
  int32_t row = p->row + ky * window->dilation_height;
  int32_t kx = nth - ky * runs;
  int32_t from = first - nth * run;
  while (first < end) {
    const int32_t n = run - from < end - first ? run - from : end - first;
    const int32_t column = p->column + kx * window->dilation_width;
    if ((uint32_t)row < (uint32_t)window->input_height) {
      to = widen_five(t->input + mcufit_row(view, row) + column * view->pixel_stride + from, apart, n, to);
    } else {
      int lane;
      for (lane = 0; lane < LANES; ++lane) widen_value(t->step->input_zero_point, n, to + lane);
      to += n / 2 * LANES;
    }
    first += n;
    from = 0;
    if (++kx == runs) {
      kx = 0;
      row += window->dilation_height;
    }
  }
}

static MCUFIT_NOINLINE void gather_tile(tile *t, int32_t first, int32_t end) {
  const pixel *last = t->pixels + LANES - 1;
  const int rows = t->runs == 1 && end - first == t->filter_bytes && (t->run <= 16 || (t->run & 3) != 0);
  int lane;
  if (t->lanes == LANES && (t->run & 3) == 0 && t->pixels[0].row == last->row &&
      inside_columns(t, t->pixels) && inside_columns(t, last)) {
    gather_five(t, first, end);
    return;
  }
  for (lane = 0; lane < t->lanes; ++lane) {
    if (rows)
      gather_rows(t, lane);
    else
      gather(t, lane, first, end);
  }
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
  int32_t channel;           /* the next, counted from the portion's first */
  const int32_t *bias;       /* that the sums start from; 0: they start from what was kept */
  const int32_t *multiplier; /* of the short form; 0: the sums are kept */
  const int8_t *shift;
  int32_t skip; /* bytes from the last word to the next channel's first */
  int32_t end;  /* the channel to stop at */
  int8_t *outputs[LANES];
  const mcufit_s16x2 *taps;
  int32_t entry;    /* of the loop, for assembly */
  int32_t rounding; /* and the output's zero point, before the shift */
  int32_t tail;     /* of the loop, for assembly */
  const mcufit_s16x2 *end_taps;
  int32_t *kept;
  int32_t lanes;
  int32_t left_out; /* bytes of the loop's code that the first round passes over */
} computation;

/* Words of a filter in a round of the loop for five lanes, and for fewer. */
#define ROUND 8
#define SHORT_ROUND 4
/* Bytes of a word's instructions, of 4 bytes each, for five, four and two lanes. */
#define WORD_5_BYTES 60
#define WORD_4_BYTES 52
#define WORD_2_BYTES 36

#if defined(MCUFIT_ISA_DSP)
#define MCUFIT_ADD(sum, x) "smlad " sum ", %[pair], " x ", " sum "\n\t"
#define MCUFIT_FIRST              \
  "ldr.w %[word], [%[w]], #4\n\t" \
  "sxtb16 %[pair], %[word]\n\t"
#define MCUFIT_SECOND "sxtb16 %[pair], %[word], ror #8\n\t"
#define MCUFIT_ADD_2 MCUFIT_ADD("r4", "r9") MCUFIT_ADD("r5", "r10")
#define MCUFIT_ADD_4 MCUFIT_ADD_2 MCUFIT_ADD("r6", "r11") MCUFIT_ADD("r8", "r12")
#define MCUFIT_ADD_5 MCUFIT_ADD_4 MCUFIT_ADD("%[e]", "lr")
#define MCUFIT_LOAD_2 "ldrd r9, r10, [%[x]], #20\n\t"
#define MCUFIT_LOAD_5 "ldmia.w %[x]!, {r9, r10, r11, r12, lr}\n\t"
/* A word of a filter, with the lanes' sums in r4, r5, r6, r8, e. */
#define MCUFIT_WORD(load, add) MCUFIT_FIRST load add MCUFIT_SECOND load add
#define MCUFIT_WORD_2 MCUFIT_WORD(MCUFIT_LOAD_2, MCUFIT_ADD_2)
#define MCUFIT_WORD_4 MCUFIT_WORD(MCUFIT_LOAD_5, MCUFIT_ADD_4)
#define MCUFIT_WORD_5 MCUFIT_WORD(MCUFIT_LOAD_5, MCUFIT_ADD_5)
#define MCUFIT_ROUND_END    \
  "ldr r9, %[end_taps]\n\t" \
  "cmp %[x], r9\n\t"
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
#endif

/* Computes the channels up to the end; w is the next one's filter. */
static inline void compute_words(computation *next, const int8_t *w) {
#if defined(MCUFIT_ISA_DSP)
  const mcufit_s16x2 *x;
  int32_t word, pair, e;
  __asm__ volatile(
      "ldr r10, %[lanes]\n\t"
      "cmp r10, #4\n\t"
      "adr.w r9, 5f\n\t"
      "adr.w r11, 15f\n\t"
      "bgt 0f\n\t"
      "adr.w r9, 4f\n\t"
      "adr.w r11, 14f\n\t"
      "beq 0f\n\t"
      "adr.w r9, 2f\n\t"
      "adr.w r11, 12f\n"
      "0:\n\t"
      "ldr r10, %[left_out]\n\t"
      "add r9, r10\n\t"
      "str r9, %[entry]\n\t"
      "str r11, %[tail]\n"
      "1:\n\t"
      "ldrd %[pair], r9, %[channel]\n\t" /* and bias */
      "cmp r9, #0\n\t"
      "beq 3f\n\t"
      "ldr r4, [r9, %[pair], lsl #2]\n\t"
      "mov r5, r4\n\t"
      "mov r6, r4\n\t"
      "mov r8, r4\n\t"
      "mov %[e], r4\n"
      "6:\n\t"
      "ldrd %[x], r9, %[taps]\n\t" /* and entry */
      "mov pc, r9\n\t"
      ".balign 4\n" /* of the section too, which adr asks for */
      "2:\n\t" MCUFIT_WORD_2 MCUFIT_WORD_2 MCUFIT_WORD_2 MCUFIT_WORD_2 MCUFIT_ROUND_END
      "bne 2b\n\t"
      "b 7f\n"
      "4:\n\t" MCUFIT_WORD_4 MCUFIT_WORD_4 MCUFIT_WORD_4 MCUFIT_WORD_4 MCUFIT_ROUND_END
      "bne 4b\n\t"
      "b 7f\n"
      "5:\n\t" MCUFIT_WORD_5 MCUFIT_WORD_5 MCUFIT_WORD_5 MCUFIT_WORD_5 MCUFIT_WORD_5 MCUFIT_WORD_5
          MCUFIT_WORD_5 MCUFIT_WORD_5 MCUFIT_ROUND_END
      "bne 5b\n"
      "7:\n\t"
      "ldrd %[x], %[word], %[multiplier]\n\t" /* and shift */
      "ldr %[pair], %[channel]\n\t"
      "cmp %[x], #0\n\t"
      "beq 9f\n\t"
      "ldr r9, [%[x], %[pair], lsl #2]\n\t"
      "ldrsb r10, [%[word], %[pair]]\n\t"
      "ldrd r11, %[x], %[rounding]\n\t" /* and tail */
      "mvn r12, r10\n\t"
      "lsl r11, r11, r12\n\t"
      "rsb r10, r10, #0\n\t"
      "mov pc, %[x]\n"
      "15:\n\t" MCUFIT_RESCALE("%[e]")
      "ldr r12, %[output4]\n\t"
      "strb %[e], [r12, %[pair]]\n"
      "14:\n\t" MCUFIT_RESCALE("r6") MCUFIT_RESCALE("r8")
      "ldrd r12, lr, %[output2]\n\t"
      "strb r6, [r12, %[pair]]\n\t"
      "strb r8, [lr, %[pair]]\n"
      "12:\n\t" MCUFIT_RESCALE("r4") MCUFIT_RESCALE("r5")
      "ldrd r12, lr, %[output0]\n\t"
      "strb r4, [r12, %[pair]]\n\t"
      "strb r5, [lr, %[pair]]\n"
      "10:\n\t"
      "ldrd %[x], %[word], %[skip]\n\t" /* and end */
      "adds %[pair], %[pair], #1\n\t"
      "str %[pair], %[channel]\n\t"
      "add %[w], %[x]\n\t"
      "cmp %[pair], %[word]\n\t"
      "bne 1b\n\t"
      "b 11f\n"
      "3:\n\t"
      "ldr %[word], %[kept]\n\t"
      "add %[pair], %[pair], %[pair], lsl #2\n\t"
      "add %[word], %[word], %[pair], lsl #2\n\t"
      "ldmia %[word], {r4, r5, r6, r8}\n\t"
      "ldr %[e], [%[word], #16]\n\t"
      "b 6b\n"
      "9:\n\t"
      "ldr %[word], %[kept]\n\t"
      "add %[x], %[pair], %[pair], lsl #2\n\t"
      "add %[word], %[word], %[x], lsl #2\n\t"
      "stmia %[word], {r4, r5, r6, r8}\n\t"
      "str %[e], [%[word], #16]\n\t"
      "b 10b\n"
      "11:"
      : [w] "+r"(w), [x] "=&r"(x), [word] "=&r"(word), [pair] "=&r"(pair), [e] "=&r"(e),
        [channel] "+m"(next->channel), [entry] "+m"(next->entry), [tail] "+m"(next->tail)
      : [taps] "m"(next->taps), [end_taps] "m"(next->end_taps), [multiplier] "m"(next->multiplier),
        [rounding] "m"(next->rounding), [skip] "m"(next->skip), [kept] "m"(next->kept),
        [lanes] "m"(next->lanes), [left_out] "m"(next->left_out),
        [output0] "m"(*(int8_t * (*)[2]) & next->outputs[0]),
        [output2] "m"(*(int8_t * (*)[2]) & next->outputs[2]), [output4] "m"(next->outputs[4]),
        "m"(next->bias), "m"(next->shift), "m"(next->end)
      : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
#else
  for (; next->channel != next->end; ++next->channel) {
    const int32_t c = next->channel, lanes = next->lanes;
    int32_t lane;
    for (lane = 0; lane < lanes; ++lane) {
      const mcufit_s16x2 *x = next->taps + lane;
      const int8_t *from = w;
      int32_t sum = next->bias ? next->bias[c] : next->kept[c * LANES + lane];
      for (; x < next->end_taps; x += 2 * LANES) {
        const uint32_t word = mcufit_load_s8x4(from);
        sum = mcufit_add_products(mcufit_even_s8(word), x[0], sum);
        sum = mcufit_add_products(mcufit_odd_s8(word), x[LANES], sum);
        from += 4;
      }
      if (next->multiplier) {
        mcufit_dsp_scale scale;
        scale.multiplier = next->multiplier[c];
        scale.bits = -next->shift[c];
        scale.addend = mcufit_shift_left(next->rounding, (int)(scale.bits - 1));
        next->outputs[lane][c] = (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale(sum, scale));
      } else {
        next->kept[c * LANES + lane] = sum;
      }
    }
    w += 4 * ((next->end_taps - next->taps) / (2 * LANES)) + next->skip;
  }
#endif
}

/* Writes the portion's channels, by the rule itself. */
static MCUFIT_NOINLINE void finish(const tile *t, const portion *p) {
  const int32_t *kept = (const int32_t *)t->words;
  int32_t c;
  int lane;
  for (c = p->channel; c < p->end_channel; ++c) {
    for (lane = 0; lane < t->lanes; ++lane)
      t->pixels[lane].output[c] = requantized(&t->step->requantization, c, kept[lane]);
    kept += LANES;
  }
}

/* Words whose code a round leaves out, so that whole rounds follow. */
static int32_t left_out(int32_t words, int lanes) {
  if (lanes == LANES) return (int32_t)(-(uint32_t)words % ROUND) * WORD_5_BYTES;
  return (int32_t)(-(uint32_t)words % SHORT_ROUND) * (lanes == 4 ? WORD_4_BYTES : WORD_2_BYTES);
}

static MCUFIT_NOINLINE void compute(tile *t, const portion *p) {
  const mcufit_requantization *q = &t->step->requantization;
  const int32_t n = p->end - p->first, words = (n + 3) >> 2;
  const int32_t channels = p->end_channel - p->channel;
  const int32_t readable = (n & 3) == 0 ? channels : padded_end(t) - p->channel;
  const int complete = p->end == t->filter_bytes;
  const int8_t *w = t->step->filter + p->channel * t->filter_bytes + p->first;
  computation next;
  int lane;
  next.channel = 0;
  next.bias = p->first == 0 ? t->step->bias + p->channel : 0;
  next.multiplier = complete && t->short_form ? q->multiplier + p->channel : 0;
  next.shift = q->shift + p->channel;
  next.skip = t->filter_bytes - 4 * words;
  next.taps = t->taps;
  next.end_taps = t->taps + 2 * LANES * words;
  next.kept = (int32_t *)t->words;
  next.rounding = 2 * q->output_zero_point + 1;
  next.lanes = t->lanes;
  next.left_out = left_out(words, t->lanes);
  next.entry = next.tail = 0;
  for (lane = 0; lane < LANES; ++lane) next.outputs[lane] = t->pixels[lane].output + p->channel;
  while (next.channel < channels) {
    const int8_t *from = w + next.channel * t->filter_bytes;
    next.end = readable < channels ? readable : channels;
    if (next.channel >= next.end) {
      fill(0, -n & 3, copy(from, n, t->bytes));
      from = t->bytes;
      next.end = next.channel + 1;
    }
    compute_words(&next, from);
  }
  if (complete && !t->short_form) finish(t, p);
}

static MCUFIT_NOINLINE void compute_tile(tile *t) {
  const int32_t channels = t->step->window.output_channels;
  portion p;
  for (p.channel = 0; p.channel < channels; p.channel = p.end_channel) {
    p.end_channel = p.channel + t->block < channels ? p.channel + t->block : channels;
    for (p.first = 0; p.first < t->filter_bytes; p.first = p.end) {
      p.end = p.first + t->depth < t->filter_bytes ? p.first + t->depth : t->filter_bytes;
      if (p.channel == 0 || t->filter_bytes > t->depth) gather_tile(t, p.first, p.end);
      compute(t, &p);
    }
  }
}

/* Lanes of the next tile, of which some repeat the last pixel where fewer are left. */
static int tile_lanes(int32_t left) {
  if (left == 3 || left == 4 || left == 8) return 4;
  return left < LANES ? 2 : LANES;
}

/* Output rows [first_row, end_row), from the first pixel to the last. */
static void compute_pixels(tile *t, int8_t *arena, int32_t y, int32_t end_row) {
  const mcufit_conv2d_s8_step *step = t->step;
  const mcufit_window *window = &step->window;
  const int32_t width = window->output_width;
  int32_t left = (end_row - y) * width, x = 0;
  pixel p;
  p.row = y * window->stride_height - window->pad_top;
  p.column = -(int32_t)window->pad_left;
  p.output = arena + step->output.offset + mcufit_row(&step->output, y);
  while (left > 0) {
    int lane;
    t->lanes = tile_lanes(left);
    for (lane = 0; lane < t->lanes; ++lane) {
      t->pixels[lane] = p;
      if (--left <= 0) continue;
      p.column += window->stride_width;
      p.output += step->output.pixel_stride;
      if (++x < width) continue;
      x = 0;
      p.row += window->stride_height;
      p.column = -(int32_t)window->pad_left;
      p.output = arena + step->output.offset + mcufit_row(&step->output, ++y);
    }
    compute_tile(t);
  }
}

void mcufit_conv2d_s8(const mcufit_conv2d_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  const mcufit_window *window = &step->window;
  const int32_t row_bytes = (int32_t)window->kernel_width * window->input_channels;
  const int contiguous = window->dilation_width == 1 && step->input.pixel_stride == window->input_channels;
  tile t;
  int keeps;
  t.step = step;
  t.input = arena + step->input.offset;
  t.filter_bytes = window->kernel_height * row_bytes;
  t.run = contiguous ? row_bytes : window->input_channels;
  t.runs = contiguous ? 1 : window->kernel_width;
  t.last_row = window->input_height - 1 - (window->kernel_height - 1) * window->dilation_height;
  t.last_column = window->input_width - 1 - (window->kernel_width - 1) * window->dilation_width;
  t.short_form = t.filter_bytes <= 1 << 15 &&
                 mcufit_dsp_short_form(&step->requantization, step->bias, window->output_channels);
  keeps = t.filter_bytes > DEPTH || !t.short_form;
  t.depth = keeps ? PORTION : DEPTH;
  t.block = keeps ? CHANNELS : window->output_channels;
  t.taps = t.words + (keeps ? KEPT_WORDS : 0);
  compute_pixels(&t, arena, first_row, end_row);
}
