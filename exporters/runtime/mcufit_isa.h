/* SPDX-License-Identifier: Apache-2.0 */
/* The instruction sets that kernels have variants for, as the compiler's flags say. A core with Helium has
   the DSP instructions too. -DMCUFIT_PORTABLE leaves the variants out: the bytes are the same. */
#ifndef MCUFIT_ISA_H
#define MCUFIT_ISA_H

#if !defined(MCUFIT_PORTABLE) && defined(__GNUC__) && defined(__arm__) && !defined(__ARM_BIG_ENDIAN)
#if defined(__ARM_FEATURE_MVE)
#define MCUFIT_ISA_MVE
#endif
#if defined(__ARM_FEATURE_DSP) && defined(__OPTIMIZE__)
#define MCUFIT_ISA_DSP
/* The DSP kernels' assembly needs all registers. Without optimisation the compiler keeps one, and clang
   always: its loops are the C beside them. */
#if !defined(__clang__)
#define MCUFIT_DSP_LOOPS
#endif
#endif
/* Likewise, and where code is to be small gcc keeps the upper registers to itself. */
#if defined(__ARM_ARCH_6M__) && defined(__OPTIMIZE__) && !defined(__OPTIMIZE_SIZE__) && !defined(__clang__)
#define MCUFIT_ISA_V6M
#endif
#endif

/* The embedded half of the registers (RV32E) would not do. */
#if !defined(MCUFIT_PORTABLE) && defined(__GNUC__) && defined(__riscv_mul) && __riscv_xlen == 32 && \
    !defined(__riscv_32e)
#define MCUFIT_ISA_RV32
#endif

/* Filters of convolutions and fully_connected are interleaved for the DSP instructions, which Helium's are
   ahead of. Objects that were compiled with other flags, and so for the other order, do not link. */
#if defined(MCUFIT_ISA_DSP) && !defined(MCUFIT_ISA_MVE)
#define MCUFIT_INTERLEAVED(outputs) (outputs)
#define MCUFIT_INTERLEAVES
#define MCUFIT_WORD_ALIGNED __attribute__((aligned(4)))
#define mcufit_conv2d_s8 mcufit_conv2d_s8_interleaved
#define mcufit_depthwise_conv2d_s8 mcufit_depthwise_conv2d_s8_interleaved
#define mcufit_fully_connected_s8 mcufit_fully_connected_s8_interleaved
#else
#define MCUFIT_INTERLEAVED(outputs) 0
#endif

/* Nor do those whose steps have no room in the arena for what the variant works with: mcufit_scratch.h. */
#if defined(MCUFIT_ISA_MVE)
#define mcufit_conv2d_s8 mcufit_conv2d_s8_mve
#define mcufit_depthwise_conv2d_s8 mcufit_depthwise_conv2d_s8_mve
#elif defined(MCUFIT_ISA_V6M)
#define mcufit_conv2d_s8 mcufit_conv2d_s8_v6m
#elif defined(MCUFIT_ISA_RV32)
#define mcufit_conv2d_s8 mcufit_conv2d_s8_rv32
#endif

#endif
