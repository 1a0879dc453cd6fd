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

typedef struct {
  int32_t a, b;
} sums;

/* Widens n bytes, and as many zeros as fill the last word: (0, 2), (1, 3) of each four. */
static void widen(const int8_t *from, int32_t n, mcufit_s16x2 *to) {
  for (; n >= 4; n -= 4) {
    const uint32_t word = mcufit_load_s8x4(from);
    *to++ = mcufit_even_s8(word);
    *to++ = mcufit_odd_s8(word);
    from += 4;
  }
  if (n > 0) {
    const uint32_t word = mcufit_load_few_s8(from, n);
    *to++ = mcufit_even_s8(word);
    *to = mcufit_odd_s8(word);
  }
}

/* Adds the products of two filters' eights of bytes. Both filters are aligned to words. */
static inline sums add_eights(const mcufit_s16x2 *x, const int8_t *v, const int8_t *w, int32_t eights,
                              sums s) {
#if defined(MCUFIT_ISA_DSP)
  uint32_t pair;
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
  __asm__(
      "lsrs %[pair], %[n], #1\n\t"
      "bcc 1f\n\t" MCUFIT_EIGHT
      "1:\n\t"
      "lsrs %[pair], %[n], #2\n\t"
      "bcc 2f\n\t" MCUFIT_EIGHT MCUFIT_EIGHT
      "2:\n\t"
      "lsrs %[n], %[n], #2\n\t"
      "beq 4f\n"
      "3:\n\t" MCUFIT_EIGHT MCUFIT_EIGHT MCUFIT_EIGHT MCUFIT_EIGHT
      "subs %[n], %[n], #1\n\t"
      "bne 3b\n"
      "4:"
      : [a] "+r"(s.a), [b] "+r"(s.b), [x] "+r"(x), [v] "+r"(v), [w] "+r"(w), [n] "+r"(eights),
        [pair] "=&r"(pair)
      :
      : "r5", "r6", "r8", "r9", "r10", "r11", "cc", "memory");
#undef MCUFIT_EIGHT
#else
  for (eights *= 2; eights > 0; --eights) {
    const uint32_t first = mcufit_load_s8x4(v), second = mcufit_load_s8x4(w);
    s.a = mcufit_add_products(mcufit_odd_s8(first), x[1],
                              mcufit_add_products(mcufit_even_s8(first), x[0], s.a));
    s.b = mcufit_add_products(mcufit_odd_s8(second), x[1],
                              mcufit_add_products(mcufit_even_s8(second), x[0], s.b));
    x += 2;
    v += 4;
    w += 4;
  }
#endif
  return s;
}

static inline int32_t add_word(const mcufit_s16x2 *x, uint32_t word, int32_t sum) {
  sum = mcufit_add_products(mcufit_even_s8(word), x[0], sum);
  return mcufit_add_products(mcufit_odd_s8(word), x[1], sum);
}

/* Adds the products of two filters at any addresses. */
static inline sums add_rest(const mcufit_s16x2 *x, const int8_t *v, const int8_t *w, int32_t n, sums s) {
  for (; n >= 4; n -= 4) {
    s.a = add_word(x, mcufit_load_s8x4(v), s.a);
    s.b = add_word(x, mcufit_load_s8x4(w), s.b);
    x += 2;
    v += 4;
    w += 4;
  }
  if (n > 0) {
    s.a = add_word(x, mcufit_load_few_s8(v, n), s.a);
    s.b = add_word(x, mcufit_load_few_s8(w, n), s.b);
  }
  return s;
}

static int8_t requantized(const mcufit_requantization *q, int32_t channel, int32_t sum) {
  const int32_t scaled = mcufit_requantize(sum, q->multiplier[channel], q->shift[channel]);
  return mcufit_clamp(scaled + q->output_zero_point, q->output_min, q->output_max);
}

/* Input elements [from, from + n), widened, for outputs [first, end). */
typedef struct {
  const mcufit_fully_connected_s8_step *step;
  int32_t from, n, first, end;
  mcufit_s16x2 input[DEPTH / 2];
  int32_t kept[OUTPUTS + 1]; /* sums, between portions of the input */
} portion;

/* An odd last output is paired with itself. */
static MCUFIT_NOINLINE void add_portion(portion *p) {
  const int32_t elements = p->step->input_elements;
  const int8_t *v = p->step->filter + p->first * elements + p->from;
  const int aligned = (((uintptr_t)v | (uint32_t)elements) & 3U) == 0;
  const int32_t eights = aligned ? p->n >> 3 : 0;
  int32_t *kept = p->kept;
  int32_t i;
  for (i = p->first; i < p->end; i += 2) {
    const int8_t *w = v + (i + 1 < p->end ? elements : 0);
    sums s;
    s.a = kept[0];
    s.b = kept[1];
    s = add_eights(p->input, v, w, eights, s);
    if (eights << 3 != p->n)
      s = add_rest(p->input + 4 * eights, v + 8 * eights, w + 8 * eights, p->n - 8 * eights, s);
    *kept++ = s.a;
    *kept++ = s.b;
    v = w + elements;
  }
}

void mcufit_fully_connected_s8(const mcufit_fully_connected_s8_step *step, int8_t *arena, int16_t first,
                               int16_t end) {
  const mcufit_requantization *q = &step->requantization;
  const int8_t *input = arena + step->input_offset;
  int8_t *output = arena + step->output_offset;
  const int short_form = mcufit_dsp_short_form(q, step->bias, first, end);
  portion p;
  int32_t i;
  p.step = step;
  for (p.first = first; p.first < end; p.first = p.end) {
    p.end = p.first + OUTPUTS < end ? p.first + OUTPUTS : end;
    for (i = p.first; i < p.end; ++i) p.kept[i - p.first] = step->bias[i];
    p.kept[p.end - p.first] = 0;
    for (p.from = 0; p.from < step->input_elements; p.from += DEPTH) {
      p.n = p.from + DEPTH < step->input_elements ? DEPTH : step->input_elements - p.from;
      widen(input + p.from, p.n, p.input);
      add_portion(&p);
    }
    for (i = p.first; i < p.end; ++i) {
      const int32_t sum = p.kept[i - p.first];
      output[i] = short_form ? (int8_t)mcufit_saturate_s8(mcufit_dsp_rescale(sum, mcufit_dsp_scale_of(q, i)))
                             : requantized(q, i, sum);
    }
  }
}
