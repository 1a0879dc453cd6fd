/* SPDX-License-Identifier: Apache-2.0 */
/* The instruction set extensions that kernels have variants for, as the compiler's flags say. A core with
   Helium has the DSP instructions too. -DMCUFIT_PORTABLE leaves the variants out: the bytes are the same. */
#ifndef MCUFIT_ISA_H
#define MCUFIT_ISA_H

#if !defined(MCUFIT_PORTABLE) && defined(__GNUC__) && defined(__arm__) && !defined(__ARM_BIG_ENDIAN)
#if defined(__ARM_FEATURE_MVE)
#define MCUFIT_ISA_MVE
#endif
/* Without optimisation the compiler keeps a register that the DSP kernels' assembly needs. */
#if defined(__ARM_FEATURE_DSP) && defined(__OPTIMIZE__)
#define MCUFIT_ISA_DSP
#endif
#endif

#endif
