// SPDX-License-Identifier: Apache-2.0
// Random lowered graphs for tests of plans: every op that can be part of a group, with windows of all kinds.
#pragma once

#include <algorithm>
#include <string>

#include "blocks/builder.h"
#include "blocks/foundation/random.h"
#include "blocks/lower.h"
#include "cost-models/cores.h"

namespace mcufit::testing {

inline Isa random_isa(Random& random) { return isas()[random.below(isas().size())]; }

class RandomNet {
 public:
  explicit RandomNet(Random& random)
      : random_(random), builder_("random", {extent(3, 14), extent(2, 6), extent(1, 5)}) {}

  Graph build() {
    NodeId x = builder_.input();
    const std::int64_t layers = random_.between(1, 9);
    for (std::int64_t i = 0; i < layers; ++i) x = layer(x);
    if (random_.below(2) == 0)
      x = random_.below(2) == 0 ? builder_.global_average_pool(name(), x) : builder_.mean(name(), x);
    if (random_.below(3) == 0) x = builder_.fully_connected(name(), x, extent(1, 6));
    if (random_.below(3) == 0) x = builder_.softmax(name(), x);
    return lower(builder_.finish());
  }

 private:
  std::int32_t extent(std::int64_t low, std::int64_t high) {
    return static_cast<std::int32_t>(random_.between(low, high));
  }

  std::string name() { return "n" + std::to_string(next_++); }

  Window window(const Shape& in, bool padded) {
    Window w;
    w.kernel_height = extent(1, std::min(5, in.height));
    w.kernel_width = extent(1, std::min(3, in.width));
    w.stride_height = extent(1, 3);
    w.stride_width = extent(1, 2);
    if (random_.below(4) == 0 && (w.kernel_height - 1) * 2 < in.height) w.dilation_height = 2;
    if (padded)
      w.padding = {extent(0, w.kernel_height - 1), extent(0, w.kernel_height - 1),
                   extent(0, w.kernel_width - 1), 0};
    return w;
  }

  NodeId layer(NodeId x) {
    const Shape& in = builder_.shape(x);
    switch (random_.below(10)) {
      case 0:
        return builder_.conv2d(name(), x, extent(1, 6), window(in, true));
      case 1:
        return builder_.depthwise_conv2d(name(), x, window(in, true));
      case 2:
        return builder_.max_pool2d(name(), x, plain(window(in, false)));
      case 3:
        return residual(x);
      case 4:
        return builder_.mul(name(), x, builder_.global_average_pool(name(), x));
      case 5: {
        const NodeId a = builder_.pointwise(name(), x, extent(1, 3));
        return builder_.concatenation(name(), {a, x}, Axis::channels);
      }
      case 6:
        return builder_.concatenation(name(), {x, builder_.pointwise(name(), x, in.channels)}, Axis::height);
      case 7:
        return builder_.pad(name(), x, {extent(0, 2), extent(0, 2), 1, 0});
      case 8:
        return builder_.resize_nearest_neighbor(name(), x, extent(1, 12), extent(1, 6));
      default:
        return builder_.reshape(name(), x, {in.width, in.height, in.channels});
    }
  }

  Window plain(Window w) {
    w.dilation_height = 1;
    return w;
  }

  // An inverted residual, sometimes with a second reader of its middle.
  NodeId residual(NodeId x) {
    const std::int32_t channels = builder_.shape(x).channels;
    const NodeId wide = builder_.pointwise(name(), x, channels * 2);
    const std::int32_t kernel = random_.below(2) == 0 ? 3 : 5;
    const NodeId spatial = builder_.depthwise_conv2d(name(), wide, square_window(kernel, 1, kernel / 2));
    const NodeId middle = random_.below(3) == 0 ? builder_.add(name(), spatial, wide) : spatial;
    return builder_.add(name(), x, builder_.pointwise(name(), middle, channels));
  }

  Random& random_;
  GraphBuilder builder_;
  int next_ = 0;
};

}  // namespace mcufit::testing
