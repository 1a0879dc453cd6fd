/* SPDX-License-Identifier: Apache-2.0 */
/* What variants of kernels work with in the arena while they run, at the offset that their step names, a
   multiple of 4: bytes by the shape alone, multiples of 4 too, whatever the weights are. What lies there
   before makes no difference, and what lies there behind is nobody's. Portable kernels, and those that are
   not named here, need none. */
#ifndef MCUFIT_SCRATCH_H
#define MCUFIT_SCRATCH_H

#include "mcufit_runtime.h"

static inline int32_t mcufit_at_most(int32_t n, int32_t most) { return n < most ? n : most; }

static inline int32_t mcufit_words_for(int32_t bytes) { return (bytes + 3) >> 2; }

/* Taps of a filter of one output of conv2d. */
static inline int32_t mcufit_conv2d_taps(const mcufit_window *w) {
  return (int32_t)w->kernel_height * w->kernel_width * w->input_channels;
}

/* conv2d with DSP instructions. Pixels of a tile, taps that are gathered at once, and channels whose sums
   wait for the next ones: of single channels, of interleaved pairs of them. */
#define MCUFIT_DSP_LANES 5
#define MCUFIT_DSP_DEPTH 84
#define MCUFIT_DSP_CHANNELS 19
#define MCUFIT_DSP_PAIR_LANES 3
#define MCUFIT_DSP_PAIR_DEPTH 144
#define MCUFIT_DSP_PAIR_CHANNELS 32
/* Words of sums that wait where all taps are gathered: for the rule itself, where its short form does not
   hold. */
#define MCUFIT_DSP_LEAST_KEPT 12
/* With fewer taps pairs of channels cost more beside their products than they save there: measured on
   MCUNet's and MobileNetV2's layers, in modelled cycles of a Cortex-M4. */
#define MCUFIT_DSP_LEAST_PAIR_TAPS 24

/* Whether filters of this shape are interleaved, if their weights allow it. */
static inline int mcufit_conv2d_s8_dsp_pairs(const mcufit_window *w) {
  const int32_t taps = mcufit_conv2d_taps(w);
  return (taps & 3) == 0 && taps >= MCUFIT_DSP_LEAST_PAIR_TAPS && (w->output_channels & 1) == 0;
}

/* Taps that are gathered at once, by fours. */
static inline int32_t mcufit_conv2d_s8_dsp_depth(const mcufit_window *w) {
  const int32_t most = mcufit_conv2d_s8_dsp_pairs(w) ? MCUFIT_DSP_PAIR_DEPTH : MCUFIT_DSP_DEPTH;
  return mcufit_at_most(4 * mcufit_words_for(mcufit_conv2d_taps(w)), most);
}

/* Words of sums that wait. */
static inline int32_t mcufit_conv2d_s8_dsp_kept(const mcufit_window *w) {
  if (mcufit_conv2d_taps(w) <= mcufit_conv2d_s8_dsp_depth(w)) return MCUFIT_DSP_LEAST_KEPT;
  return mcufit_conv2d_s8_dsp_pairs(w)
             ? MCUFIT_DSP_PAIR_LANES * mcufit_at_most(w->output_channels, MCUFIT_DSP_PAIR_CHANNELS)
             : MCUFIT_DSP_LANES * mcufit_at_most(w->output_channels, MCUFIT_DSP_CHANNELS);
}

/* The sums, then taps as int16, then those of one pixel as bytes, where its runs come not by fours. */
static inline int32_t mcufit_conv2d_s8_dsp_scratch_bytes(const mcufit_window *w) {
  const int32_t depth = mcufit_conv2d_s8_dsp_depth(w);
  const int32_t lanes = mcufit_conv2d_s8_dsp_pairs(w) ? MCUFIT_DSP_PAIR_LANES : MCUFIT_DSP_LANES;
  const int as_bytes = (w->input_channels & 3) != 0 || (int32_t)w->kernel_width * w->input_channels <= 16;
  return 4 * mcufit_conv2d_s8_dsp_kept(w) + 2 * depth * lanes + (as_bytes ? depth + 4 : 0);
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
  const int32_t taps = mcufit_at_most(4 * mcufit_words_for(mcufit_conv2d_taps(w)), MCUFIT_RV32_TAPS);
  return 2 * (4 * MCUFIT_RV32_CHANNELS + taps);
}

/* Helium: sums of channels at a time, and of conv2d bytes of a patch that are held at a time, few where
   patches are pixels, which mostly stay in the input. */
#define MCUFIT_MVE_SUMS 64
#define MCUFIT_MVE_PATCH_BYTES 576
#define MCUFIT_MVE_PIXEL_BYTES 64

static inline int32_t mcufit_mve_sums_bytes(const mcufit_window *w) {
  return 4 * mcufit_at_most((w->output_channels + 15) & ~15, MCUFIT_MVE_SUMS);
}

static inline int32_t mcufit_conv2d_s8_mve_patch_bytes(const mcufit_window *w) {
  const int pixels = w->kernel_height == 1 && w->kernel_width == 1;
  return mcufit_at_most(4 * mcufit_words_for(mcufit_conv2d_taps(w)),
                        pixels ? MCUFIT_MVE_PIXEL_BYTES : MCUFIT_MVE_PATCH_BYTES);
}

static inline int32_t mcufit_conv2d_s8_mve_scratch_bytes(const mcufit_window *w) {
  return mcufit_mve_sums_bytes(w) + mcufit_conv2d_s8_mve_patch_bytes(w);
}

static inline int32_t mcufit_depthwise_conv2d_s8_mve_scratch_bytes(const mcufit_window *w) {
  return mcufit_mve_sums_bytes(w);
}

#endif
