/* SPDX-License-Identifier: Apache-2.0 */
/* What variants of kernels work with in the arena while they run, at the offset that their step names, a
   multiple of 4: bytes by the shape alone, multiples of 4 too, whatever the weights are. What lies there
   before makes no difference, and what lies there behind is nobody's. Portable kernels, and those that are
   not named here, need none. */
#ifndef MCUFIT_SCRATCH_H
#define MCUFIT_SCRATCH_H

#include "mcufit_runtime.h"

static inline int32_t mcufit_at_most(int32_t n, int32_t most) { return n < most ? n : most; }

static inline int32_t mcufit_by_fours(int32_t n) { return (n + 3) & ~3; }

/* Taps of a filter of one output of conv2d. */
static inline int32_t mcufit_conv2d_taps(const mcufit_window *w) {
  return (int32_t)w->kernel_height * w->kernel_width * w->input_channels;
}

/* conv2d with DSP instructions. Pixels of a tile: of single channels, of interleaved pairs of them. Taps of
   all of them that are gathered at once, by fours of each pixel, and sums that wait for the next ones: so
   many at most. */
#define MCUFIT_DSP_LANES 5
#define MCUFIT_DSP_PAIR_LANES 3
#define MCUFIT_DSP_TAPS 432
#define MCUFIT_DSP_SUMS 96
/* Sums that wait where all taps are gathered: for the rule itself, where its short form does not hold. */
#define MCUFIT_DSP_LEAST_SUMS 12
/* With fewer taps pairs of channels cost more beside their products than they save there: measured on
   MCUNet's and MobileNetV2's layers, in modelled cycles of a Cortex-M4. */
#define MCUFIT_DSP_LEAST_PAIR_TAPS 24

/* Whether filters of this shape are interleaved, if their weights allow it. */
static inline int mcufit_conv2d_s8_dsp_pairs(const mcufit_window *w) {
  const int32_t taps = mcufit_conv2d_taps(w);
  return ((taps | (int32_t)w->output_channels << 1) & 3) == 0 && taps >= MCUFIT_DSP_LEAST_PAIR_TAPS;
}

/* What there is room for: of L lanes s.sums / L channels' sums, and s.taps / L taps of each, but for a rest
   that is no four. */
typedef struct {
  int32_t lanes; /* of the shape */
  int32_t sums, taps;
} mcufit_conv2d_s8_dsp_scratch;

static inline mcufit_conv2d_s8_dsp_scratch mcufit_conv2d_s8_dsp_scratch_of(const mcufit_window *w) {
  mcufit_conv2d_s8_dsp_scratch s;
  s.lanes = mcufit_conv2d_s8_dsp_pairs(w) ? MCUFIT_DSP_PAIR_LANES : MCUFIT_DSP_LANES;
  s.sums = MCUFIT_DSP_LEAST_SUMS;
  s.taps = mcufit_by_fours(mcufit_conv2d_taps(w)) * s.lanes;
  if (s.taps > MCUFIT_DSP_TAPS) {
    s.taps = MCUFIT_DSP_TAPS;
    s.sums = mcufit_at_most(w->output_channels * s.lanes, MCUFIT_DSP_SUMS);
  }
  return s;
}

/* The sums, then taps as int16, then those of one pixel as bytes, where its runs come not by fours, and where
   all are gathered up to three more, that are copied with a run. */
static inline int32_t mcufit_conv2d_s8_dsp_scratch_bytes(const mcufit_window *w) {
  const mcufit_conv2d_s8_dsp_scratch s = mcufit_conv2d_s8_dsp_scratch_of(w);
  const int32_t depth = s.taps / s.lanes & ~3;
  const int as_bytes = (w->input_channels & 3) != 0 || (int32_t)w->kernel_width * w->input_channels <= 16;
  return 4 * (s.sums / s.lanes * s.lanes) + 2 * depth * s.lanes +
         (as_bytes ? depth + (mcufit_conv2d_taps(w) <= depth ? 4 : 0) : 0);
}

/* depthwise_conv2d with DSP instructions, by blocks of four channels. */
#define MCUFIT_DSP_BLOCK 4
#define MCUFIT_DSP_MOST_TAPS 50
#define MCUFIT_DSP_STRIP 192 /* words of gathered input, at most */

/* Whether it is computed by blocks: each channel has an input of its own, and the columns of a window follow
   each other in what is gathered. */
static inline int mcufit_depthwise_conv2d_s8_dsp_blocks(const mcufit_window *w) {
  return w->output_channels == w->input_channels && w->output_channels >= MCUFIT_DSP_BLOCK &&
         (int32_t)w->kernel_height * w->kernel_width <= MCUFIT_DSP_MOST_TAPS &&
         MCUFIT_DSP_STRIP / w->kernel_height >= w->kernel_width && w->dilation_width == 1;
}

/* Words of a block: biases, the filter's pairs of taps, scales. */
static inline int32_t mcufit_depthwise_conv2d_s8_dsp_block_words(const mcufit_window *w) {
  const int32_t pairs = ((int32_t)w->kernel_height * w->kernel_width + 1) >> 1;
  return MCUFIT_DSP_BLOCK * (1 + pairs + 3);
}

/* A block, then the gathered input and a word that is read but not used. */
static inline int32_t mcufit_depthwise_conv2d_s8_dsp_scratch_bytes(const mcufit_window *w) {
  const int32_t columns = ((int32_t)w->output_width - 1) * w->stride_width + w->kernel_width;
  if (!mcufit_depthwise_conv2d_s8_dsp_blocks(w)) return 0;
  return 4 * (mcufit_depthwise_conv2d_s8_dsp_block_words(w) +
              mcufit_at_most(columns * w->kernel_height, MCUFIT_DSP_STRIP) + 1);
}

/* conv2d for Armv6-M: taps of two pixels, a word each, that are gathered at once, and channels whose sums are
   kept meanwhile. */
#define MCUFIT_V6M_TAPS 128
#define MCUFIT_V6M_CHANNELS 16

static inline int32_t mcufit_conv2d_s8_v6m_scratch_bytes(const mcufit_window *w) {
  return 4 * (2 * MCUFIT_V6M_CHANNELS + mcufit_at_most(mcufit_conv2d_taps(w), MCUFIT_V6M_TAPS));
}

/* conv2d for RV32: the same, a byte each. */
#define MCUFIT_RV32_TAPS 256
#define MCUFIT_RV32_CHANNELS 32

static inline int32_t mcufit_conv2d_s8_rv32_scratch_bytes(const mcufit_window *w) {
  const int32_t taps = mcufit_at_most(mcufit_conv2d_taps(w), MCUFIT_RV32_TAPS);
  return 4 * 2 * MCUFIT_RV32_CHANNELS + mcufit_by_fours(2 * taps);
}

/* Helium: sums of channels at a time, and of conv2d bytes of a patch that are held at a time, none where
   patches are pixels, which stay in the input: padding is narrower than a kernel. Vector stores end where
   these do. */
#define MCUFIT_MVE_SUMS 64
#define MCUFIT_MVE_PATCH_BYTES 576

static inline int32_t mcufit_mve_sums_bytes(const mcufit_window *w) {
  return 4 * mcufit_at_most(w->output_channels, MCUFIT_MVE_SUMS);
}

static inline int32_t mcufit_conv2d_s8_mve_patch_bytes(const mcufit_window *w) {
  if (w->kernel_height == 1 && w->kernel_width == 1) return 0;
  return mcufit_at_most(mcufit_by_fours(mcufit_conv2d_taps(w)), MCUFIT_MVE_PATCH_BYTES);
}

static inline int32_t mcufit_conv2d_s8_mve_scratch_bytes(const mcufit_window *w) {
  return mcufit_mve_sums_bytes(w) + mcufit_conv2d_s8_mve_patch_bytes(w);
}

static inline int32_t mcufit_depthwise_conv2d_s8_mve_scratch_bytes(const mcufit_window *w) {
  return mcufit_mve_sums_bytes(w);
}

#endif
