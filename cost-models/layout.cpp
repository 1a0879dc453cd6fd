// SPDX-License-Identifier: Apache-2.0
#include "cost-models/layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "blocks/foundation/error.h"
#include "cost-models/count.h"
#include "cost-models/group_tiles.h"
#include "cost-models/kernel_scratch.h"
#include "exporters/runtime/mcufit_scratch.h"

namespace mcufit {
namespace {

constexpr std::int64_t kBytesPerBias = 4;
constexpr std::int64_t kBytesPerTableEntry = 4 + 1;  // multiplier and shift
constexpr std::int64_t kLookupTableBytes = 256;
constexpr std::int64_t kBytesPerResizedRow = 2;
constexpr std::int64_t kPointerBytes = 4;
constexpr std::int64_t kInputPointers = 2;  // where the next row goes, and the tile that asks for it

NodeLayout weighted(const Graph& lowered, NodeId id, std::int64_t step_bytes) {
  const std::int64_t channels = lowered.node(id).shape.channels;
  return {.filter_bytes = count_params(lowered, id) - channels,
          .bias_bytes = channels * kBytesPerBias,
          .table_bytes = channels * kBytesPerTableEntry,
          .step_bytes = step_bytes};
}

[[noreturn]] void refuse(const Node& node) {
  throw Error(
      ExitCode::input,
      fmt::format("{}: the runtime has no int8 kernel for {}; `mcufit supported-ops` lists what it has",
                  node.name, op_name(node.op)));
}

constexpr std::int64_t kWordBytes = 4;

}  // namespace

std::int64_t wider_filter_bytes(const Graph& lowered, NodeId id) {
  const Node& node = lowered.node(id);
  const auto* op = std::get_if<DepthwiseConv2d>(&node.op);
  if (op == nullptr) return 0;
  const mcufit_window window = runtime_window(lowered, id, op->window);
  if (mcufit_depthwise_conv2d_s8_dsp_blocks(&window) == 0) return 0;
  const std::int64_t channels = node.shape.channels;
  const std::int64_t blocks = (channels + MCUFIT_DSP_BLOCK - 1) / MCUFIT_DSP_BLOCK;
  return blocks * mcufit_depthwise_conv2d_s8_dsp_block_words(&window) * kWordBytes -
         op->window.taps() * channels;
}

NodeLayout node_layout(const Graph& lowered, NodeId id) {
  const Node& node = lowered.node(id);
  return std::visit(
      overloaded{
          [](const Input&) { return NodeLayout{}; }, [](const Reshape&) { return NodeLayout{}; },
          [&](const Conv2d&) { return weighted(lowered, id, MCUFIT_CONV2D_S8_STEP_BYTES); },
          [&](const DepthwiseConv2d&) { return weighted(lowered, id, MCUFIT_CONV2D_S8_STEP_BYTES); },
          [&](const FullyConnected&) { return weighted(lowered, id, MCUFIT_FULLY_CONNECTED_S8_STEP_BYTES); },
          [](const Add&) { return NodeLayout{.step_bytes = MCUFIT_ADD_S8_STEP_BYTES}; },
          [](const AveragePool2d&) { return NodeLayout{.step_bytes = MCUFIT_POOL2D_S8_STEP_BYTES}; },
          [](const MaxPool2d&) { return NodeLayout{.step_bytes = MCUFIT_POOL2D_S8_STEP_BYTES}; },
          [](const Softmax&) { return NodeLayout{.step_bytes = MCUFIT_SOFTMAX_S8_STEP_BYTES}; },
          [](const Mul&) { return NodeLayout{.step_bytes = MCUFIT_MUL_S8_STEP_BYTES}; },
          [](const Activate&) {
            return NodeLayout{.table_bytes = kLookupTableBytes, .step_bytes = MCUFIT_LOOKUP_S8_STEP_BYTES};
          },
          [](const Mean&) { return NodeLayout{.step_bytes = MCUFIT_MEAN_S8_STEP_BYTES}; },
          [&](const Concatenation&) {
            const auto parts = static_cast<std::int64_t>(node.inputs.size());
            return NodeLayout{.step_bytes = MCUFIT_CONCATENATION_S8_STEP_BYTES +
                                            parts * MCUFIT_CONCATENATION_PART_BYTES};
          },
          [](const Pad&) { return NodeLayout{.step_bytes = MCUFIT_PAD_S8_STEP_BYTES}; },
          [](const ResizeNearestNeighbor& r) {
            return NodeLayout{.table_bytes = kBytesPerResizedRow * (std::int64_t{r.height} + r.width),
                              .step_bytes = MCUFIT_RESIZE_NEAREST_NEIGHBOR_S8_STEP_BYTES};
          },
          [&](const BatchNorm&) -> NodeLayout { refuse(node); }},
      node.op);
}

std::optional<std::string_view> kernel_of(const Node& node) {
  using Kernel = std::optional<std::string_view>;
  return std::visit(
      overloaded{[](const Input&) -> Kernel { return std::nullopt; },
                 [](const Conv2d&) -> Kernel { return "conv2d_s8"; },
                 [](const DepthwiseConv2d&) -> Kernel { return "depthwise_conv2d_s8"; },
                 [](const FullyConnected&) -> Kernel { return "fully_connected_s8"; },
                 [](const Add&) -> Kernel { return "add_s8"; },
                 [](const AveragePool2d&) -> Kernel { return "average_pool2d_s8"; },
                 [](const MaxPool2d&) -> Kernel { return "max_pool2d_s8"; },
                 [](const Softmax&) -> Kernel { return "softmax_s8"; },
                 [](const Mul&) -> Kernel { return "mul_s8"; },
                 [](const Activate&) -> Kernel { return "lookup_s8"; },
                 [](const Mean&) -> Kernel { return "mean_s8"; },
                 [](const Concatenation&) -> Kernel { return "concatenation_s8"; },
                 [](const Pad&) -> Kernel { return "pad_s8"; },
                 [](const Reshape&) -> Kernel { return std::nullopt; },
                 [](const ResizeNearestNeighbor&) -> Kernel { return "resize_nearest_neighbor_s8"; },
                 [&](const BatchNorm&) -> Kernel { refuse(node); }},
      node.op);
}

std::vector<NodeId> called_nodes(const Graph& lowered) {
  std::vector<NodeId> nodes;
  for (NodeId id = 0; id < lowered.size(); ++id) {
    if (kernel_of(lowered.node(id))) nodes.push_back(id);
  }
  return nodes;
}

std::set<std::string, std::less<>> kernels_of(const Graph& lowered) {
  std::set<std::string, std::less<>> kernels;
  for (const Node& node : lowered.nodes) {
    if (const auto kernel = kernel_of(node)) kernels.emplace(*kernel);
  }
  return kernels;
}

namespace {

bool sums_rows(const MemoryPlan& plan, NodeId id) { return plan.placement(id).sums_bytes > 0; }

bool is_mean(const Graph& lowered, NodeId id) { return std::holds_alternative<Mean>(lowered.node(id).op); }

std::int64_t tiles_of(const Step& step) { return std::ssize(step.tile_cuts) + 1; }

// The calls of a group in tiles, none of which is a sum.
void add_tiles(const Graph& lowered, const MemoryPlan& plan, const Step& step,
               std::vector<KernelCall>& calls) {
  const RowGraph rows(lowered);
  const GroupTiles tiles(rows, step.nodes.front(), step.nodes.back(), step.tile_cuts);
  for (std::int32_t tile = 0; tile < tiles.tiles(); ++tile) {
    for (const NodeId id : step.nodes) {
      if (kernel_of(lowered, plan, id))
        calls.push_back({id, tile, tiles.made(id, tile).width() * rows.column_macs(id)});
    }
  }
}

const Step& step_with(const MemoryPlan& plan, NodeId id) {
  return plan.steps[static_cast<std::size_t>(plan.placement(id).first_step)];
}

// Inputs that are made in the same step.
std::int64_t inputs_inside(const Graph& lowered, const Step& step) {
  std::int64_t count = 0;
  for (const NodeId id : step.nodes) {
    const auto& inputs = lowered.node(id).inputs;
    count += std::count_if(inputs.begin(), inputs.end(), [&](NodeId from) { return from >= step.nodes[0]; });
  }
  return count;
}

}  // namespace

std::vector<KernelCall> kernel_calls(const Graph& lowered, const MemoryPlan& plan) {
  std::vector<KernelCall> calls;
  for (const Step& step : plan.steps) {
    if (!step.tile_cuts.empty()) {
      add_tiles(lowered, plan, step, calls);
      continue;
    }
    for (const NodeId id : step.nodes) {
      if (kernel_of(lowered, plan, id))
        calls.push_back({.node = id, .tile = 0, .macs = count_macs(lowered, id)});
    }
  }
  return calls;
}

NodeLayout node_layout(const Graph& lowered, const MemoryPlan& plan, NodeId id) {
  NodeLayout layout = node_layout(lowered, id);
  if (id == 0 && streams_input(plan)) layout.step_bytes = MCUFIT_INPUT_ROW_STEP_BYTES;
  layout.step_bytes *= tiles_of(step_with(plan, id));
  if (sums_rows(plan, id))
    layout.step_bytes =
        is_mean(lowered, id) ? MCUFIT_MEAN_ROWS_S8_STEP_BYTES : MCUFIT_AVERAGE_POOL2D_ROWS_S8_STEP_BYTES;
  return layout;
}

std::optional<std::string_view> kernel_of(const Graph& lowered, const MemoryPlan& plan, NodeId id) {
  if (id == 0 && streams_input(plan)) return kInputRow;
  if (!sums_rows(plan, id)) return kernel_of(lowered.node(id));
  return is_mean(lowered, id) ? "mean_rows_s8" : "average_pool2d_rows_s8";
}

std::set<std::string, std::less<>> kernels_of(const Graph& lowered, const MemoryPlan& plan) {
  std::set<std::string, std::less<>> kernels;
  for (NodeId id = 0; id < lowered.size(); ++id) {
    if (const auto kernel = kernel_of(lowered, plan, id)) kernels.emplace(*kernel);
  }
  if (has_row_steps(plan)) kernels.emplace(kRowOrder);
  return kernels;
}

bool streams_input(const MemoryPlan& plan) {
  return plan.steps.front().by_rows && plan.steps.front().nodes.size() > 1;
}

bool has_row_steps(const MemoryPlan& plan) { return longest_row_step(plan) > 0; }

namespace {

std::int64_t row_table(std::int64_t calls, std::int64_t needs) {
  return (calls + 1) * MCUFIT_ROW_CALL_BYTES + std::max<std::int64_t>(needs, 1) * MCUFIT_ROW_NEED_BYTES;
}

}  // namespace

std::int64_t row_table_bytes(const Graph& lowered, const MemoryPlan& plan) {
  if (!has_row_steps(plan)) return 0;
  std::int64_t needs = 0;
  for (const Step& step : plan.steps)
    needs += step.by_rows ? inputs_inside(lowered, step) * tiles_of(step) : 0;
  return row_table(std::ssize(kernel_calls(lowered, plan)), needs);
}

std::int64_t least_row_table_bytes(const Graph& lowered) {
  return row_table(std::ssize(called_nodes(lowered)), 0);
}

std::int64_t longest_row_step(const MemoryPlan& plan) {
  std::int64_t longest = 0;
  for (const Step& step : plan.steps) {
    if (step.by_rows) longest = std::max(longest, std::ssize(step.nodes));
  }
  return longest;
}

std::int64_t row_progress_bytes(const MemoryPlan& plan) {
  if (!has_row_steps(plan)) return 0;
  return longest_row_step(plan) * MCUFIT_ROW_PROGRESS_BYTES + MCUFIT_ROW_GOAL_BYTES +
         (streams_input(plan) ? kInputPointers * kPointerBytes : 0);
}

}  // namespace mcufit
