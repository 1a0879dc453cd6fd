/* SPDX-License-Identifier: Apache-2.0 */
/* The input is widened to int16 once, in portions of DEPTH elements, and three output channels at a time
   share its loads; where there are more portions than one, the sums of OUTPUTS channels wait for the next. */
#define MCUFIT_DSP_SMALL
#include "mcufit_dsp.h"

typedef char
    mcufit_fully_connected_s8_step_bytes[sizeof(void *) != 4 || sizeof(mcufit_fully_connected_s8_step) ==
                                                                    MCUFIT_FULLY_CONNECTED_S8_STEP_BYTES
                                             ? 1
                                             : -1];

#define DEPTH 256
#define OUTPUTS 66

static mcufit_s16x2 *put_word(uint32_t word, mcufit_s16x2 *to) {
  to[0] = mcufit_even_s8(word);
  to[1] = mcufit_odd_s8(word);
  return to + 2;
}

/* Widens n bytes, and as many zeros as fill the last word: (0, 2), (1, 3) of each four. */
static void widen(const int8_t *from, int32_t n, mcufit_s16x2 *to) {
  for (; n >= 4; n -= 4) {
    to = put_word(mcufit_load_s8x4(from), to);
    from += 4;
  }
  if (n > 0) put_word(mcufit_load_few_s8(from, n), to);
}

/* Eights of taps in a round of the loop, and bytes of the instructions of eight taps of three channels. */
#define ROUND 4
#define EIGHT_BYTES 112

/* Output channels by threes, whose filters are aligned to words and have n taps in this portion, n a multiple
   of 8. */
typedef struct {
  const int32_t *from; /* the next channel's sum starts from it */
  const int32_t *end;  /* where `from` stops */
  const mcufit_s16x2 *input;
  int32_t entry; /* bytes of the loop's code that the first round leaves out; in assembly where it enters */
  const mcufit_s16x2 *end_input;
  int32_t *kept;             /* where sums go */
  const int32_t *multiplier; /* 0: the sums are kept; else they become outputs, in the short form */
  const int8_t *shift;
  int32_t rounding; /* and twice the output's zero point */
  int8_t *output;
  int32_t filter_bytes; /* of a channel */
  int32_t skip;         /* of them, those that are not in this portion */
} threes;

static MCUFIT_NOINLINE void compute_threes(const threes *all, const int8_t *w) {
  threes t = *all;
#if defined(MCUFIT_ISA_DSP)
  const int8_t *second, *third;
  uint32_t x, pair;
#define MCUFIT_EIGHT_OF(w, sum)       \
  "ldrd r12, lr, [" w                 \
  "], #8\n\t"                         \
  "sxtb16 %[pair], r12\n\t"           \
  "sxtb16 r12, r12, ror #8\n\t"       \
  "smlad " sum ", %[pair], r8, " sum  \
  "\n\t"                              \
  "smlad " sum ", r12, r9, " sum      \
  "\n\t"                              \
  "sxtb16 %[pair], lr\n\t"            \
  "sxtb16 lr, lr, ror #8\n\t"         \
  "smlad " sum ", %[pair], r10, " sum \
  "\n\t"                              \
  "smlad " sum ", lr, r11, " sum "\n\t"
#define MCUFIT_EIGHT                                                                                       \
  "ldmia.w %[x]!, {r8, r9, r10, r11}\n\t" MCUFIT_EIGHT_OF("%[w]", "r4") MCUFIT_EIGHT_OF("%[second]", "r5") \
      MCUFIT_EIGHT_OF("%[third]", "r6")
/* The addend of the short form is added after most of the shift. */
#define MCUFIT_OUTPUT(sum, multiplier)   \
  "ldrsb %[pair], [r9], #1\n\t"          \
  "lsl " sum ", " sum                    \
  ", #1\n\t"                             \
  "asr %[x], " sum                       \
  ", #31\n\t"                            \
  "smmlar " sum ", " sum ", " multiplier \
  ", %[x]\n\t"                           \
  "mvn %[pair], %[pair]\n\t"             \
  "asr " sum ", " sum                    \
  ", %[pair]\n\t"                        \
  "add " sum ", " sum                    \
  ", lr\n\t"                             \
  "ssat " sum ", #8, " sum ", asr #1\n\t"
  __asm__ volatile(
      "adr.w r9, 2f\n\t"
      "ldr r8, %[entry]\n\t"
      "add r9, r8\n\t"
      "str r9, %[entry]\n"
      "1:\n\t"
      "ldr r9, %[from]\n\t"
      "ldr %[second], %[filter_bytes]\n\t"
      "ldmia r9!, {r4, r5, r6}\n\t"
      "str r9, %[from]\n\t"
      "ldrd %[x], r9, %[input]\n\t" /* and entry */
      "add %[third], %[w], %[second], lsl #1\n\t"
      "add %[second], %[w]\n\t"
      "mov pc, r9\n\t"
      ".balign 4\n" /* of the section too, which adr asks for */
      "2:\n\t" MCUFIT_EIGHT MCUFIT_EIGHT MCUFIT_EIGHT MCUFIT_EIGHT
      "ldr r12, %[end_input]\n\t"
      "cmp %[x], r12\n\t"
      "bne 2b\n\t"
      "ldrd r8, r9, %[multiplier]\n\t" /* and shift */
      "cmp r8, #0\n\t"
      "beq 3f\n\t"
      "ldmia r8!, {r10, r11, r12}\n\t"
      "ldr lr, %[rounding]\n\t" MCUFIT_OUTPUT("r4", "r10") MCUFIT_OUTPUT("r5", "r11")
          MCUFIT_OUTPUT("r6", "r12")
      "strd r8, r9, %[multiplier]\n\t"
      "ldr r8, %[output]\n\t"
      "strb r4, [r8], #1\n\t"
      "strb r5, [r8], #1\n\t"
      "strb r6, [r8], #1\n\t"
      "str r8, %[output]\n"
      "4:\n\t"
      "ldr r10, %[skip]\n\t"
      "ldrd r8, r9, %[from]\n\t" /* and end */
      "add %[w], %[third], r10\n\t"
      "cmp r8, r9\n\t"
      "bne 1b\n\t"
      "b 5f\n"
      "3:\n\t"
      "ldr r8, %[kept]\n\t"
      "stmia r8!, {r4, r5, r6}\n\t"
      "str r8, %[kept]\n\t"
      "b 4b\n"
      "5:"
      : [w] "+r"(w), [second] "=&r"(second), [third] "=&r"(third), [x] "=&r"(x), [pair] "=&r"(pair),
        [from] "+m"(t.from), [entry] "+m"(t.entry), [kept] "+m"(t.kept), [multiplier] "+m"(t.multiplier),
        [output] "+m"(t.output), "+m"(t.shift)
      : [input] "m"(t.input), [end_input] "m"(t.end_input), [rounding] "m"(t.rounding),
        [filter_bytes] "m"(t.filter_bytes), [skip] "m"(t.skip), "m"(t.end)
      : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
#undef MCUFIT_EIGHT_OF
#undef MCUFIT_EIGHT
#undef MCUFIT_OUTPUT
#else
  for (; t.from != t.end; ++t.from) {
    int32_t sum = *t.from;
    const mcufit_s16x2 *x;
    for (x = t.input; x != t.end_input; x += 2) {
      const uint32_t word = mcufit_load_s8x4(w);
      sum = mcufit_add_products(mcufit_even_s8(word), x[0], sum);
      sum = mcufit_add_products(mcufit_odd_s8(word), x[1], sum);
      w += 4;
    }
    w += t.skip;
    if (t.multiplier) {
      const int32_t doubled = mcufit_shift_left(sum, 1);
      const int32_t product = mcufit_add_upper_product(doubled, *t.multiplier++, doubled >> 31);
      *t.output++ = (int8_t)mcufit_saturate_s8(((product >> (-1 - *t.shift++)) + t.rounding) >> 1);
    } else {
      *t.kept++ = sum;
    }
  }
#endif
}

/* The sum of n products with a filter at any address. */
static MCUFIT_NOINLINE int32_t sum_of(const mcufit_s16x2 *x, const int8_t *w, int32_t n) {
  int32_t sum = 0;
  for (; n > 0; n -= 4) {
    const uint32_t word = n >= 4 ? mcufit_load_s8x4(w) : mcufit_load_few_s8(w, n);
    sum = mcufit_add_products(mcufit_even_s8(word), x[0], sum);
    sum = mcufit_add_products(mcufit_odd_s8(word), x[1], sum);
    x += 2;
    w += 4;
  }
  return sum;
}

/* Input elements [from, from + n), widened, for outputs [first, end). */
typedef struct {
  const mcufit_fully_connected_s8_step *step;
  int8_t *output;
  int32_t from, n, first, end;
  int short_form;
  mcufit_s16x2 input[DEPTH / 2];
  int32_t sums[OUTPUTS];
} portion;

static int8_t requantized(const mcufit_requantization *q, int32_t channel, int32_t sum) {
  const int32_t scaled = mcufit_requantize(sum, q->multiplier[channel], q->shift[channel]);
  return mcufit_clamp(scaled + q->output_zero_point, q->output_min, q->output_max);
}

/* Adds the portion to the outputs that come by threes; how many are complete. */
static int32_t add_threes(portion *p, const int8_t *w, int32_t outputs) {
  const mcufit_fully_connected_s8_step *step = p->step;
  const mcufit_requantization *q = &step->requantization;
  const int complete = p->short_form && p->from + p->n == step->input_elements && (p->n & 7) == 0;
  const int32_t eights = p->n >> 3;
  threes t;
  t.from = p->from == 0 ? step->bias + p->first : p->sums;
  t.end = t.from + outputs;
  t.input = p->input;
  t.entry = (int32_t)(-(uint32_t)eights % ROUND) * EIGHT_BYTES;
  t.end_input = p->input + 4 * eights;
  t.kept = p->sums;
  t.multiplier = complete ? q->multiplier + p->first : 0;
  t.shift = q->shift + p->first;
  t.rounding = 2 * q->output_zero_point + 1;
  t.output = p->output + p->first;
  t.filter_bytes = step->input_elements;
  t.skip = t.filter_bytes - 8 * eights;
  compute_threes(&t, w);
  return complete ? outputs : 0;
}

/* How many outputs are complete already. */
static int32_t add_portion(portion *p) {
  const int32_t elements = p->step->input_elements;
  const int8_t *w = p->step->filter + p->first * elements + p->from;
  const int32_t outputs = p->end - p->first;
  const int aligned = (((uintptr_t)w | (uint32_t)elements) & 3U) == 0 && p->n >= 8;
  const int32_t by_threes = aligned ? outputs / 3 * 3 : 0;
  const int32_t complete = by_threes > 0 ? add_threes(p, w, by_threes) : 0;
  int32_t i;
  for (i = (p->n & 7) == 0 ? by_threes : complete; i < outputs; ++i) {
    const int32_t from = i < by_threes ? p->n & ~7 : 0;
    const int32_t start = from > 0 || p->from > 0 ? p->sums[i] : p->step->bias[p->first + i];
    p->sums[i] = start + sum_of(p->input + from / 2, w + i * elements + from, p->n - from);
  }
  return complete;
}

/* The outputs from p->first on that are computed at once: by threes where there are three, for which they
   reach back to some that are there already. */
static void choose_block(portion *p, int32_t first, int32_t end) {
  const int32_t elements = p->step->input_elements;
  const int once = p->short_form && elements <= DEPTH &&
                   (((uintptr_t)p->step->filter | (uint32_t)elements) & 7U) == 0; /* no sum waits */
  int32_t n = end - p->first;
  int32_t more;
  if (n > OUTPUTS && !once) n = OUTPUTS;
  p->end = p->first + n;
  more = (3 - n % 3) % 3;
  if (p->first - more >= first)
    p->first -= more;
  else if (n > 3)
    p->end -= 3 - more;
}

void mcufit_fully_connected_s8(const mcufit_fully_connected_s8_step *step, int8_t *arena, int16_t first,
                               int16_t end) {
  const int8_t *input = arena + step->input_offset;
  mcufit_requantization q = step->requantization;
  int32_t widened = -1;
  portion p;
  q.shift += first;
  p.step = step;
  p.output = arena + step->output_offset;
  p.short_form = mcufit_dsp_short_form(&q, step->bias + first, end - first);
  for (p.first = first; p.first < end; p.first = p.end) {
    int32_t complete = 0, i;
    choose_block(&p, first, end);
    for (p.from = 0; p.from < step->input_elements; p.from += DEPTH) {
      p.n = p.from + DEPTH < step->input_elements ? DEPTH : step->input_elements - p.from;
      if (widened != p.from) widen(input + p.from, p.n, p.input);
      widened = p.from;
      complete = add_portion(&p);
    }
    for (i = p.first + complete; i < p.end; ++i)
      p.output[i] = requantized(&step->requantization, i, p.sums[i - p.first]);
  }
}
