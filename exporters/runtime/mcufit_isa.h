/* SPDX-License-Identifier: Apache-2.0 */
/* The instruction set extensions that kernels have variants for, as the compiler's flags say. A core with
   Helium has the DSP instructions too. -DMCUFIT_PORTABLE leaves the variants out: the bytes are the same. */
#ifndef MCUFIT_ISA_H
#define MCUFIT_ISA_H

#if !defined(MCUFIT_PORTABLE) && defined(__GNUC__) && defined(__arm__) && !defined(__ARM_BIG_ENDIAN)
#if defined(__ARM_FEATURE_MVE)
#define MCUFIT_ISA_MVE
#endif
#if defined(__ARM_FEATURE_DSP)
#define MCUFIT_ISA_DSP
#endif
#endif

#endif
