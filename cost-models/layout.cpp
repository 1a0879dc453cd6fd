// SPDX-License-Identifier: Apache-2.0
#include "cost-models/layout.h"

#include <fmt/format.h>

#include "blocks/foundation/error.h"
#include "cost-models/count.h"
#include "exporters/runtime/mcufit_runtime.h"

namespace mcufit {
namespace {

constexpr std::int64_t kBytesPerBias = 4;
constexpr std::int64_t kBytesPerTableEntry = 4 + 1;  // multiplier and shift

NodeLayout weighted(const Graph& lowered, NodeId id, std::int64_t step_bytes) {
  const std::int64_t channels = lowered.node(id).shape.channels;
  return {.filter_bytes = count_params(lowered, id) - channels,
          .bias_bytes = channels * kBytesPerBias,
          .table_bytes = channels * kBytesPerTableEntry,
          .step_bytes = step_bytes};
}

[[noreturn]] void refuse(const Node& node) {
  throw Error(ExitCode::input,
              fmt::format("{}: the runtime has no int8 kernel for {} yet; supported: conv2d, "
                          "depthwise_conv2d, fully_connected, add, average_pool2d, max_pool2d, softmax, "
                          "with relu or relu6 fused",
                          node.name, op_name(node.op)));
}

}  // namespace

NodeLayout node_layout(const Graph& lowered, NodeId id) {
  const Node& node = lowered.node(id);
  return std::visit(
      overloaded{
          [](const Input&) { return NodeLayout{}; },
          [&](const Conv2d&) { return weighted(lowered, id, MCUFIT_CONV2D_S8_STEP_BYTES); },
          [&](const DepthwiseConv2d&) { return weighted(lowered, id, MCUFIT_CONV2D_S8_STEP_BYTES); },
          [&](const FullyConnected&) { return weighted(lowered, id, MCUFIT_FULLY_CONNECTED_S8_STEP_BYTES); },
          [](const Add&) { return NodeLayout{.step_bytes = MCUFIT_ADD_S8_STEP_BYTES}; },
          [](const AveragePool2d&) { return NodeLayout{.step_bytes = MCUFIT_POOL2D_S8_STEP_BYTES}; },
          [](const MaxPool2d&) { return NodeLayout{.step_bytes = MCUFIT_POOL2D_S8_STEP_BYTES}; },
          [](const Softmax&) { return NodeLayout{.step_bytes = MCUFIT_SOFTMAX_S8_STEP_BYTES}; },
          [&](const BatchNorm&) -> NodeLayout { refuse(node); },
          [&](const Activate&) -> NodeLayout { refuse(node); },
          [&](const Mul&) -> NodeLayout { refuse(node); }},
      node.op);
}

std::optional<std::string_view> kernel_of(const Node& node) {
  using Kernel = std::optional<std::string_view>;
  return std::visit(overloaded{[](const Input&) -> Kernel { return std::nullopt; },
                               [](const Conv2d&) -> Kernel { return "conv2d_s8"; },
                               [](const DepthwiseConv2d&) -> Kernel { return "depthwise_conv2d_s8"; },
                               [](const FullyConnected&) -> Kernel { return "fully_connected_s8"; },
                               [](const Add&) -> Kernel { return "add_s8"; },
                               [](const AveragePool2d&) -> Kernel { return "average_pool2d_s8"; },
                               [](const MaxPool2d&) -> Kernel { return "max_pool2d_s8"; },
                               [](const Softmax&) -> Kernel { return "softmax_s8"; },
                               [&](const BatchNorm&) -> Kernel { refuse(node); },
                               [&](const Activate&) -> Kernel { refuse(node); },
                               [&](const Mul&) -> Kernel { refuse(node); }},
                    node.op);
}

std::set<std::string, std::less<>> kernels_of(const Graph& lowered) {
  std::set<std::string, std::less<>> kernels;
  for (const Node& node : lowered.nodes) {
    if (const auto kernel = kernel_of(node)) kernels.emplace(*kernel);
  }
  return kernels;
}

}  // namespace mcufit
