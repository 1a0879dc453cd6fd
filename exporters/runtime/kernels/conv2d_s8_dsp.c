/* SPDX-License-Identifier: Apache-2.0 */
/* Four output pixels at a time: their patches of the input are widened to int16 once, so that each word of a
   filter is loaded and widened once for 16 products. Long filters go in portions of DEPTH taps, and the sums
   of CHANNELS output channels wait for the next portion, so that the stack holds no more than these. */
#include "mcufit_dsp.h"

typedef char mcufit_conv2d_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_conv2d_s8_step) == MCUFIT_CONV2D_S8_STEP_BYTES ? 1 : -1];

#define LANES 4
#define DEPTH 96
#define CHANNELS 32
/* Words of four widened taps: (0, 2) of each lane, then (1, 3) of each. */
#define GROUP (2 * LANES)

/* The lanes' sums. */
typedef struct {
  int32_t a, b, c, d;
} sums;

/* A tile of output pixels, and what is the same for all. */
typedef struct {
  const mcufit_conv2d_s8_step *step;
  const int8_t *input;
  int32_t filter_bytes;
  int32_t run;    /* bytes of a patch that are neighbours in memory: a row of it, or its pixels one by one */
  int32_t runs;   /* of a row */
  int short_form; /* of requantization, and no clamp but to int8 */
  int8_t *outputs[LANES];
  int32_t rows[LANES], columns[LANES]; /* of their first taps in the input */
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

static int8_t *copy(const int8_t *from, int32_t n, int8_t *to) {
  for (; n >= 4; n -= 4) {
    mcufit_store_s8x4(to, mcufit_load_s8x4(from));
    from += 4;
    to += 4;
  }
  while (n-- > 0) *to++ = *from++;
  return to;
}

static int8_t *fill(int8_t value, int32_t n, int8_t *to) {
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
  int32_t row = t->rows[lane] + nth / t->runs * step;
  int32_t kx = nth % t->runs;
  int32_t from = first - nth * t->run;
  while (first < end) {
    const int32_t column = t->columns[lane] + kx * window->dilation_width;
    const int32_t upto = t->run - from < end - first ? t->run : from + end - first;
    const int inside = row >= 0 && row < window->input_height;
    const int8_t *x = t->input + column * (int32_t)view->pixel_stride;
    const int32_t left = -column * channels;
    const int32_t right = inside ? (window->input_width - column) * channels : left;
    if (inside) x += mcufit_row(view, row);
    if (by_fours && left <= from && upto <= right) {
      to = widen(x + from, upto - from, to);
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

/* Adds the products of `words` words of a filter. */
static inline sums add_words(const mcufit_s16x2 *x, const int8_t *w, int32_t words, sums s) {
#if defined(MCUFIT_ISA_DSP)
  uint32_t word, pair;
#define MCUFIT_WORD                     \
  "ldr %[word], [%[w]], #4\n\t"         \
  "ldmia %[x]!, {r8, r9, r10, r11}\n\t" \
  "sxtb16 %[pair], %[word]\n\t"         \
  "smlad %[a], %[pair], r8, %[a]\n\t"   \
  "smlad %[b], %[pair], r9, %[b]\n\t"   \
  "smlad %[c], %[pair], r10, %[c]\n\t"  \
  "smlad %[d], %[pair], r11, %[d]\n\t"  \
  "ldmia %[x]!, {r8, r9, r10, r11}\n\t" \
  "sxtb16 %[pair], %[word], ror #8\n\t" \
  "smlad %[a], %[pair], r8, %[a]\n\t"   \
  "smlad %[b], %[pair], r9, %[b]\n\t"   \
  "smlad %[c], %[pair], r10, %[c]\n\t"  \
  "smlad %[d], %[pair], r11, %[d]\n\t"
  __asm__(
      "lsrs %[pair], %[n], #1\n\t"
      "bcc 1f\n\t" MCUFIT_WORD
      "1:\n\t"
      "lsrs %[pair], %[n], #2\n\t"
      "bcc 2f\n\t" MCUFIT_WORD MCUFIT_WORD
      "2:\n\t"
      "lsrs %[n], %[n], #2\n\t"
      "beq 4f\n"
      "3:\n\t" MCUFIT_WORD MCUFIT_WORD MCUFIT_WORD MCUFIT_WORD
      "subs %[n], %[n], #1\n\t"
      "bne 3b\n"
      "4:"
      : [a] "+r"(s.a), [b] "+r"(s.b), [c] "+r"(s.c), [d] "+r"(s.d), [x] "+r"(x), [w] "+r"(w), [n] "+r"(words),
        [word] "=&r"(word), [pair] "=&r"(pair)
      :
      : "r8", "r9", "r10", "r11", "cc", "memory");
#undef MCUFIT_WORD
#else
  for (; words > 0; --words) {
    const uint32_t word = mcufit_load_s8x4(w);
    const mcufit_s16x2 even = mcufit_even_s8(word), odd = mcufit_odd_s8(word);
    s.a = mcufit_add_products(odd, x[4], mcufit_add_products(even, x[0], s.a));
    s.b = mcufit_add_products(odd, x[5], mcufit_add_products(even, x[1], s.b));
    s.c = mcufit_add_products(odd, x[6], mcufit_add_products(even, x[2], s.c));
    s.d = mcufit_add_products(odd, x[7], mcufit_add_products(even, x[3], s.d));
    x += GROUP;
    w += 4;
  }
#endif
  return s;
}

/* Adds to one lane's sum the products of a word of a filter. */
static inline int32_t add_word(const mcufit_s16x2 *x, uint32_t word, int32_t sum) {
  sum = mcufit_add_products(mcufit_even_s8(word), x[0], sum);
  return mcufit_add_products(mcufit_odd_s8(word), x[LANES], sum);
}

/* Adds the products of a filter's last 1 to 3 taps. */
static MCUFIT_NOINLINE void add_few(const mcufit_s16x2 *x, const int8_t *w, int32_t n, sums *s) {
  const uint32_t word = mcufit_load_few_s8(w, n);
  s->a = add_word(x, word, s->a);
  s->b = add_word(x + 1, word, s->b);
  s->c = add_word(x + 2, word, s->c);
  s->d = add_word(x + 3, word, s->d);
}

static int8_t requantized(const mcufit_requantization *q, int32_t channel, int32_t sum) {
  const int32_t scaled = mcufit_requantize(sum, q->multiplier[channel], q->shift[channel]);
  return mcufit_clamp(scaled + q->output_zero_point, q->output_min, q->output_max);
}

/* Writes one output channel of four pixels, by the rule itself. */
static MCUFIT_NOINLINE void finish(const tile *t, int32_t channel, const sums *s) {
  const mcufit_requantization *q = &t->step->requantization;
  t->outputs[0][channel] = requantized(q, channel, s->a);
  t->outputs[1][channel] = requantized(q, channel, s->b);
  t->outputs[2][channel] = requantized(q, channel, s->c);
  t->outputs[3][channel] = requantized(q, channel, s->d);
}

/* The same in the short form, where the clamp is to all of int8. */
static inline void finish_short(const tile *t, int32_t channel, sums s) {
  const mcufit_dsp_scale scale = mcufit_dsp_scale_of(&t->step->requantization, channel);
  t->outputs[0][channel] = (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale(s.a, scale));
  t->outputs[1][channel] = (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale(s.b, scale));
  t->outputs[2][channel] = (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale(s.c, scale));
  t->outputs[3][channel] = (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale(s.d, scale));
}

/* Taps of some output channels: all taps, or a portion of them. */
typedef struct {
  int32_t channel, end_channel;
  int32_t first, end;
  int last;
} portion;

/* Of four pixels. */
static MCUFIT_NOINLINE void compute_four(tile *t, const portion *p) {
  const int32_t n = p->end - p->first;
  const int8_t *w = t->step->filter + p->channel * t->filter_bytes + p->first;
  sums *kept = t->kept;
  int32_t channel;
  for (channel = p->channel; channel < p->end_channel; ++channel) {
    sums s;
    if (p->first == 0)
      s.a = s.b = s.c = s.d = t->step->bias[channel];
    else
      s = *kept;
    s = add_words(t->taps, w, n >> 2, s);
    if (!p->last) {
      *kept = s;
    } else {
      if (n & 3) {
        sums few = s;
        add_few(t->taps + (n >> 2) * GROUP, w + (n & ~3), n & 3, &few);
        s = few;
      }
      if (t->short_form) {
        finish_short(t, channel, s);
      } else {
        const sums all = s;
        finish(t, channel, &all);
      }
    }
    ++kept;
    w += t->filter_bytes;
  }
}

/* Of one. */
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
    if (p->last)
      t->outputs[lane][channel] = requantized(&step->requantization, channel, sum);
    else
      *kept = sum;
    kept += LANES;
    w += t->filter_bytes - (n & ~3);
  }
}

static MCUFIT_NOINLINE void compute_tile(tile *t, int lanes) {
  const int32_t channels = t->step->window.output_channels;
  const int32_t block = t->filter_bytes <= DEPTH ? channels : CHANNELS;
  portion p;
  for (p.channel = 0; p.channel < channels; p.channel += block) {
    p.end_channel = p.channel + block < channels ? p.channel + block : channels;
    for (p.first = 0; p.first < t->filter_bytes; p.first += DEPTH) {
      int lane;
      p.last = p.first + DEPTH >= t->filter_bytes;
      p.end = p.last ? t->filter_bytes : p.first + DEPTH;
      for (lane = 0; lane < lanes; ++lane) gather(t, lane, p.first, p.end);
      if (lanes == LANES)
        compute_four(t, &p);
      else
        for (lane = 0; lane < lanes; ++lane) compute_one(t, lane, &p);
    }
  }
}

void mcufit_conv2d_s8(const mcufit_conv2d_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  const mcufit_window *window = &step->window;
  const int32_t row_bytes = (int32_t)window->kernel_width * window->input_channels;
  const int contiguous = window->dilation_width == 1 && step->input.pixel_stride == window->input_channels;
  tile t;
  int lanes = 0;
  int16_t y, x;
  t.step = step;
  t.input = arena + step->input.offset;
  t.filter_bytes = window->kernel_height * row_bytes;
  t.run = contiguous ? row_bytes : window->input_channels;
  t.runs = contiguous ? 1 : window->kernel_width;
  t.short_form = t.filter_bytes <= 1 << 15 &&
                 mcufit_dsp_short_form(&step->requantization, step->bias, 0, window->output_channels);
  for (y = first_row; y < end_row; ++y) {
    int8_t *output = arena + step->output.offset + mcufit_row(&step->output, y);
    for (x = 0; x < window->output_width; ++x) {
      t.outputs[lanes] = output;
      t.rows[lanes] = (int32_t)y * window->stride_height - window->pad_top;
      t.columns[lanes] = (int32_t)x * window->stride_width - window->pad_left;
      output += step->output.pixel_stride;
      if (++lanes == LANES) {
        compute_tile(&t, lanes);
        lanes = 0;
      }
    }
  }
  if (lanes == 3) { /* the fourth is the third once more */
    t.outputs[3] = t.outputs[2];
    t.rows[3] = t.rows[2];
    t.columns[3] = t.columns[2];
    lanes = 4;
  }
  if (lanes > 0) compute_tile(&t, lanes);
}
