/* SPDX-License-Identifier: Apache-2.0 */
/* Up to five output pixels at a time, whatever their rows: their patches of the input are widened to int16
   once, so that each word of a filter is loaded and widened once for all of them. Filters too long for that
   go in portions, and the sums of some output channels wait for the next portion, so that the scratch holds
   no more than these. Filters that the exporter interleaved bring two output channels at a time, as
   mcufit_fully_connected_s8 says, of up to three pixels; a portion is short enough for the sums of both. */
#define MCUFIT_SMALL
#include "mcufit_dsp.h"
#include "mcufit_scratch.h"

typedef char mcufit_conv2d_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_conv2d_s8_step) == MCUFIT_CONV2D_S8_STEP_BYTES ? 1 : -1];

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
  int lanes;                     /* that are pixels */
  int32_t stride;                /* words from taps of a lane to its next ones: 5, 3 or 2 */
  int32_t depth, block;          /* taps and channels that are computed at once */
  pixel pixels[MCUFIT_DSP_LANES];
  /* Of the scratch: */
  int32_t *kept;      /* sums that wait */
  mcufit_s16x2 *taps; /* of each four: (0, 2) of each lane, then (1, 3) */
  int8_t *bytes;      /* taps of one pixel, where runs or what is clipped of them come not by fours */
} tile;

/* Widens n taps, or up to 3 more, for one lane. */
static MCUFIT_NOINLINE mcufit_s16x2 *widen(const int8_t *from, int32_t n, mcufit_s16x2 *to, int32_t stride) {
#if defined(MCUFIT_DSP_LOOPS)
  uint32_t word, even;
#define MCUFIT_WIDEN                            \
  "ldr %[word], [%[from]], #4\n\t"              \
  "sxtb16 %[even], %[word]\n\t"                 \
  "sxtb16 %[word], %[word], ror #8\n\t"         \
  "str %[even], [%[to]]\n\t"                    \
  "str %[word], [%[to], %[stride], lsl #2]\n\t" \
  "add %[to], %[to], %[stride], lsl #3\n\t"
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
      : [stride] "r"(stride)
      : "cc", "memory");
#undef MCUFIT_WIDEN
#else
  for (; n > 0; n -= 4) {
    const uint32_t word = mcufit_load_s8x4(from);
    to[0] = mcufit_even_s8(word);
    to[stride] = mcufit_odd_s8(word);
    to += 2 * stride;
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
static MCUFIT_NOINLINE mcufit_s16x2 *widen_value(int32_t value, int32_t n, mcufit_s16x2 *to, int32_t stride) {
  const mcufit_s16x2 pair = mcufit_s16_pair(value, value);
  for (; n > 0; n -= 2) {
    *to = pair;
    to += stride;
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
      if (left > from) to = widen_value(outside, left - from, to, t->stride);
      to = widen(x + left, right - left, to, t->stride);
      if (upto > right) to = widen_value(outside, upto - right, to, t->stride);
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
  widen(t->bytes, (int32_t)(byte - t->bytes), to, t->stride);
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
  widen(t->bytes, (int32_t)(byte - t->bytes), t->taps + lane, t->stride);
}

/* Widens n taps, a multiple of 4, for two or three lanes, whose bytes lie `apart`. */
static inline mcufit_s16x2 *widen_lanes(const int8_t *from, int32_t apart, int32_t n, mcufit_s16x2 *to,
                                        int lanes) {
#if defined(MCUFIT_DSP_LOOPS)
  __asm__ volatile(
      "cmp %[lanes], #2\n\t"
      "beq 2f\n"
      "1:\n\t"
      "ldr r5, [%[x], %[s]]\n\t"
      "ldr r6, [%[x], %[s], lsl #1]\n\t"
      "ldr r4, [%[x]], #4\n\t"
      "sxtb16 r9, r5\n\t"
      "sxtb16 r10, r6\n\t"
      "sxtb16 r8, r4\n\t"
      "stmia %[to]!, {r8, r9, r10}\n\t"
      "sxtb16 r4, r4, ror #8\n\t"
      "sxtb16 r5, r5, ror #8\n\t"
      "sxtb16 r6, r6, ror #8\n\t"
      "subs %[n], %[n], #4\n\t"
      "stmia %[to]!, {r4, r5, r6}\n\t"
      "bgt 1b\n\t"
      "b 3f\n"
      "2:\n\t"
      "ldr r5, [%[x], %[s]]\n\t"
      "ldr r4, [%[x]], #4\n\t"
      "subs %[n], %[n], #4\n\t"
      "sxtb16 r8, r4, ror #8\n\t"
      "sxtb16 r9, r5, ror #8\n\t"
      "sxtb16 r4, r4\n\t"
      "sxtb16 r5, r5\n\t"
      "stmia %[to]!, {r4, r5, r8, r9}\n\t"
      "bgt 2b\n"
      "3:"
      : [x] "+r"(from), [to] "+r"(to), [n] "+r"(n)
      : [s] "r"(apart), [lanes] "r"(lanes)
      : "r4", "r5", "r6", "r8", "r9", "r10", "cc", "memory");
#else
  int lane;
  for (lane = 0; lane < lanes; ++lane) widen(from + lane * apart, n, to + lane, lanes);
  to += n / 2 * lanes;
#endif
  return to;
}

static int32_t apart_of(const tile *t) {
  return t->step->window.stride_width * (int32_t)t->step->input.pixel_stride;
}

/* Whether the lanes' patches are inside and equally far apart: of one row, or single pixels that follow each
   other over the end of a row. A lane that repeats the last pixel is not. */
static int in_line(const tile *t) {
  const mcufit_view *view = &t->step->input;
  const pixel *p = t->pixels, *last = p + t->lanes - 1;
  int32_t from_first = (last->column - p->column) * (int32_t)view->pixel_stride;
  if (p == last || last->output == last[-1].output || !inside_columns(t, p) || !inside_columns(t, last))
    return 0;
  if (p->row != last->row) {
    const pixel *between = p;
    if (t->filter_bytes != t->step->window.input_channels || p->row < 0 || last->row > t->last_row) return 0;
    while (++between != last)
      if (!inside_columns(t, between)) return 0;
    from_first += mcufit_row(view, last->row) - mcufit_row(view, p->row);
  }
  return from_first == (t->lanes - 1) * apart_of(t);
}

/* Widens taps [first, end) of pixels in line, whose runs come by fours. */
static MCUFIT_NOINLINE void gather_lanes(tile *t, int32_t first, int32_t end) {
  const mcufit_view *view = &t->step->input;
  const mcufit_window *window = &t->step->window;
  const pixel *p = t->pixels;
  const int32_t run = t->run, runs = t->runs;
  const int32_t apart = apart_of(t);
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
      const int8_t *x = t->input + mcufit_row(view, row) + column * view->pixel_stride + from;
      if (t->stride == MCUFIT_DSP_LANES) {
        int lane;
        for (lane = 0; lane < t->lanes; ++lane) {
          widen(x, n, to + lane, MCUFIT_DSP_LANES);
          x += apart;
        }
        to += n / 2 * MCUFIT_DSP_LANES;
      } else {
        to = widen_lanes(x, apart, n, to, t->lanes);
      }
    } else {
      to = widen_value(t->step->input_zero_point, n * t->stride, to, 1);
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
  const int rows = t->runs == 1 && end - first == t->filter_bytes && (t->run <= 16 || (t->run & 3) != 0);
  int lane;
  if ((t->run & 3) == 0 && in_line(t)) {
    gather_lanes(t, first, end);
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
  int32_t skip; /* bytes from the last word to the next channel's or pair's first */
  int32_t end;  /* the channel to stop at */
  const mcufit_s16x2 *taps;
  int32_t entry; /* of the loop, for assembly */
  int8_t *outputs[MCUFIT_DSP_LANES];
  int32_t rounding; /* and the output's zero point, before the shift */
  const mcufit_s16x2 *end_taps;
  int32_t *kept;
  int32_t lanes, stride;
  int32_t left_out; /* bytes of the loop's code that the first round passes over, so that whole ones follow */
} computation;

/* Taps by fours in a round of the loops for pairs of channels, of three lanes and of two, and for single
   channels; bytes of the instructions of four taps. */
#define PAIR_ROUND 4
#define PAIR_BYTES 68
#define TWO_LANES_ROUND 8
#define TWO_LANES_BYTES 48
#define CHANNEL_ROUND 4
#define CHANNEL_BYTES 60

/* Bytes that the first round of a loop leaves out, so that whole ones follow. */
static int32_t left_out(int32_t words, int32_t round, int32_t bytes) {
  return (round - 1 - (words + round - 1) % round) * bytes;
}

#if defined(MCUFIT_DSP_LOOPS)
#define MCUFIT_ADD(sum, w, x) "smlad " sum ", " w ", " x ", " sum "\n\t"
#define MCUFIT_ROUND_END         \
  "ldr %[word], %[end_taps]\n\t" \
  "cmp %[x], %[word]\n\t"
/* Multiplier, addend and bits of channel `pair` for the short form. */
#define MCUFIT_SCALE                      \
  "ldrd %[x], %[word], %[multiplier]\n\t" \
  "ldr r12, [%[x], %[pair], lsl #2]\n\t"  \
  "ldrsb lr, [%[word], %[pair]]\n\t"      \
  "ldr %[x], %[rounding]\n\t"             \
  "mvn %[word], lr\n\t"                   \
  "lsl %[x], %[x], %[word]\n\t"           \
  "rsb lr, lr, #0\n\t"
#define MCUFIT_RESCALE(sum) \
  "lsl " sum ", " sum       \
  ", #1\n\t"                \
  "add %[word], %[x], " sum \
  ", asr #31\n\t"           \
  "smmlar " sum ", " sum    \
  ", r12, %[word]\n\t"      \
  "asr " sum ", " sum       \
  ", lr\n\t"                \
  "ssat " sum ", #8, " sum "\n\t"
#define MCUFIT_RESCALE_TWO(a, b) MCUFIT_SCALE MCUFIT_RESCALE(a) MCUFIT_RESCALE(b)
/* Bytes or half words of r4 and r5 to channel `pair` of the first two lanes. */
#define MCUFIT_STORE_TWO(store) \
  "ldrd r12, lr, %[output0]\n\t" store " r5, [lr, %[pair]]\n\t" store " r4, [r12, %[pair]]\n\t"
#define MCUFIT_COMPUTATION_OPERANDS                                                \
  [w] "+r"(w), [x] "=&r"(x), [word] "=&r"(word), [pair] "=&r"(pair), [e] "=&r"(e), \
      [channel] "+m"(next->channel),                                               \
      [entry] "+m"(next->entry)                                                    \
      : [taps] "m"(next->taps),                                                    \
        [end_taps] "m"(next->end_taps),                                            \
        [multiplier] "m"(next->multiplier),                                        \
        [rounding] "m"(next->rounding),                                            \
        [skip] "m"(next->skip),                                                    \
        [kept] "m"(next->kept),                                                    \
        [output0] "m"(*(int8_t * (*)[2]) & next->outputs[0]),                      \
        [output2] "m"(*(int8_t * (*)[2]) & next->outputs[2]),                      \
        [output4] "m"(next->outputs[4]),                                           \
        [left_out] "m"(next->left_out),                                            \
        "m"(next->bias),                                                           \
        "m"(next->shift),                                                          \
        "m"(next->end)                                                             \
      : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory"
#else
/* The sum of a lane becomes an output, or is kept. */
static void put_sum(computation *next, int32_t channel, int32_t lane, int32_t sum) {
  mcufit_dsp_scale scale;
  if (!next->multiplier) {
    next->kept[channel * next->stride + lane] = sum;
    return;
  }
  scale.multiplier = next->multiplier[channel];
  scale.bits = -next->shift[channel];
  scale.addend = mcufit_shift_left(next->rounding, (int)(scale.bits - 1));
  next->outputs[lane][channel] = (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale(sum, scale));
}

static int32_t first_sum(const computation *next, int32_t channel, int32_t lane) {
  return next->bias ? next->bias[channel] : next->kept[channel * next->stride + lane];
}
#endif

#if defined(MCUFIT_DSP_LOOPS)
/* Sums of a pair's first channel start from its bias; those of both start from the same. */
#define MCUFIT_PAIR_BIAS                                 \
  "1:\n\t"                                               \
  "ldrd %[pair], %[word], %[channel]\n\t" /* and bias */ \
  "cbz %[word], 3f\n\t"                                  \
  "ldr r4, [%[word], %[pair], lsl #2]\n\t"               \
  "mov r5, r4\n\t"
#define MCUFIT_PAIR_ENTER                           \
  "mov r8, r4\n\t"                                  \
  "mov r9, r5\n\t"                                  \
  "ldrd %[x], %[word], %[taps]\n\t" /* and entry */ \
  "mov pc, %[word]\n"
/* The second channel's sum of a lane from its bias and the sum of both. */
#define MCUFIT_SECOND(from, first, both) \
  "sub " both ", " first                 \
  "\n\t"                                 \
  "add " both ", " from ", " both ", asr #8\n\t"
#define MCUFIT_KEPT_SECOND(at, first, both) \
  "ldr %[e], [%[word], #" at "]\n\t" MCUFIT_SECOND("%[e]", first, both)
#define MCUFIT_PAIR_SECOND_BIAS                          \
  "ldrd %[pair], %[word], %[channel]\n\t" /* and bias */ \
  "cmp %[word], #0\n\t"                                  \
  "beq.w 8f\n\t"                                         \
  "add %[word], %[word], %[pair], lsl #2\n\t"            \
  "ldr %[word], [%[word], #4]\n\t"
#define MCUFIT_UNLESS_SCALED(to) \
  "ldr %[x], %[multiplier]\n\t"  \
  "cmp %[x], #0\n\t"             \
  "beq.w " to "\n\t"
#define MCUFIT_PAIR_NEXT                          \
  "11:\n\t"                                       \
  "ldrd %[x], %[word], %[skip]\n\t" /* and end */ \
  "add %[pair], #2\n\t"                           \
  "str %[pair], %[channel]\n\t"                   \
  "add %[w], %[x]\n\t"                            \
  "cmp %[pair], %[word]\n\t"                      \
  "bne.w 1b\n\t"
/* Where the loop at label 4 is entered. */
#define MCUFIT_FIND_ENTRY   \
  "ldr r9, %[left_out]\n\t" \
  "adr.w r11, 4f\n\t"       \
  "add r9, r11\n\t"         \
  "str r9, %[entry]\n"
#else
/* The same for any number of lanes. */
static void compute_pairs_of_lanes(computation *next, const int8_t *w) {
  const int32_t stride = next->stride;
  const int32_t words = (int32_t)(next->end_taps - next->taps) / stride; /* two taps of both */
  for (; next->channel != next->end; next->channel += 2) {
    int32_t lane;
    for (lane = 0; lane < next->lanes; ++lane) {
      int32_t first = 0, both = 0, i;
      for (i = 0; i < words; ++i) {
        const uint32_t word = mcufit_load_s8x4(w + 4 * i);
        first = mcufit_add_products(mcufit_even_s8(word), next->taps[i * stride + lane], first);
        both = mcufit_add_products(word, next->taps[i * stride + lane], both);
      }
      both = ((both - first) >> 8) + first_sum(next, next->channel + 1, lane);
      put_sum(next, next->channel, lane, first + first_sum(next, next->channel, lane));
      put_sum(next, next->channel + 1, lane, both);
    }
    w += 4 * words + next->skip;
  }
}
#endif

/* Computes pairs of channels up to the end for three lanes; w is the next one's interleaved filter. */
static inline void compute_pairs(computation *next, const int8_t *w) {
#if defined(MCUFIT_DSP_LOOPS)
  const mcufit_s16x2 *x;
  int32_t word, pair, e;
/* Sums of the first channel in r4 to r6, of both in r8 to r10. */
#define MCUFIT_TAPS_OF_THREE(w)                                                                        \
  "ldmia.w %[x]!, {r11, r12, lr}\n\t"                                                                  \
  "sxtb16 %[pair], " w "\n\t" MCUFIT_ADD("r8", w, "r11") MCUFIT_ADD("r9", w, "r12")                    \
      MCUFIT_ADD("r10", w, "lr") MCUFIT_ADD("r4", "%[pair]", "r11") MCUFIT_ADD("r5", "%[pair]", "r12") \
          MCUFIT_ADD("r6", "%[pair]", "lr")
/* Where sums of channel `pair` are kept. */
#define MCUFIT_KEPT                       \
  "ldr %[word], %[kept]\n\t"              \
  "add r12, %[pair], %[pair], lsl #1\n\t" \
  "add %[word], %[word], r12, lsl #2\n\t"
#define MCUFIT_THREE \
  "ldrd %[word], %[e], [%[w]], #8\n\t" MCUFIT_TAPS_OF_THREE("%[word]") MCUFIT_TAPS_OF_THREE("%[e]")
  __asm__ volatile(
      MCUFIT_FIND_ENTRY MCUFIT_PAIR_BIAS
      "mov r6, r4\n"
      "6:\n\t"
      "mov r10, r6\n\t" MCUFIT_PAIR_ENTER
      "3:\n\t" MCUFIT_KEPT "ldmia.w %[word], {r4, r5, r6}\n\t"
      "b 6b\n\t"
      ".balign 4\n" /* of the section too, which adr asks for */
      "4:\n\t" MCUFIT_THREE MCUFIT_THREE MCUFIT_THREE MCUFIT_THREE MCUFIT_ROUND_END
      "bne.w 4b\n\t" MCUFIT_PAIR_SECOND_BIAS MCUFIT_SECOND("%[word]", "r4", "r8")
          MCUFIT_SECOND("%[word]", "r5", "r9") MCUFIT_SECOND("%[word]", "r6", "r10")
      "9:\n\t" MCUFIT_UNLESS_SCALED("10f") MCUFIT_RESCALE_TWO("r4", "r5") MCUFIT_RESCALE("r6")
      "add %[pair], #1\n\t" MCUFIT_RESCALE_TWO("r8", "r9") MCUFIT_RESCALE("r10")
      "sub %[pair], #1\n\t"
      "bfi r4, r8, #8, #8\n\t"
      "bfi r5, r9, #8, #8\n\t"
      "bfi r6, r10, #8, #8\n\t" MCUFIT_STORE_TWO("strh.w")
      "ldr lr, %[output2]\n\t"
      "strh.w r6, [lr, %[pair]]\n\t" MCUFIT_PAIR_NEXT
      "b 12f\n"
      "8:\n\t" MCUFIT_KEPT MCUFIT_KEPT_SECOND("12", "r4", "r8") MCUFIT_KEPT_SECOND("16", "r5", "r9")
          MCUFIT_KEPT_SECOND("20", "r6", "r10")
      "b 9b\n"
      "10:\n\t" MCUFIT_KEPT "stmia.w %[word], {r4, r5, r6, r8, r9, r10}\n\t"
      "b 11b\n"
      "12:"
      : MCUFIT_COMPUTATION_OPERANDS);
#undef MCUFIT_TAPS_OF_THREE
#undef MCUFIT_THREE
#undef MCUFIT_KEPT
#else
  compute_pairs_of_lanes(next, w);
#endif
}

/* The same for two lanes, whose taps stand side by side. */
static inline void compute_pairs_of_two_lanes(computation *next, const int8_t *w) {
#if defined(MCUFIT_DSP_LOOPS)
  const mcufit_s16x2 *x;
  int32_t word, pair, e;
/* Sums of the first channel in r4 and r5, of both in r8 and r9. */
#define MCUFIT_TAPS_OF_TWO(w, x0, x1)                                         \
  "sxtb16 %[pair], " w "\n\t" MCUFIT_ADD("r8", w, x0) MCUFIT_ADD("r9", w, x1) \
      MCUFIT_ADD("r4", "%[pair]", x0) MCUFIT_ADD("r5", "%[pair]", x1)
#define MCUFIT_KEPT          \
  "ldr %[word], %[kept]\n\t" \
  "add %[word], %[word], %[pair], lsl #3\n\t"
#define MCUFIT_TWO                                                                     \
  "ldrd %[word], %[e], [%[w]], #8\n\t"                                                 \
  "ldmia.w %[x]!, {r10, r11, r12, lr}\n\t" MCUFIT_TAPS_OF_TWO("%[word]", "r10", "r11") \
      MCUFIT_TAPS_OF_TWO("%[e]", "r12", "lr")
  __asm__ volatile(
      MCUFIT_FIND_ENTRY MCUFIT_PAIR_BIAS
      "6:\n\t" MCUFIT_PAIR_ENTER
      "3:\n\t" MCUFIT_KEPT "ldrd r4, r5, [%[word]]\n\t"
      "b 6b\n\t"
      ".balign 4\n"
      "4:\n\t" MCUFIT_TWO MCUFIT_TWO MCUFIT_TWO MCUFIT_TWO MCUFIT_TWO MCUFIT_TWO MCUFIT_TWO MCUFIT_TWO MCUFIT_ROUND_END
      "bne.w 4b\n\t" MCUFIT_PAIR_SECOND_BIAS MCUFIT_SECOND("%[word]", "r4", "r8")
          MCUFIT_SECOND("%[word]", "r5", "r9")
      "9:\n\t" MCUFIT_UNLESS_SCALED("10f") MCUFIT_RESCALE_TWO("r4", "r5")
      "add %[pair], #1\n\t" MCUFIT_RESCALE_TWO("r8", "r9")
      "sub %[pair], #1\n\t"
      "bfi r4, r8, #8, #8\n\t"
      "bfi r5, r9, #8, #8\n\t" MCUFIT_STORE_TWO("strh.w") MCUFIT_PAIR_NEXT
      "b 12f\n"
      "8:\n\t" MCUFIT_KEPT MCUFIT_KEPT_SECOND("8", "r4", "r8") MCUFIT_KEPT_SECOND("12", "r5", "r9")
      "b 9b\n"
      "10:\n\t" MCUFIT_KEPT "stmia.w %[word], {r4, r5, r8, r9}\n\t"
      "b 11b\n"
      "12:"
      : MCUFIT_COMPUTATION_OPERANDS);
#undef MCUFIT_TAPS_OF_TWO
#undef MCUFIT_TWO
#undef MCUFIT_KEPT
#else
  compute_pairs_of_lanes(next, w);
#endif
}
#if defined(MCUFIT_DSP_LOOPS)
#undef MCUFIT_SECOND
#undef MCUFIT_KEPT_SECOND
#endif

/* Computes single channels up to the end for five lanes; w is the next one's filter. What lanes without a
   pixel make is written over by the first one. */
static inline void compute_words(computation *next, const int8_t *w) {
#if defined(MCUFIT_DSP_LOOPS)
  const mcufit_s16x2 *x;
  int32_t word, pair, e;
/* Sums in r4, r5, r6, r8 and e. */
#define MCUFIT_TAPS                                                              \
  "ldmia.w %[x]!, {r9, r10, r11, r12, lr}\n\t" MCUFIT_ADD("r4", "%[pair]", "r9") \
      MCUFIT_ADD("r5", "%[pair]", "r10") MCUFIT_ADD("r6", "%[pair]", "r11")      \
          MCUFIT_ADD("r8", "%[pair]", "r12") MCUFIT_ADD("%[e]", "%[pair]", "lr")
#define MCUFIT_WORD               \
  "ldr.w %[word], [%[w]], #4\n\t" \
  "sxtb16 %[pair], %[word]\n\t" MCUFIT_TAPS "sxtb16 %[pair], %[word], ror #8\n\t" MCUFIT_TAPS
#define MCUFIT_KEPT                      \
  "ldr %[word], %[kept]\n\t"             \
  "add r9, %[pair], %[pair], lsl #2\n\t" \
  "add %[word], %[word], r9, lsl #2\n\t"
  __asm__ volatile(
      MCUFIT_FIND_ENTRY
      "1:\n\t"
      "ldrd %[pair], %[word], %[channel]\n\t" /* and bias */
      "cbz %[word], 3f\n\t"
      "ldr r4, [%[word], %[pair], lsl #2]\n\t"
      "mov r5, r4\n\t"
      "mov r6, r4\n\t"
      "mov r8, r4\n\t"
      "mov %[e], r4\n"
      "6:\n\t"
      "ldrd %[x], %[word], %[taps]\n\t" /* and entry */
      "mov pc, %[word]\n"
      "3:\n\t" MCUFIT_KEPT
      "ldr %[e], [%[word], #16]\n\t"
      "ldmia.w %[word], {r4, r5, r6, r8}\n\t"
      "b 6b\n\t"
      ".balign 4\n" /* of the section too, which adr asks for */
      "4:\n\t" MCUFIT_WORD MCUFIT_WORD MCUFIT_WORD MCUFIT_WORD MCUFIT_ROUND_END
      "bne 4b\n\t"
      "ldr %[pair], %[channel]\n\t" MCUFIT_UNLESS_SCALED("9f") MCUFIT_RESCALE_TWO("r4", "r5")
          MCUFIT_RESCALE("r6") MCUFIT_RESCALE("r8") MCUFIT_RESCALE("%[e]")
      "ldr lr, %[output4]\n\t"
      "strb %[e], [lr, %[pair]]\n\t"
      "ldrd r12, lr, %[output2]\n\t"
      "strb r8, [lr, %[pair]]\n\t"
      "strb r6, [r12, %[pair]]\n\t" MCUFIT_STORE_TWO("strb")
      "10:\n\t"
      "ldrd %[x], %[word], %[skip]\n\t" /* and end */
      "add %[pair], #1\n\t"
      "str %[pair], %[channel]\n\t"
      "add %[w], %[x]\n\t"
      "cmp %[pair], %[word]\n\t"
      "bne.w 1b\n\t"
      "b 11f\n"
      "9:\n\t" MCUFIT_KEPT
      "str %[e], [%[word], #16]\n\t"
      "stmia.w %[word], {r4, r5, r6, r8}\n\t"
      "b 10b\n"
      "11:"
      : MCUFIT_COMPUTATION_OPERANDS);
#undef MCUFIT_TAPS
#undef MCUFIT_WORD
#undef MCUFIT_KEPT
#else
  for (; next->channel != next->end; ++next->channel) {
    int32_t lane;
    for (lane = 0; lane < next->lanes; ++lane) {
      const mcufit_s16x2 *x = next->taps + lane;
      const int8_t *from = w;
      int32_t sum = first_sum(next, next->channel, lane);
      for (; x < next->end_taps; x += 2 * MCUFIT_DSP_LANES) {
        const uint32_t word = mcufit_load_s8x4(from);
        sum = mcufit_add_products(mcufit_even_s8(word), x[0], sum);
        sum = mcufit_add_products(mcufit_odd_s8(word), x[MCUFIT_DSP_LANES], sum);
        from += 4;
      }
      put_sum(next, next->channel, lane, sum);
    }
    w += 4 * ((next->end_taps - next->taps) / (2 * MCUFIT_DSP_LANES)) + next->skip;
  }
#endif
}

/* Writes the portion's channels, by the rule itself. */
static MCUFIT_NOINLINE void finish(const tile *t, const portion *p) {
  const int32_t *kept = t->kept;
  int32_t c;
  int lane;
  for (c = p->channel; c < p->end_channel; ++c) {
    for (lane = 0; lane < t->lanes; ++lane)
      t->pixels[lane].output[c] = requantized(&t->step->requantization, c, kept[lane]);
    kept += t->stride;
  }
}

static MCUFIT_NOINLINE void compute(tile *t, const portion *p) {
  const mcufit_requantization *q = &t->step->requantization;
  const int32_t n = p->end - p->first, words = (n + 3) >> 2;
  const int32_t channels = p->end_channel - p->channel;
  const int32_t readable = (n & 3) == 0 ? channels : padded_end(t) - p->channel;
  const int complete = p->end == t->filter_bytes;
  const int8_t *w = t->step->filter + p->channel * t->filter_bytes;
  computation next;
  int lane;
  next.channel = 0;
  next.bias = p->first == 0 ? t->step->bias + p->channel : 0;
  next.multiplier = complete && q->short_form ? q->multiplier + p->channel : 0;
  next.shift = q->shift + p->channel;
  next.taps = t->taps;
  next.end_taps = t->taps + 2 * t->stride * words;
  next.kept = t->kept;
  next.rounding = 2 * q->output_zero_point + 1;
  next.lanes = t->lanes;
  next.stride = t->stride;
  next.entry = 0;
  next.end = channels;
  for (lane = 0; lane < MCUFIT_DSP_LANES; ++lane)
    next.outputs[lane] = t->pixels[lane < t->lanes ? lane : 0].output + p->channel;
  if (t->stride == MCUFIT_DSP_PAIR_LANES) {
    next.skip = 2 * t->filter_bytes - 8 * words;
    next.left_out = left_out(words, PAIR_ROUND, PAIR_BYTES);
    compute_pairs(&next, w + 2 * p->first);
  } else if (t->stride == 2) {
    next.skip = 2 * t->filter_bytes - 8 * words;
    next.left_out = left_out(words, TWO_LANES_ROUND, TWO_LANES_BYTES);
    compute_pairs_of_two_lanes(&next, w + 2 * p->first);
  }
  next.skip = t->filter_bytes - 4 * words;
  next.left_out = left_out(words, CHANNEL_ROUND, CHANNEL_BYTES);
  while (next.channel < channels) {
    const int8_t *from = w + next.channel * t->filter_bytes + p->first;
    next.end = readable < channels ? readable : channels;
    if (next.channel >= next.end) {
      fill(0, -n & 3, copy(from, n, t->bytes));
      from = t->bytes;
      next.end = next.channel + 1;
    }
    compute_words(&next, from);
  }
  if (complete && !q->short_form) finish(t, p);
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
  /* Sums of lanes without a pixel do not stay: they tell what lay in the scratch before. */
  if (t->lanes < t->stride) fill(0, (int32_t)((int8_t *)t->taps - (int8_t *)t->kept), (int8_t *)t->kept);
}

/* The layout of the next tile: of two lanes one repeats the last pixel where no other is left. */
static void lay_out(tile *t, int32_t left) {
  t->stride = MCUFIT_DSP_LANES;
  t->lanes = left < MCUFIT_DSP_LANES ? (int)left : MCUFIT_DSP_LANES;
  if (!t->step->interleaved) return;
  t->stride = left < MCUFIT_DSP_PAIR_LANES || left == 4 ? 2 : MCUFIT_DSP_PAIR_LANES;
  t->lanes = (int)t->stride;
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
    lay_out(t, left);
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

/* What the scratch is for. Where filters are not interleaved whose shape allows it, because of their weights,
   it is that of pairs all the same, which holds fewer taps of more lanes. */
static inline void divide_scratch(tile *t, int8_t *scratch) {
  const mcufit_conv2d_s8_step *step = t->step;
  const mcufit_conv2d_s8_dsp_scratch s = mcufit_conv2d_s8_dsp_scratch_of(&step->window);
  const int32_t lanes = step->interleaved ? MCUFIT_DSP_PAIR_LANES : MCUFIT_DSP_LANES;
  const int32_t block = s.sums / lanes;
  t->depth = s.taps / lanes & ~3;
  t->block = block;
  if (t->filter_bytes <= t->depth && step->requantization.short_form) t->block = step->window.output_channels;
  t->kept = (int32_t *)(void *)scratch;
  t->taps = (mcufit_s16x2 *)t->kept + block * lanes;
  t->bytes = (int8_t *)t->taps + 2 * t->depth * lanes;
}

void mcufit_conv2d_s8(const mcufit_conv2d_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  const mcufit_window *window = &step->window;
  const int32_t row_bytes = (int32_t)window->kernel_width * window->input_channels;
  const int contiguous = window->dilation_width == 1 && step->input.pixel_stride == window->input_channels;
  tile t;
  t.step = step;
  t.input = arena + step->input.offset;
  t.filter_bytes = mcufit_conv2d_taps(window);
  t.run = contiguous ? row_bytes : window->input_channels;
  t.runs = contiguous ? 1 : window->kernel_width;
  t.last_row = window->input_height - 1 - (window->kernel_height - 1) * window->dilation_height;
  t.last_column = window->input_width - 1 - (window->kernel_width - 1) * window->dilation_width;
  divide_scratch(&t, arena + step->scratch);
  compute_pixels(&t, arena, first_row, end_row);
}
