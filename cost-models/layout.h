// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "blocks/graph.h"

namespace mcufit {

// The constant bytes that one node of a lowered graph puts into flash, as the C emitter lays them out for
// 32-bit targets.
struct NodeLayout {
  std::int64_t filter_bytes = 0;  // int8
  std::int64_t bias_bytes = 0;    // int32 per output channel
  // Requantization: int32 multiplier and int8 shift per output channel; a lookup's 256 values; a resize's
  // maps.
  std::int64_t table_bytes = 0;
  std::int64_t step_bytes = 0;  // the step's constants, sizeof its struct in mcufit_runtime.h
};

// Of each output channel of a layer with weights: a bias, a multiplier and a shift.
inline constexpr std::int64_t kBytesPerFilterChannel = 4 + 4 + 1;

NodeLayout node_layout(const Graph& lowered, NodeId id);

// The runtime kernel that executes an op, "conv2d_s8" for mcufit_conv2d_s8; none for the input and reshapes,
// whose bytes are there already. Throws
// Error(input) naming op and node where the runtime has none yet.
std::optional<std::string_view> kernel_of(const Node& node);

// The nodes of a lowered graph that a kernel executes, in order.
std::vector<NodeId> called_nodes(const Graph& lowered);

// Every kernel that a lowered graph needs.
std::set<std::string, std::less<>> kernels_of(const Graph& lowered);

}  // namespace mcufit
