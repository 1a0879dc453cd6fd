/* SPDX-License-Identifier: Apache-2.0 */
/* Helium: four elements at a time; in assembly, as gcc 12 forms no tail-predicated loops. */
#include "mcufit_runtime.h"
#include "mcufit_rounding.h"

typedef char mcufit_add_s8_step_bytes
    [sizeof(void *) != 4 || sizeof(mcufit_add_s8_step) == MCUFIT_ADD_S8_STEP_BYTES ? 1 : -1];

/* TensorFlow Lite's: inputs gain 20 bits, so that rescaling to their common scale keeps precision. */
#define ADD_LEFT_SHIFT 20

/* A run of elements and the constants of its step, in the order in which add_run() takes them. Shifts are to
   the right, so at most 0. A product below `below` loses 1 before it is shifted, which makes ties go away
   from zero; without a shift nothing is below. */
typedef struct {
  const int8_t *a, *b;
  int8_t *output;
  int32_t below1, below2, minus_one, shift1, shift2, output_multiplier, output_shift, output_zero_point, n;
  int32_t multiplier1[4], multiplier2[4], offset1[4], offset2[4], least[4], most[4];
} add_elements;

static MCUFIT_NOINLINE void add_run(const add_elements *run) {
  register const add_elements *r __asm__("r12") = run;
  __asm__ volatile(
      "vldrw.u32 q2, [r12, #48]\n\t"
      "vldrw.u32 q3, [r12, #64]\n\t"
      "vldrw.u32 q4, [r12, #80]\n\t"
      "vldrw.u32 q5, [r12, #96]\n\t"
      "vldrw.u32 q6, [r12, #112]\n\t"
      "vldrw.u32 q7, [r12, #128]\n\t"
      "ldm r12, {r0, r1, r2, r3, r4, r5, r6, r8, r9, r10, r11, lr}\n\t"
      "wlstp.32 lr, lr, 2f\n"
      "1:\n\t"
      "vldrb.s32 q0, [r0], #4\n\t"
      "vldrb.s32 q1, [r1], #4\n\t"
      "vshl.i32 q0, q0, #20\n\t"
      "vshl.i32 q1, q1, #20\n\t"
      "vadd.i32 q0, q0, q4\n\t"
      "vadd.i32 q1, q1, q5\n\t"
      "vqrdmulh.s32 q0, q0, q2\n\t"
      "vqrdmulh.s32 q1, q1, q3\n\t"
      "vpt.s32 lt, q0, r3\n\t"
      "vaddt.i32 q0, q0, r5\n\t"
      "vpt.s32 lt, q1, r4\n\t"
      "vaddt.i32 q1, q1, r5\n\t"
      "vrshl.s32 q0, r6\n\t"
      "vrshl.s32 q1, r8\n\t"
      "vadd.i32 q0, q0, q1\n\t"
      "vqrdmulh.s32 q0, q0, r9\n\t"
      "vshr.s32 q1, q0, #31\n\t"
      "vadd.i32 q0, q0, q1\n\t"
      "vrshl.s32 q0, r10\n\t"
      "vadd.i32 q0, q0, r11\n\t"
      "vmax.s32 q0, q0, q6\n\t"
      "vmin.s32 q0, q0, q7\n\t"
      "vstrb.32 q0, [r2], #4\n\t"
      "letp lr, 1b\n"
      "2:"
      :
      : "r"(r)
      : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "lr", "q0", "q1", "q2", "q3",
        "q4", "q5", "q6", "q7", "cc", "memory");
}

static void repeat(int32_t *four, int32_t value) { four[0] = four[1] = four[2] = four[3] = value; }

static void take_constants(const mcufit_add_s8_step *step, add_elements *run) {
  run->minus_one = -1;
  run->below1 = step->shift1 == 0 ? INT32_MIN : 0;
  run->below2 = step->shift2 == 0 ? INT32_MIN : 0;
  run->shift1 = step->shift1;
  run->shift2 = step->shift2;
  run->output_multiplier = step->output_multiplier;
  run->output_shift = step->output_shift;
  run->output_zero_point = step->output_zero_point;
  repeat(run->multiplier1, step->multiplier1);
  repeat(run->multiplier2, step->multiplier2);
  repeat(run->offset1, mcufit_shift_left(-step->zero_point1, ADD_LEFT_SHIFT));
  repeat(run->offset2, mcufit_shift_left(-step->zero_point2, ADD_LEFT_SHIFT));
  repeat(run->least, step->output_min);
  repeat(run->most, step->output_max);
}

static int8_t add(const mcufit_add_s8_step *step, int8_t a, int8_t b) {
  const int32_t wide_a = mcufit_shift_left((int32_t)a - step->zero_point1, ADD_LEFT_SHIFT);
  const int32_t wide_b = mcufit_shift_left((int32_t)b - step->zero_point2, ADD_LEFT_SHIFT);
  const int32_t sum = mcufit_requantize(wide_a, step->multiplier1, step->shift1) +
                      mcufit_requantize(wide_b, step->multiplier2, step->shift2);
  const int32_t scaled = mcufit_requantize(sum, step->output_multiplier, step->output_shift);
  return mcufit_clamp(scaled + step->output_zero_point, step->output_min, step->output_max);
}

/* Scales that no add of like tensors has: shifts to the left, or none of the sum. */
static MCUFIT_NOINLINE void add_one_by_one(const mcufit_add_s8_step *step, const add_elements *run) {
  int32_t i;
  for (i = 0; i < run->n; ++i) run->output[i] = add(step, run->a[i], run->b[i]);
}

void mcufit_add_s8(const mcufit_add_s8_step *step, int8_t *arena, int16_t first_row, int16_t end_row) {
  const int usual = step->shift1 <= 0 && step->shift2 <= 0 && step->output_shift < 0;
  const int contiguous = step->input1.pixel_stride == step->channels &&
                         step->input2.pixel_stride == step->channels &&
                         step->output.pixel_stride == step->channels;
  const int32_t runs = contiguous ? 1 : step->width;
  add_elements run;
  int32_t y, i;
  take_constants(step, &run);
  run.n = contiguous ? (int32_t)step->width * step->channels : step->channels;
  for (y = first_row; y < end_row; ++y) {
    run.a = arena + step->input1.offset + mcufit_row(&step->input1, y);
    run.b = arena + step->input2.offset + mcufit_row(&step->input2, y);
    run.output = arena + step->output.offset + mcufit_row(&step->output, y);
    for (i = 0; i < runs; ++i) {
      if (usual) {
        add_run(&run);
      } else {
        add_one_by_one(step, &run);
      }
      run.a += step->input1.pixel_stride;
      run.b += step->input2.pixel_stride;
      run.output += step->output.pixel_stride;
    }
  }
}
