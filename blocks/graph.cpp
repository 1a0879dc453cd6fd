// SPDX-License-Identifier: Apache-2.0
#include "blocks/graph.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "blocks/foundation/error.h"

namespace mcufit {
namespace {

constexpr std::int64_t kMostExtent = 32767;
constexpr std::int64_t kMostElements = std::int64_t{1} << 30;

[[noreturn]] void refuse(std::string_view name, const std::string& message) {
  throw Error(ExitCode::input, fmt::format("{}: {}", name, message));
}

std::int64_t output_extent(std::int64_t input, std::int32_t kernel, std::int32_t stride, std::int32_t before,
                           std::int32_t after, std::string_view name) {
  if (kernel < 1 || stride < 1 || before < 0 || after < 0 || kernel > kMostExtent || stride > kMostExtent ||
      before >= kernel || after >= kernel) {
    refuse(name,
           fmt::format("found a window with kernel {}, stride {}, padding {}+{}; accepted: kernel and stride "
                       "of at least 1, padding smaller than the kernel",
                       kernel, stride, before, after));
  }
  const std::int64_t room = input + before + after - kernel;
  if (room < 0)
    refuse(name,
           fmt::format("a kernel of {} does not fit an input of {}; try a larger input", kernel, input));
  return room / stride + 1;
}

Shape checked(std::int64_t height, std::int64_t width, std::int64_t channels, std::string_view name) {
  for (const std::int64_t extent : {height, width, channels}) {
    if (extent < 1 || extent > kMostExtent) {
      refuse(name, fmt::format("found shape {}x{}x{}; accepted: extents in [1, {}]", height, width, channels,
                               kMostExtent));
    }
  }
  if (height * width * channels > kMostElements) {
    refuse(name, fmt::format("found shape {}x{}x{}; accepted: at most {} elements", height, width, channels,
                             kMostElements));
  }
  return {static_cast<std::int32_t>(height), static_cast<std::int32_t>(width),
          static_cast<std::int32_t>(channels)};
}

Shape slide(const Window& w, const Shape& in, std::int32_t channels, std::string_view name) {
  const auto height =
      output_extent(in.height, w.kernel_height, w.stride_height, w.padding.top, w.padding.bottom, name);
  const auto width =
      output_extent(in.width, w.kernel_width, w.stride_width, w.padding.left, w.padding.right, name);
  return checked(height, width, channels, name);
}

std::size_t input_count(const Op& op) {
  return std::visit(
      overloaded{[](const Input&) -> std::size_t { return 0; }, [](const Add&) -> std::size_t { return 2; },
                 [](const Mul&) -> std::size_t { return 2; }, [](const auto&) -> std::size_t { return 1; }},
      op);
}

void require(bool holds, const Graph& graph, const std::string& what) {
  if (!holds) throw Error(ExitCode::internal, fmt::format("graph {}: {}", graph.name, what));
}

nlohmann::json window_json(const Window& w) {
  return {{"kernel", {w.kernel_height, w.kernel_width}},
          {"stride", {w.stride_height, w.stride_width}},
          {"padding", {w.padding.top, w.padding.bottom, w.padding.left, w.padding.right}}};
}

}  // namespace

std::string to_string(Shape shape) {
  return fmt::format("{}x{}x{}", shape.height, shape.width, shape.channels);
}

std::string_view to_string(Activation activation) {
  switch (activation) {
    case Activation::none:
      return "none";
    case Activation::relu:
      return "relu";
    case Activation::relu6:
      return "relu6";
    case Activation::hard_swish:
      return "hard_swish";
    case Activation::sigmoid:
      return "sigmoid";
    case Activation::hard_sigmoid:
      return "hard_sigmoid";
  }
  return "";
}

Window square_window(std::int32_t kernel, std::int32_t stride, std::int32_t padding) {
  return {kernel, kernel, stride, stride, {padding, padding, padding, padding}};
}

std::string_view op_name(const Op& op) {
  return std::visit(overloaded{[](const Input&) -> std::string_view { return "input"; },
                               [](const Conv2d&) -> std::string_view { return "conv2d"; },
                               [](const DepthwiseConv2d&) -> std::string_view { return "depthwise_conv2d"; },
                               [](const FullyConnected&) -> std::string_view { return "fully_connected"; },
                               [](const BatchNorm&) -> std::string_view { return "batch_norm"; },
                               [](const Activate& a) -> std::string_view { return to_string(a.activation); },
                               [](const Add&) -> std::string_view { return "add"; },
                               [](const Mul&) -> std::string_view { return "mul"; },
                               [](const AveragePool2d&) -> std::string_view { return "average_pool2d"; },
                               [](const MaxPool2d&) -> std::string_view { return "max_pool2d"; },
                               [](const Softmax&) -> std::string_view { return "softmax"; }},
                    op);
}

Shape infer_shape(const Op& op, const std::vector<Shape>& inputs, std::string_view name) {
  if (inputs.size() != input_count(op)) {
    refuse(name, fmt::format("{} has {} inputs; accepted: {}", op_name(op), inputs.size(), input_count(op)));
  }
  return std::visit(
      overloaded{
          [&](const Input& i) { return checked(i.shape.height, i.shape.width, i.shape.channels, name); },
          [&](const Conv2d& c) { return slide(c.window, inputs[0], c.output_channels, name); },
          [&](const DepthwiseConv2d& d) { return slide(d.window, inputs[0], inputs[0].channels, name); },
          [&](const FullyConnected& f) { return checked(1, 1, f.output_channels, name); },
          [&](const BatchNorm&) { return inputs[0]; }, [&](const Activate&) { return inputs[0]; },
          [&](const Add&) {
            if (inputs[0] == inputs[1]) return inputs[0];
            refuse(name, fmt::format("cannot add {} and {}; accepted: equal shapes", to_string(inputs[0]),
                                     to_string(inputs[1])));
          },
          [&](const Mul&) {
            if (inputs[0] == inputs[1] || inputs[1] == Shape{1, 1, inputs[0].channels}) return inputs[0];
            refuse(name,
                   fmt::format("cannot multiply {} by {}; accepted: equal shapes, or 1x1x{} as the second",
                               to_string(inputs[0]), to_string(inputs[1]), inputs[0].channels));
          },
          [&](const AveragePool2d& p) { return slide(p.window, inputs[0], inputs[0].channels, name); },
          [&](const MaxPool2d& p) { return slide(p.window, inputs[0], inputs[0].channels, name); },
          [&](const Softmax&) {
            if (inputs[0].pixels() == 1) return inputs[0];
            refuse(name, fmt::format("found a softmax over {}; accepted: 1x1xC", to_string(inputs[0])));
          }},
      op);
}

void verify(const Graph& graph) {
  require(!graph.nodes.empty() && std::holds_alternative<Input>(graph.nodes[0].op), graph,
          "node 0 is not the input");
  std::set<std::string_view> names;
  std::vector<bool> used(graph.nodes.size(), false);
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    require(names.insert(node.name).second, graph, fmt::format("two nodes are named '{}'", node.name));
    require(id == 0 || !std::holds_alternative<Input>(node.op), graph,
            fmt::format("{} is a second input", node.name));
    std::vector<Shape> shapes;
    for (const NodeId from : node.inputs) {
      require(from >= 0 && from < id, graph,
              fmt::format("{} reads node {}, which is not before it", node.name, from));
      used[static_cast<std::size_t>(from)] = true;
      shapes.push_back(graph.node(from).shape);
    }
    require(infer_shape(node.op, shapes, node.name) == node.shape, graph, node.name + " has a wrong shape");
  }
  for (std::size_t i = 0; i + 1 < used.size(); ++i) {
    require(used[i], graph, fmt::format("nobody reads {}", graph.nodes[i].name));
  }
}

std::vector<NodeId> last_uses(const Graph& graph) {
  std::vector<NodeId> last(graph.nodes.size());
  for (NodeId id = 0; id < graph.size(); ++id) {
    last[static_cast<std::size_t>(id)] = id;
    for (const NodeId from : graph.node(id).inputs) last[static_cast<std::size_t>(from)] = id;
  }
  return last;
}

nlohmann::json to_json(const Graph& graph) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const Node& node : graph.nodes) {
    nlohmann::json j = {{"name", node.name},
                        {"op", op_name(node.op)},
                        {"inputs", node.inputs},
                        {"shape", {node.shape.height, node.shape.width, node.shape.channels}}};
    std::visit(overloaded{[](const Input&) {},
                          [&](const auto& op) {
                            if constexpr (requires { op.window; }) j.update(window_json(op.window));
                            if constexpr (requires { op.bias; }) j["bias"] = op.bias;
                            if constexpr (requires { op.beta; }) j["beta"] = op.beta;
                            if constexpr (requires { op.activation; })
                              j["activation"] = to_string(op.activation);
                          }},
               node.op);
    nodes.push_back(std::move(j));
  }
  return {{"name", graph.name}, {"nodes", std::move(nodes)}};
}

}  // namespace mcufit
