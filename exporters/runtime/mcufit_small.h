/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles a kernel for size, on microcontrollers: kernels ask for it by MCUFIT_SMALL, whose loops are
   assembly or that run once at the end of a network. */
#ifndef MCUFIT_SMALL_H
#define MCUFIT_SMALL_H

#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__) && \
    (defined(__arm__) || defined(__riscv))
#pragma GCC optimize("Os")
#endif

#endif
