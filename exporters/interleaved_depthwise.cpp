// SPDX-License-Identifier: Apache-2.0
#include "exporters/interleaved_filter.h"

namespace mcufit {
namespace {

constexpr int kBlock = 4;  // channels that the kernel computes at a time

// Bounds of its stack.
constexpr int kMostTaps = 50;
constexpr int kStripWords = 192;

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

  // Whether the kernel computes blocks: each channel has an input of its own, and the columns of a window
  // follow each other in what the kernel gathers.
  bool by_blocks() const {
    return window_.output_channels == window_.input_channels && window_.output_channels >= kBlock &&
           taps() <= kMostTaps && kStripWords / window_.kernel_height >= window_.kernel_width &&
           window_.dilation_width == 1;
  }

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

}  // namespace mcufit
