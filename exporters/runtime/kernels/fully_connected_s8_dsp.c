/* SPDX-License-Identifier: Apache-2.0 */
/* The input is widened to int16 once, in portions of DEPTH elements, for OUTPUTS output channels at a time,
   of which two share its loads. */
#include "mcufit_dsp.h"

typedef char
    mcufit_fully_connected_s8_step_bytes[sizeof(void *) != 4 || sizeof(mcufit_fully_connected_s8_step) ==
                                                                    MCUFIT_FULLY_CONNECTED_S8_STEP_BYTES
                                             ? 1
                                             : -1];

#define DEPTH 256
#define OUTPUTS 64

/* Widens n bytes, and as many zeros as fill the last word: (0, 2), (1, 3) of each four. */
static void widen(const int8_t *from, int32_t n, mcufit_s16x2 *to) {
  for (; n > 0; n -= 4) {
    const uint32_t word = n >= 4 ? mcufit_load_s8x4(from) : mcufit_load_few_s8(from, n);
    *to++ = mcufit_even_s8(word);
    *to++ = mcufit_odd_s8(word);
    from += 4;
  }
}

/* Pairs of output channels, whose filters are aligned to words and have n taps in this portion, n a multiple
   of 8. */
typedef struct {
  const mcufit_s16x2 *input;
  int32_t eights;     /* n / 8 */
  int32_t skip;       /* bytes from one filter's last tap here to the next one's first */
  int32_t *sums;      /* of the next pair, that they start from and go to */
  const int32_t *end; /* the sums to stop at */
} pairs;

static MCUFIT_NOINLINE void add_pairs(pairs *p, const int8_t *v) {
#if defined(MCUFIT_ISA_DSP)
  const int8_t *w;
  uint32_t x, n, pair, a, b;
#define MCUFIT_EIGHT                    \
  "ldmia %[x]!, {r8, r9, r10, r11}\n\t" \
  "ldrd r5, r6, [%[v]], #8\n\t"         \
  "sxtb16 %[pair], r5\n\t"              \
  "sxtb16 r5, r5, ror #8\n\t"           \
  "smlad %[a], %[pair], r8, %[a]\n\t"   \
  "smlad %[a], r5, r9, %[a]\n\t"        \
  "sxtb16 %[pair], r6\n\t"              \
  "sxtb16 r6, r6, ror #8\n\t"           \
  "smlad %[a], %[pair], r10, %[a]\n\t"  \
  "smlad %[a], r6, r11, %[a]\n\t"       \
  "ldrd r5, r6, [%[w]], #8\n\t"         \
  "sxtb16 %[pair], r5\n\t"              \
  "sxtb16 r5, r5, ror #8\n\t"           \
  "smlad %[b], %[pair], r8, %[b]\n\t"   \
  "smlad %[b], r5, r9, %[b]\n\t"        \
  "sxtb16 %[pair], r6\n\t"              \
  "sxtb16 r6, r6, ror #8\n\t"           \
  "smlad %[b], %[pair], r10, %[b]\n\t"  \
  "smlad %[b], r6, r11, %[b]\n\t"
  __asm__ volatile(
      "1:\n\t"
      "ldrd %[x], %[n], [%[k]]\n\t"
      "ldrd %[pair], r5, [%[k], #8]\n\t"
      "ldrd %[a], %[b], [r5]\n\t"
      "add %[w], %[v], %[pair]\n\t"
      "add %[w], %[w], %[n], lsl #3\n\t"
      "lsrs %[n], %[n], #1\n\t"
      "bcc 2f\n\t" MCUFIT_EIGHT
      "2:\n\t"
      "lsrs %[n], %[n], #1\n\t"
      "bcc 3f\n\t" MCUFIT_EIGHT MCUFIT_EIGHT
      "3:\n\t"
      "cmp %[n], #0\n\t"
      "beq 5f\n"
      "4:\n\t" MCUFIT_EIGHT MCUFIT_EIGHT MCUFIT_EIGHT MCUFIT_EIGHT
      "subs %[n], %[n], #1\n\t"
      "bne 4b\n"
      "5:\n\t"
      "ldrd %[n], %[x], [%[k], #8]\n\t"
      "ldr %[pair], [%[k], #16]\n\t"
      "strd %[a], %[b], [%[x]], #8\n\t"
      "str %[x], [%[k], #12]\n\t"
      "add %[v], %[w], %[n]\n\t"
      "cmp %[x], %[pair]\n\t"
      "bne 1b"
      : [v] "+r"(v), [w] "=&r"(w), [x] "=&r"(x), [n] "=&r"(n), [pair] "=&r"(pair), [a] "=&r"(a), [b] "=&r"(b)
      : [k] "r"(p)
      : "r5", "r6", "r8", "r9", "r10", "r11", "cc", "memory");
#undef MCUFIT_EIGHT
#else
  for (; p->sums != p->end; ++p->sums) {
    int32_t i;
    for (i = 0; i < 2 * p->eights; ++i) {
      const uint32_t word = mcufit_load_s8x4(v);
      *p->sums = mcufit_add_products(mcufit_even_s8(word), p->input[2 * i], *p->sums);
      *p->sums = mcufit_add_products(mcufit_odd_s8(word), p->input[2 * i + 1], *p->sums);
      v += 4;
    }
    v += p->skip;
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
  int32_t from, n, first, end;
  mcufit_s16x2 input[DEPTH / 2];
  int32_t sums[OUTPUTS];
} portion;

static void add_portion(portion *p) {
  const int32_t elements = p->step->input_elements;
  const int8_t *w = p->step->filter + p->first * elements + p->from;
  const int32_t outputs = p->end - p->first;
  const int32_t paired = (((uintptr_t)w | (uint32_t)elements) & 3U) == 0 && p->n >= 8 ? outputs & ~1 : 0;
  int32_t done = 0;
  int32_t i;
  if (paired > 0) {
    pairs all;
    all.input = p->input;
    all.eights = p->n >> 3;
    all.skip = elements - (p->n & ~7);
    all.sums = p->sums;
    all.end = p->sums + paired;
    add_pairs(&all, w);
    done = p->n & ~7;
  }
  for (i = done == p->n ? paired : 0; i < outputs; ++i) {
    const int32_t from = i < paired ? done : 0;
    p->sums[i] += sum_of(p->input + from / 2, w + i * elements + from, p->n - from);
  }
}

static int8_t requantized(const mcufit_requantization *q, int32_t channel, int32_t sum) {
  const int32_t scaled = mcufit_requantize(sum, q->multiplier[channel], q->shift[channel]);
  return mcufit_clamp(scaled + q->output_zero_point, q->output_min, q->output_max);
}

/* In the short form where shift and sum are in its reach. */
static MCUFIT_NOINLINE void finish(const portion *p, int8_t *output) {
  const mcufit_requantization q = p->step->requantization;
  const int any_s8 = mcufit_clamps_to_s8(&q);
  const int32_t *sum = p->sums;
  const int32_t end = p->end;
  int32_t i;
  for (i = p->first; i < end; ++i, ++sum) {
    const int short_form = any_s8 && mcufit_dsp_short_shift(q.shift[i]) && mcufit_dsp_short_sum(*sum);
    output[i] = short_form ? (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale(*sum, mcufit_dsp_scale_of(&q, i)))
                           : requantized(&q, i, *sum);
  }
}

void mcufit_fully_connected_s8(const mcufit_fully_connected_s8_step *step, int8_t *arena, int16_t first,
                               int16_t end) {
  const int8_t *input = arena + step->input_offset;
  int8_t *output = arena + step->output_offset;
  portion p;
  int32_t i;
  p.step = step;
  for (p.first = first; p.first < end; p.first = p.end) {
    p.end = p.first + OUTPUTS < end ? p.first + OUTPUTS : end;
    for (i = p.first; i < p.end; ++i) p.sums[i - p.first] = step->bias[i];
    for (p.from = 0; p.from < step->input_elements; p.from += DEPTH) {
      p.n = p.from + DEPTH < step->input_elements ? DEPTH : step->input_elements - p.from;
      widen(input + p.from, p.n, p.input);
      add_portion(&p);
    }
    finish(&p, output);
  }
}
