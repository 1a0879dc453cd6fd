// SPDX-License-Identifier: Apache-2.0
// Random groups in random tiles, whether they are good or not.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "blocks/builder.h"
#include "blocks/foundation/random.h"
#include "blocks/lower.h"
#include "cost-models/group_tiles.h"

namespace mcufit::testing {

// A random net whose ops make columns apart, but for a last one now and then.
class ColumnNet {
 public:
  explicit ColumnNet(Random& random)
      : random_(random), builder_("columns", {extent(3, 8), extent(4, 14), extent(1, 4)}) {}

  Graph build() {
    NodeId x = builder_.input();
    for (std::int64_t layers = random_.between(2, 8); layers > 0; --layers) x = layer(x);
    if (random_.below(3) == 0) builder_.global_average_pool(name(), x);
    return lower(builder_.finish());
  }

 private:
  std::int32_t extent(std::int64_t low, std::int64_t high) {
    return static_cast<std::int32_t>(random_.between(low, high));
  }

  std::string name() { return "n" + std::to_string(next_++); }

  Window window(const Shape& in, bool convolution) {
    Window w;
    w.kernel_height = extent(1, std::min(3, in.height));
    w.kernel_width = extent(1, std::min(5, in.width));
    w.stride_height = extent(1, 2);
    w.stride_width = extent(1, 3);
    if (convolution && (w.kernel_width - 1) * 2 < in.width && random_.below(3) == 0) w.dilation_width = 2;
    const std::int32_t most = w.kernel_width - 1;
    if (convolution) w.padding = {0, w.kernel_height - 1, extent(0, most), extent(0, most)};
    return w;
  }

  NodeId layer(NodeId x) {
    const Shape in = builder_.shape(x);  // the builder moves its nodes
    switch (random_.below(6)) {
      case 0:
        return builder_.conv2d(name(), x, extent(1, 5), window(in, true));
      case 1:
        return builder_.depthwise_conv2d(name(), x, window(in, true));
      case 2:
        return builder_.max_pool2d(name(), x, window(in, false));
      case 3:
        return builder_.mul(name(), x, builder_.pointwise(name(), x, in.channels));
      default: {
        const NodeId wide = builder_.pointwise(name(), x, in.channels * 2);
        const NodeId spatial = builder_.depthwise_conv2d(name(), wide, square_window(3, 1, 1));
        return builder_.add(name(), x, builder_.pointwise(name(), spatial, in.channels));
      }
    }
  }

  Random& random_;
  GraphBuilder builder_;
  int next_ = 0;
};

// Cuts of [first, last] at random columns; none where it may not run in tiles, or only in one.
inline std::vector<std::int32_t> random_cuts(Random& random, const RowGraph& graph, NodeId first,
                                             NodeId last) {
  std::vector<std::int32_t> cuts;
  for (std::int32_t column = 1; column < graph.width(last); ++column) {
    if (random.below(2) == 0) cuts.push_back(column);
  }
  return may_tile(graph, first, last, cuts) ? cuts : std::vector<std::int32_t>{};
}

struct TiledGroup {
  NodeId first, last;
  std::vector<std::int32_t> cuts;
};

// The first group of a random length that runs in tiles from a random node on.
inline std::optional<TiledGroup> random_tiled_group(Random& random, const RowGraph& graph) {
  const auto longest = static_cast<NodeId>(random.between(2, 6));
  const auto start = static_cast<NodeId>(random.below(static_cast<std::uint64_t>(graph.size())));
  for (NodeId first = start; first + 1 < graph.size(); ++first) {
    for (NodeId last = std::min(first + longest, graph.size()) - 1; last > first; --last) {
      std::vector<std::int32_t> cuts = random_cuts(random, graph, first, last);
      if (!cuts.empty()) return TiledGroup{first, last, std::move(cuts)};
    }
  }
  return std::nullopt;
}

}  // namespace mcufit::testing
