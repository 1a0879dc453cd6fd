// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "blocks/quantized_graph.h"

namespace mcufit {

// The bytes that a channel can hold, at any pixel and for any input of the network; never too narrow.
struct ByteRange {
  std::int32_t least = -128;
  std::int32_t most = 127;
  bool constant() const { return least == most; }
  bool operator==(const ByteRange&) const = default;
};

// [node][channel]. Precondition: verify(graph) passed.
std::vector<std::vector<ByteRange>> channel_ranges(const QuantizedGraph& graph);

// The input channel that value `i` of a filter multiplies, and the output channel it belongs to.
// Precondition: the node has a filter.
struct FilterPlace {
  std::size_t output, input;
};
FilterPlace filter_place(const Graph& graph, NodeId id, std::size_t i);

}  // namespace mcufit
