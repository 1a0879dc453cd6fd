/* SPDX-License-Identifier: Apache-2.0 */
/* Four outputs at a time, whose filters the exporter interleaved: a half word holds a weight of one output in
   its lower byte and one of a second output above, as sum of both. Its product with an element of the input
   is a product of the first output and 256 times that of the second; widening the lower byte alone gives the
   first again. So three instructions make four products. The outputs after these are computed one by one. */
#define MCUFIT_SMALL
#include "mcufit_dsp.h"

typedef char
    mcufit_fully_connected_s8_step_bytes[sizeof(void *) != 4 || sizeof(mcufit_fully_connected_s8_step) ==
                                                                    MCUFIT_FULLY_CONNECTED_S8_STEP_BYTES
                                             ? 1
                                             : -1];

#define OUTPUTS 4
/* Elements in a round of the loop, and bytes of the instructions of four of them. */
#define ROUND 16
#define FOUR_BYTES 64

/* Outputs by fours, whose filters are interleaved. */
typedef struct {
  const int32_t *bias; /* of the next output */
  const int32_t *end;  /* where `bias` stops */
  const int8_t *input;
  int32_t entry;             /* bytes of the loop's code that the first round leaves out, then its address */
  const int32_t *multiplier; /* 0: sums are kept; else they become outputs, in the short form */
  const int8_t *shift;
  int32_t rounding; /* and twice the output's zero point */
  int8_t *output;
  int32_t *kept;
} fours;

static MCUFIT_NOINLINE void compute_fours(const fours *all, const int8_t *w, int32_t elements) {
  fours f = *all;
  const int8_t *const end = f.input + elements;
#if defined(MCUFIT_DSP_LOOPS)
  const int8_t *x;
  int32_t even, first, second, third, fourth; /* second and fourth: of both */
#define MCUFIT_PRODUCTS(word, x, first, both) \
  "sxtb16 r12, " word                         \
  "\n\t"                                      \
  "smlad " both ", " word ", " x ", " both    \
  "\n\t"                                      \
  "smlad " first ", r12, " x ", " first "\n\t"
#define MCUFIT_FOUR                                                                     \
  "ldmia.w %[w]!, {r8, r9, r10, r11}\n\t"                                               \
  "ldr.w lr, [%[x]], #4\n\t"                                                            \
  "sxtb16 %[even], lr\n\t"                                                              \
  "sxtb16 lr, lr, ror #8\n\t" MCUFIT_PRODUCTS("r8", "%[even]", "%[first]", "%[second]") \
      MCUFIT_PRODUCTS("r9", "lr", "%[first]", "%[second]")                              \
          MCUFIT_PRODUCTS("r10", "%[even]", "%[third]", "%[fourth]")                    \
              MCUFIT_PRODUCTS("r11", "lr", "%[third]", "%[fourth]")
/* The addend of the short form is added after most of the shift. */
#define MCUFIT_OUTPUT(sum, multiplier)   \
  "ldrsb %[even], [r9], #1\n\t"          \
  "lsl " sum ", " sum                    \
  ", #1\n\t"                             \
  "asr %[x], " sum                       \
  ", #31\n\t"                            \
  "smmlar " sum ", " sum ", " multiplier \
  ", %[x]\n\t"                           \
  "mvn %[even], %[even]\n\t"             \
  "asr " sum ", " sum                    \
  ", %[even]\n\t"                        \
  "add " sum ", " sum                    \
  ", r8\n\t"                             \
  "ssat " sum ", #8, " sum ", asr #1\n\t"
  __asm__ volatile(
      "adr.w r9, 2f\n\t"
      "ldr r8, %[entry]\n\t"
      "add r9, r8\n\t"
      "str r9, %[entry]\n"
      "1:\n\t"
      "ldr r8, %[bias]\n\t"
      "ldr %[first], [r8]\n\t"
      "ldr %[third], [r8, #8]\n\t"
      "mov %[second], %[first]\n\t"
      "mov %[fourth], %[third]\n\t"
      "ldrd %[x], r9, %[input]\n\t" /* and entry */
      "mov pc, r9\n\t"
      ".balign 4\n" /* of the section too, which adr asks for */
      "2:\n\t" MCUFIT_FOUR MCUFIT_FOUR MCUFIT_FOUR MCUFIT_FOUR
      "cmp %[x], %[end]\n\t"
      "bne 2b\n\t"
      "ldr r8, %[bias]\n\t"
      "sub %[second], %[first]\n\t"
      "sub %[fourth], %[third]\n\t"
      "ldr r9, [r8, #4]\n\t"
      "ldr r10, [r8, #12]\n\t"
      "add r8, #16\n\t"
      "str r8, %[bias]\n\t"
      "add %[second], r9, %[second], asr #8\n\t"
      "add %[fourth], r10, %[fourth], asr #8\n\t"
      "ldrd r8, r9, %[multiplier]\n\t" /* and shift */
      "cmp r8, #0\n\t"
      "beq 3f\n\t"
      "ldmia r8!, {r10, r11, r12, lr}\n\t"
      "str r8, %[multiplier]\n\t"
      "ldr r8, %[rounding]\n\t" MCUFIT_OUTPUT("%[first]", "r10") MCUFIT_OUTPUT("%[second]", "r11")
          MCUFIT_OUTPUT("%[third]", "r12") MCUFIT_OUTPUT("%[fourth]", "lr")
      "str r9, %[shift]\n\t"
      "ldr r8, %[output]\n\t"
      "strb %[first], [r8], #1\n\t"
      "strb %[second], [r8], #1\n\t"
      "strb %[third], [r8], #1\n\t"
      "strb %[fourth], [r8], #1\n\t"
      "str r8, %[output]\n"
      "4:\n\t"
      "ldrd r8, r9, %[bias]\n\t" /* and its end */
      "cmp r8, r9\n\t"
      "bne 1b\n\t"
      "b 5f\n"
      "3:\n\t"
      "ldr r8, %[kept]\n\t"
      "strd %[first], %[second], [r8], #8\n\t"
      "strd %[third], %[fourth], [r8], #8\n\t"
      "str r8, %[kept]\n\t"
      "b 4b\n"
      "5:"
      : [w] "+r"(w), [x] "=&r"(x), [even] "=&r"(even), [first] "=&r"(first), [second] "=&r"(second),
        [third] "=&r"(third), [fourth] "=&r"(fourth), [bias] "+m"(f.bias), [entry] "+m"(f.entry),
        [multiplier] "+m"(f.multiplier), [shift] "+m"(f.shift), [output] "+m"(f.output), [kept] "+m"(f.kept)
      : [end] "r"(end), [input] "m"(f.input), [rounding] "m"(f.rounding), "m"(f.end)
      : "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
#undef MCUFIT_PRODUCTS
#undef MCUFIT_FOUR
#undef MCUFIT_OUTPUT
#else
  for (; f.bias != f.end; f.bias += OUTPUTS) {
    int32_t sums[OUTPUTS] = {0, 0, 0, 0};
    const int8_t *x;
    int i;
    for (x = f.input; x != end; x += 4) {
      const uint32_t word = mcufit_load_s8x4(x);
      for (i = 0; i < OUTPUTS; ++i) {
        const mcufit_s16x2 pair = (i & 1) == 0 ? mcufit_even_s8(word) : mcufit_odd_s8(word);
        const uint32_t weights = mcufit_load_s8x4(w);
        sums[i & 2] = mcufit_add_products(mcufit_even_s8(weights), pair, sums[i & 2]);
        sums[(i & 2) + 1] = mcufit_add_products(weights, pair, sums[(i & 2) + 1]);
        w += 4;
      }
    }
    for (i = OUTPUTS - 1; i >= 0; --i) {
      if ((i & 1) != 0) sums[i] = (sums[i] - sums[i - 1]) >> 8;
      sums[i] += f.bias[i];
    }
    for (i = 0; i < OUTPUTS; ++i) {
      if (f.multiplier) {
        const int32_t doubled = mcufit_shift_left(sums[i], 1);
        const int32_t product = mcufit_add_upper_product(doubled, *f.multiplier++, doubled >> 31);
        *f.output++ = (int8_t)mcufit_saturate_s8(((product >> (-1 - *f.shift++)) + f.rounding) >> 1);
      } else {
        *f.kept++ = sums[i];
      }
    }
  }
#endif
}

/* The sum of n products. */
static MCUFIT_NOINLINE int32_t sum_of(const int8_t *w, const int8_t *x, int32_t n) {
  int32_t sum = 0;
  for (; n > 0; n -= 4) {
    const uint32_t weights = n >= 4 ? mcufit_load_s8x4(w) : mcufit_load_few_s8(w, n);
    const uint32_t elements = n >= 4 ? mcufit_load_s8x4(x) : mcufit_load_few_s8(x, n);
    sum = mcufit_add_products(mcufit_even_s8(weights), mcufit_even_s8(elements), sum);
    sum = mcufit_add_products(mcufit_odd_s8(weights), mcufit_odd_s8(elements), sum);
    w += 4;
    x += 4;
  }
  return sum;
}

static int8_t requantized(const mcufit_requantization *q, int32_t channel, int32_t sum) {
  const int32_t scaled = mcufit_requantize(sum, q->multiplier[channel], q->shift[channel]);
  return mcufit_clamp(scaled + q->output_zero_point, q->output_min, q->output_max);
}

/* The fours from output i on, up to `end`; all at once as outputs, or one as sums. */
static void compute_interleaved(const mcufit_fully_connected_s8_step *step, int8_t *arena, int32_t i,
                                int32_t end, int32_t *kept) {
  const mcufit_requantization *q = &step->requantization;
  const int32_t elements = step->input_elements;
  fours f;
  f.bias = step->bias + i;
  f.end = step->bias + end;
  f.input = arena + step->input_offset;
  f.entry = (int32_t)(-(uint32_t)elements % ROUND) * (FOUR_BYTES / 4);
  f.multiplier = kept ? 0 : q->multiplier + i;
  f.shift = q->shift + i;
  f.rounding = 2 * q->output_zero_point + 1;
  f.output = arena + step->output_offset + i;
  f.kept = kept;
  compute_fours(&f, step->filter + i * elements, elements);
}

void mcufit_fully_connected_s8(const mcufit_fully_connected_s8_step *step, int8_t *arena, int16_t first,
                               int16_t end) {
  const mcufit_requantization *q = &step->requantization;
  const int32_t elements = step->input_elements, interleaved = step->interleaved_outputs;
  int8_t *output = arena + step->output_offset;
  int32_t i = first, by_fours = end < interleaved ? end & ~(OUTPUTS - 1) : interleaved;
  if (q->short_form && (i & (OUTPUTS - 1)) == 0 && i < by_fours) {
    compute_interleaved(step, arena, i, by_fours, 0);
    i = by_fours;
  }
  while (i < end) {
    int32_t sums[OUTPUTS];
    int32_t nth = 0, count = 1;
    if (i < interleaved) {
      nth = i & (OUTPUTS - 1);
      count = OUTPUTS;
      compute_interleaved(step, arena, i - nth, i - nth + OUTPUTS, sums);
    } else {
      sums[0] = step->bias[i] + sum_of(step->filter + i * elements, arena + step->input_offset, elements);
    }
    for (; nth < count && i < end; ++nth, ++i) output[i] = requantized(q, i, sums[nth]);
  }
}
