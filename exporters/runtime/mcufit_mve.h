/* SPDX-License-Identifier: Apache-2.0 */
/* What the Helium kernels share (Armv8.1-M with integer MVE: Cortex-M55, M85): dot products of one input run
   with several filters, and the rounding rule of mcufit_rounding.h on four sums at a time. In assembly, as
   gcc 12 forms no tail-predicated loops; the portable kernels are the C that gives the same bytes. */
#ifndef MCUFIT_MVE_H
#define MCUFIT_MVE_H

#include <arm_mve.h>

#include "mcufit_runtime.h"
#include "mcufit_scratch.h"

/* A function that not every kernel calls. */
#define MCUFIT_MVE_FUNCTION static __attribute__((noinline, unused))

/* Sums of this many channels are held at a time. */
#define MCUFIT_MVE_BLOCK MCUFIT_MVE_SUMS

static inline void mcufit_mve_copy(int8_t *to, const int8_t *from, int32_t n) {
  __asm__ volatile(
      "wlstp.8 lr, %[n], 2f\n"
      "1:\n\t"
      "vldrb.u8 q0, [%[from]], #16\n\t"
      "vstrb.u8 q0, [%[to]], #16\n\t"
      "letp lr, 1b\n"
      "2:"
      : [to] "+r"(to), [from] "+r"(from)
      : [n] "r"(n)
      : "q0", "lr", "cc", "memory");
}

/* Rows of n bytes, n > 0, that stand `from_step` and `to_step` bytes apart. */
static inline void mcufit_mve_copy_rows(int8_t *to, int32_t to_step, const int8_t *from, int32_t from_step,
                                        int32_t n, int32_t rows) {
  int8_t *next_to;
  const int8_t *next_from;
  __asm__ volatile(
      "1:\n\t"
      "add %[next_to], %[to], %[to_step]\n\t"
      "add %[next_from], %[from], %[from_step]\n\t"
      "dlstp.8 lr, %[n]\n"
      "2:\n\t"
      "vldrb.u8 q0, [%[from]], #16\n\t"
      "vstrb.u8 q0, [%[to]], #16\n\t"
      "letp lr, 2b\n\t"
      "mov %[to], %[next_to]\n\t"
      "mov %[from], %[next_from]\n\t"
      "subs %[rows], #1\n\t"
      "bne 1b"
      : [to] "+r"(to), [from] "+r"(from), [rows] "+r"(rows), [next_to] "=&r"(next_to),
        [next_from] "=&r"(next_from)
      : [n] "r"(n), [to_step] "r"(to_step), [from_step] "r"(from_step)
      : "q0", "lr", "cc", "memory");
}

static inline void mcufit_mve_fill(int8_t *to, int32_t value, int32_t n) {
  __asm__ volatile(
      "vdup.8 q0, %[value]\n\t"
      "wlstp.8 lr, %[n], 2f\n"
      "1:\n\t"
      "vstrb.u8 q0, [%[to]], #16\n\t"
      "letp lr, 1b\n"
      "2:"
      : [to] "+r"(to)
      : [n] "r"(n), [value] "r"(value)
      : "q0", "lr", "cc", "memory");
}

/* One run of n = 64 * chunks + rest input bytes times the filters of channels that stand `next` bytes apart.
   Chunks are loaded by VLDM, which wants addresses that divide by 4. */
typedef struct {
  const int8_t *x, *w;
  int32_t next, chunks, rest;
  const int32_t *end; /* of the sums */
} mcufit_mve_run;

#define MCUFIT_MVE_CHUNK_OF(w, sum) \
  "vldmia " w                       \
  "!, {d8-d15}\n\t"                 \
  "vmladava.s8 " sum                \
  ", q0, q4\n\t"                    \
  "vmladava.s8 " sum                \
  ", q1, q5\n\t"                    \
  "vmladava.s8 " sum                \
  ", q2, q6\n\t"                    \
  "vmladava.s8 " sum ", q3, q7\n\t"

#define MCUFIT_MVE_REST_OF(w, sum) \
  "vldrb.u8 q1, [" w               \
  "], #16\n\t"                     \
  "vmladava.s8 " sum ", q0, q1\n\t"

/* sums[c] = first[c] + the run's products, four channels at a time up to the end; both may be one array. */
MCUFIT_MVE_FUNCTION void mcufit_mve_dot(mcufit_mve_run *run, const int32_t *first, int32_t *sums) {
  register const int32_t *from __asm__("r10") = first;
  register int32_t *to __asm__("r11") = sums;
  register mcufit_mve_run *r __asm__("r12") = run;
  __asm__ volatile(
      "0:\n\t"
      "ldm r10!, {r0, r2, r4, r6}\n\t"
      "ldm r12, {r1, r3, lr}\n\t"
      "add r5, r3, lr\n\t"
      "add r8, r5, lr\n\t"
      "add r9, r8, lr\n\t"
      "add lr, r9\n\t"
      "str lr, [r12, #4]\n\t"
      "ldr lr, [r12, #12]\n\t"
      "wls lr, lr, 2f\n"
      "1:\n\t"
      "vldmia r1!, {d0-d7}\n\t"
      MCUFIT_MVE_CHUNK_OF("r3", "r0")
      MCUFIT_MVE_CHUNK_OF("r5", "r2")
      MCUFIT_MVE_CHUNK_OF("r8", "r4")
      MCUFIT_MVE_CHUNK_OF("r9", "r6")
      "le lr, 1b\n"
      "2:\n\t"
      "ldr lr, [r12, #16]\n\t"
      "wlstp.8 lr, lr, 4f\n"
      "3:\n\t"
      "vldrb.u8 q0, [r1], #16\n\t"
      MCUFIT_MVE_REST_OF("r3", "r0")
      MCUFIT_MVE_REST_OF("r5", "r2")
      MCUFIT_MVE_REST_OF("r8", "r4")
      MCUFIT_MVE_REST_OF("r9", "r6")
      "letp lr, 3b\n"
      "4:\n\t"
      "stm r11!, {r0, r2, r4, r6}\n\t"
      "ldr lr, [r12, #20]\n\t"
      "cmp r11, lr\n\t"
      "bne 0b"
      : "+r"(from), "+r"(to)
      : "r"(r)
      : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6",
        "q7", "cc", "memory");
}

/* The same of a run of one chunk, which stays in registers, and filters one behind the other. */
MCUFIT_MVE_FUNCTION void mcufit_mve_dot_chunk(mcufit_mve_run *run, const int32_t *first, int32_t *sums) {
  register const int32_t *from __asm__("r10") = first;
  register int32_t *to __asm__("r11") = sums;
  register const int32_t *end __asm__("r12") = run->end;
  register const int8_t *x __asm__("r1") = run->x;
  register const int8_t *w __asm__("r3") = run->w;
  __asm__ volatile(
      "vldmia r1, {d0-d7}\n"
      "0:\n\t"
      "ldm r10!, {r0, r2, r4, r6}\n\t" MCUFIT_MVE_CHUNK_OF("r3", "r0") MCUFIT_MVE_CHUNK_OF("r3", "r2")
          MCUFIT_MVE_CHUNK_OF("r3", "r4") MCUFIT_MVE_CHUNK_OF("r3", "r6")
      "stm r11!, {r0, r2, r4, r6}\n\t"
      "cmp r11, r12\n\t"
      "bne 0b"
      : "+r"(from), "+r"(to), "+r"(w)
      : "r"(x), "r"(end)
      : "r0", "r2", "r4", "r6", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "cc", "memory");
  run->w = w;
}

/* A run of n bytes from x on, for filters from w on. */
static inline void mcufit_mve_start(mcufit_mve_run *run, const int8_t *x, const int8_t *w,
                                    int32_t filter_bytes, int32_t n) {
  const int aligned = (((uintptr_t)x | (uintptr_t)w | (uintptr_t)filter_bytes) & 3U) == 0;
  run->x = x;
  run->w = w;
  run->next = filter_bytes;
  run->chunks = aligned ? n / 64 : 0;
  run->rest = n - run->chunks * 64;
}

/* sums[c] = first[c] + the run's product with filter c; the run then is at the filter behind them. */
static inline void mcufit_mve_sums(mcufit_mve_run *run, const int32_t *first, int32_t *sums,
                                   int32_t channels) {
  const int32_t fours = channels & ~3;
  int32_t c;
  run->end = sums + fours;
  if (fours != 0 && run->chunks == 1 && run->next == 64) {
    mcufit_mve_dot_chunk(run, first, sums);
  } else if (fours != 0) {
    mcufit_mve_dot(run, first, sums);
  }
  for (c = fours; c < channels; ++c) { /* four times the same filter */
    const int8_t *const w = run->w;
    const int32_t next = run->next;
    int32_t one[4] = {first[c], 0, 0, 0};
    run->next = 0;
    run->end = one + 4;
    mcufit_mve_dot(run, one, one);
    run->w = w + next;
    run->next = next;
    sums[c] = one[0];
  }
}

/* Whether no sum of channels [0, n) is shifted to the left, and all to the right, as is usual. */
static inline int mcufit_mve_shifts_right(const mcufit_requantization *q, int32_t n) {
  const int8_t *shift = q->shift;
  int32_t most = INT8_MIN;
  __asm__ volatile(
      "wlstp.8 lr, %[n], 2f\n"
      "1:\n\t"
      "vldrb.u8 q0, [%[shift]], #16\n\t"
      "vmaxv.s8 %[most], q0\n\t"
      "letp lr, 1b\n"
      "2:"
      : [shift] "+r"(shift), [most] "+r"(most)
      : [n] "r"(n)
      : "q0", "lr", "cc", "memory");
  return (int8_t)most < 0;
}

/* What a kernel does with sums: the requantization, and whether all its shifts go to the right. */
typedef struct {
  const mcufit_requantization *q;
  int shifts_right;
} mcufit_mve_output;

/* n sums of channels from `channel` on to int8; mcufit_requantize() and mcufit_clamp(). */
static inline void mcufit_mve_requantize(const mcufit_mve_output *o, int32_t channel, const int32_t *sums,
                                         int32_t n, int8_t *output) {
  const int32_t *multiplier = o->q->multiplier + channel;
  const int8_t *shift = o->q->shift + channel;
  const int32x4_t least = vdupq_n_s32(o->q->output_min);
  const int32x4_t most = vdupq_n_s32(o->q->output_max);
  const int32_t zero_point = o->q->output_zero_point;
  if (o->shifts_right) {
    __asm__ volatile(
        "wlstp.32 lr, %[n], 2f\n"
        "1:\n\t"
        "vldrw.u32 q0, [%[sums]], #16\n\t"
        "vldrw.u32 q1, [%[multiplier]], #16\n\t"
        "vqrdmulh.s32 q0, q0, q1\n\t"
        "vldrb.s32 q2, [%[shift]], #4\n\t"
        "vshr.s32 q1, q0, #31\n\t"
        "vadd.i32 q0, q0, q1\n\t"
        "vrshl.s32 q0, q0, q2\n\t"
        "vadd.i32 q0, q0, %[zero_point]\n\t"
        "vmax.s32 q0, q0, %q[least]\n\t"
        "vmin.s32 q0, q0, %q[most]\n\t"
        "vstrb.32 q0, [%[output]], #4\n\t"
        "letp lr, 1b\n"
        "2:"
        : [sums] "+r"(sums), [multiplier] "+r"(multiplier), [shift] "+l"(shift), [output] "+l"(output)
        : [n] "r"(n), [zero_point] "r"(zero_point), [least] "w"(least), [most] "w"(most)
        : "q0", "q1", "q2", "lr", "cc", "memory");
  } else {
    __asm__ volatile(
        "vmov.i32 q3, #0\n\t"
        "wlstp.32 lr, %[n], 2f\n"
        "1:\n\t"
        "vldrw.u32 q0, [%[sums]], #16\n\t"
        "vldrb.s32 q2, [%[shift]], #4\n\t"
        "vmax.s32 q1, q2, q3\n\t"
        "vshl.s32 q0, q0, q1\n\t"
        "vldrw.u32 q1, [%[multiplier]], #16\n\t"
        "vqrdmulh.s32 q0, q0, q1\n\t"
        "vmin.s32 q2, q2, q3\n\t"
        "vand q1, q0, q2\n\t"
        "vshr.s32 q1, q1, #31\n\t"
        "vadd.i32 q0, q0, q1\n\t"
        "vrshl.s32 q0, q0, q2\n\t"
        "vadd.i32 q0, q0, %[zero_point]\n\t"
        "vmax.s32 q0, q0, %q[least]\n\t"
        "vmin.s32 q0, q0, %q[most]\n\t"
        "vstrb.32 q0, [%[output]], #4\n\t"
        "letp lr, 1b\n"
        "2:"
        : [sums] "+r"(sums), [multiplier] "+r"(multiplier), [shift] "+l"(shift), [output] "+l"(output)
        : [n] "r"(n), [zero_point] "r"(zero_point), [least] "w"(least), [most] "w"(most)
        : "q0", "q1", "q2", "q3", "lr", "cc", "memory");
  }
}

#endif
