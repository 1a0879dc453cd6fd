/* SPDX-License-Identifier: Apache-2.0 */
/* The inner loop of conv2d and fully_connected in portable C, and in the instructions of Armv6-M. */
#ifndef MCUFIT_DOT_H
#define MCUFIT_DOT_H

#include "mcufit_runtime.h"

/* sums[0] and sums[1] grow by the products of n bytes of input with two filters, `next` bytes apart. */
static MCUFIT_NOINLINE void mcufit_dot_pair(const int8_t *x, const int8_t *w, int32_t next, int32_t n,
                                            int32_t *sums) {
  const int8_t *const end = x + n;
  const int8_t *v = w + next;
  int32_t a = sums[0];
  int32_t b = sums[1];
#if defined(__ARM_ARCH_6M__) && defined(__GNUC__) && !defined(__clang__) && !defined(MCUFIT_PORTABLE)
  /* Sign-extending loads want an index in a register, which gcc does not give them: it counts up to 0. */
#define MCUFIT_DOT_STEP          \
  "ldrsb %[t], [%[x], %[i]]\n\t" \
  "ldrsb %[u], [%[w], %[i]]\n\t" \
  "muls %[u], %[t], %[u]\n\t"    \
  "add %[a], %[u]\n\t"           \
  "ldrsb %[u], [%[v], %[i]]\n\t" \
  "muls %[u], %[t], %[u]\n\t"    \
  "add %[b], %[u]\n\t"           \
  "adds %[i], #1\n\t"
  int32_t i = -(n & ~3);
  x -= i;
  w -= i;
  v -= i;
  if (i != 0) {
    int32_t t, u;
    __asm__ volatile(
        ".syntax unified\n"
        "1:\n\t" MCUFIT_DOT_STEP MCUFIT_DOT_STEP MCUFIT_DOT_STEP MCUFIT_DOT_STEP "bne 1b"
        : [a] "+r"(a), [b] "+r"(b), [i] "+l"(i), [t] "=&l"(t), [u] "=&l"(u)
        : [x] "l"(x), [w] "l"(w), [v] "l"(v)
        : "cc", "memory");
  }
#else
  const int8_t *const unrolled_end = end - (n & 3);
  while (x != unrolled_end) {
    a += (int32_t)x[0] * MCUFIT_FLASH_S8(w);
    b += (int32_t)x[0] * MCUFIT_FLASH_S8(v);
    a += (int32_t)x[1] * MCUFIT_FLASH_S8(w + 1);
    b += (int32_t)x[1] * MCUFIT_FLASH_S8(v + 1);
    a += (int32_t)x[2] * MCUFIT_FLASH_S8(w + 2);
    b += (int32_t)x[2] * MCUFIT_FLASH_S8(v + 2);
    a += (int32_t)x[3] * MCUFIT_FLASH_S8(w + 3);
    b += (int32_t)x[3] * MCUFIT_FLASH_S8(v + 3);
    x += 4;
    w += 4;
    v += 4;
  }
#endif
  while (x != end) {
    a += (int32_t)*x * MCUFIT_FLASH_S8(w++);
    b += (int32_t)*x++ * MCUFIT_FLASH_S8(v++);
  }
  sums[0] = a;
  sums[1] = b;
}

#endif
