// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "exporters/interleaved_filter.h"
#include "exporters/runtime/mcufit_rounding.h"
#include "exporters/runtime/mcufit_scratch.h"

namespace mcufit {
namespace {

constexpr int kBlock = MCUFIT_DSP_BLOCK;

// Weights [kernel row][kernel column][channel], whose taps are counted column by column.
class DepthwiseFilter {
 public:
  DepthwiseFilter(std::span<const std::int8_t> weights, const mcufit_window& window)
      : weights_(weights), window_(window) {}

  int taps() const { return window_.kernel_height * window_.kernel_width; }

  std::int8_t at(int tap, int channel) const {
    const int row = tap % window_.kernel_height, column = tap / window_.kernel_height;
    const int at = (row * window_.kernel_width + column) * window_.output_channels + channel;
    return weights_[static_cast<std::size_t>(at)];
  }

  bool by_blocks() const { return mcufit_depthwise_conv2d_s8_dsp_blocks(&window_) != 0; }

  // The channels from `channel` on.
  void append_block(int channel, std::vector<std::int8_t>& bytes) const {
    int tap = 0;
    for (; tap + 1 < taps(); tap += 2) {
      for (int pair = channel; pair < channel + kBlock; pair += 2)
        for (const int t : {tap, tap + 1}) bytes.insert(bytes.end(), {at(t, pair), at(t, pair + 1)});
    }
    for (int c = channel; tap < taps() && c < channel + kBlock; ++c) bytes.push_back(at(tap, c));
  }

 private:
  std::span<const std::int8_t> weights_;
  const mcufit_window& window_;
};

// The words of blocks.
class WideBlocks {
 public:
  explicit WideBlocks(const DepthwiseConv2dStep& step)
      : step_(step), filter_(step.tables.filter, step.fields.window) {}

  const std::vector<std::int8_t>& bytes() const { return bytes_; }

  // The channels from `channel` on.
  void append(int channel) {
    const bool short_form = step_.fields.requantization.short_form != 0;
    for (int c = channel; c < channel + kBlock; ++c)
      append_word(short_form ? 2 * step_.tables.bias[static_cast<std::size_t>(c)] : 0);
    for (int tap = 0; tap < filter_.taps(); tap += 2) {
      for (int c = channel; c < channel + kBlock; ++c) {
        append_half(2 * filter_.at(tap, c));
        append_half(tap + 1 < filter_.taps() ? 2 * filter_.at(tap + 1, c) : 0);
      }
    }
    for (int c = channel; c < channel + kBlock; ++c) append_scale(static_cast<std::size_t>(c), short_form);
  }

 private:
  void append_half(std::int32_t value) {
    bytes_.push_back(static_cast<std::int8_t>(value));
    bytes_.push_back(static_cast<std::int8_t>(value >> 8));
  }

  void append_word(std::int32_t value) {
    append_half(value);
    append_half(value >> 16);
  }

  // Multiplier, addend and bits of mcufit_dsp_scale.
  void append_scale(std::size_t channel, bool short_form) {
    const int bits = short_form ? -step_.tables.shift[channel] : 1;
    const std::int32_t rounding = 2 * step_.fields.requantization.output_zero_point + 1;
    append_word(short_form ? step_.tables.multiplier[channel] : 0);
    append_word(short_form ? mcufit_shift_left(rounding, bits - 1) : 0);
    append_word(short_form ? bits : 0);
  }

  const DepthwiseConv2dStep& step_;
  DepthwiseFilter filter_;
  std::vector<std::int8_t> bytes_;
};

}  // namespace

InterleavedFilter interleave(const DepthwiseConv2dStep& step) {
  const mcufit_window& window = step.fields.window;
  const DepthwiseFilter filter(step.tables.filter, window);
  if (!filter.by_blocks()) return {step.tables.filter, 0};
  const int channels = window.output_channels, rest = channels % kBlock;
  const int apart = rest == 0 ? channels : channels - rest - kBlock;
  InterleavedFilter result{{}, window.output_channels};
  for (int channel = 0; channel < apart; channel += kBlock) filter.append_block(channel, result.bytes);
  for (int tap = 0; tap < filter.taps(); ++tap)
    for (int channel = apart; channel < channels; ++channel) result.bytes.push_back(filter.at(tap, channel));
  return result;
}

InterleavedFilter widen(const DepthwiseConv2dStep& step) {
  const mcufit_window& window = step.fields.window;
  if (!DepthwiseFilter(step.tables.filter, window).by_blocks()) return {step.tables.filter, 0};
  WideBlocks blocks(step);
  for (int channel = 0; channel < window.output_channels; channel += kBlock)
    blocks.append(std::min(channel, window.output_channels - kBlock));
  return {blocks.bytes(), window.output_channels};
}

}  // namespace mcufit
