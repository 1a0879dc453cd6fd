// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "blocks/graph.h"
#include "cost-models/plan.h"

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

// By how many bytes a depthwise filter is larger as kernels with DSP instructions compute with it: by fours
// of channels their biases, filter and scales, all in words. 0 for other nodes, and for depthwise ones that
// these kernels compute channel by channel; above 0 for all others.
std::int64_t wider_filter_bytes(const Graph& lowered, NodeId id);

// The runtime kernel that executes an op, "conv2d_s8" for mcufit_conv2d_s8; none for the input and reshapes,
// whose bytes are there already. Throws
// Error(input) naming op and node where the runtime has none yet.
std::optional<std::string_view> kernel_of(const Node& node);

// With what a plan changes: a mean or an average that its group feeds with rows has a kernel of its own, and
// a streamed input is a call too, kInputRow.
NodeLayout node_layout(const Graph& lowered, const MemoryPlan& plan, NodeId id);
std::optional<std::string_view> kernel_of(const Graph& lowered, const MemoryPlan& plan, NodeId id);

// The nodes of a lowered graph that a kernel executes, in order.
std::vector<NodeId> called_nodes(const Graph& lowered);

// One kernel call of a package, over whole tensors or row by row: of a node, or of one tile of it.
struct KernelCall {
  NodeId node = 0;
  std::int32_t tile = 0;
  std::int64_t macs = 0;
};

// A package's list of calls, in order of execution: a group in tiles is called once for each; a streamed
// input is the first call of its group.
std::vector<KernelCall> kernel_calls(const Graph& lowered, const MemoryPlan& plan);

// Every kernel that a lowered graph needs.
std::set<std::string, std::less<>> kernels_of(const Graph& lowered);

// The function of the runtime that orders the calls of groups.
inline constexpr std::string_view kRowOrder = "row_order";

// True when the plan's first group takes the input row by row.
bool streams_input(const MemoryPlan& plan);

// What stands in a kernel's place for the input of such a group, whose rows the sender delivers; of a group
// in tiles the columns that each tile reads.
inline constexpr std::string_view kInputRow = "input_row";

// With what the plan changes; kRowOrder among them where a step runs by rows, kInputRow where it streams the
// input.
std::set<std::string, std::less<>> kernels_of(const Graph& lowered, const MemoryPlan& plan);

// True when a step runs by rows.
bool has_row_steps(const MemoryPlan& plan);

// The constants by which a package's groups run; 0 without groups. They count as step bytes.
std::int64_t row_table_bytes(const Graph& lowered, const MemoryPlan& plan);

// Of any plan with groups, at least.
std::int64_t least_row_table_bytes(const Graph& lowered);

// The calls of the longest step that runs by rows; 0 without one.
std::int64_t longest_row_step(const MemoryPlan& plan);

// What a package has in RAM beside the arena: how far each call of a group is, and of a streamed input where
// the sender writes the next row and which tile asks for it.
std::int64_t row_progress_bytes(const MemoryPlan& plan);

}  // namespace mcufit
