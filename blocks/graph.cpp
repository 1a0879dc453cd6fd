// SPDX-License-Identifier: Apache-2.0
#include "blocks/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "blocks/foundation/error.h"

namespace mcufit {
namespace {

constexpr std::int64_t kMostExtent = 32767;
constexpr std::int64_t kMostElements = std::int64_t{1} << 30;
constexpr std::size_t kMostConcatenated = 64;

[[noreturn]] void refuse(std::string_view name, const std::string& message) {
  throw Error(ExitCode::input, fmt::format("{}: {}", name, message));
}

// A window along one axis.
struct Sliding {
  std::int32_t kernel, stride, dilation, before, after;
};

std::int64_t output_extent(std::int64_t input, const Sliding& s, std::string_view name) {
  const auto extent = [](std::int64_t value) { return value >= 1 && value <= kMostExtent; };
  const std::int64_t span = (std::int64_t{s.kernel} - 1) * s.dilation + 1;
  if (!extent(s.kernel) || !extent(s.stride) || !extent(s.dilation) || !extent(span) || s.before < 0 ||
      s.after < 0 || s.before >= span || s.after >= span) {
    refuse(name,
           fmt::format("found a window with kernel {}, stride {}, dilation {}, padding {}+{}; accepted: "
                       "kernel, stride and dilation of at least 1, padding smaller than the dilated kernel",
                       s.kernel, s.stride, s.dilation, s.before, s.after));
  }
  const std::int64_t room = input + s.before + s.after - span;
  if (room < 0)
    refuse(name, fmt::format("a kernel of {} does not fit an input of {}; try a larger input", span, input));
  return room / s.stride + 1;
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
  const auto height = output_extent(
      in.height, {w.kernel_height, w.stride_height, w.dilation_height, w.padding.top, w.padding.bottom},
      name);
  const auto width = output_extent(
      in.width, {w.kernel_width, w.stride_width, w.dilation_width, w.padding.left, w.padding.right}, name);
  return checked(height, width, channels, name);
}

Shape padded(const Pad& p, const Shape& in, std::string_view name) {
  const Padding& b = p.padding;
  for (const std::int32_t extent : {b.top, b.bottom, b.left, b.right, p.channels_before, p.channels_after}) {
    if (extent < 0 || extent > kMostExtent)
      refuse(name, fmt::format("found a border of {}; accepted: [0, {}]", extent, kMostExtent));
  }
  return checked(std::int64_t{in.height} + b.top + b.bottom, std::int64_t{in.width} + b.left + b.right,
                 std::int64_t{in.channels} + p.channels_before + p.channels_after, name);
}

Shape concatenated(Axis axis, const std::vector<Shape>& inputs, std::string_view name) {
  std::int64_t height = inputs[0].height, width = inputs[0].width, channels = inputs[0].channels;
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    Shape alike = inputs[i];  // with the first input's extent along the axis
    if (axis == Axis::height) height += std::exchange(alike.height, inputs[0].height);
    if (axis == Axis::width) width += std::exchange(alike.width, inputs[0].width);
    if (axis == Axis::channels) channels += std::exchange(alike.channels, inputs[0].channels);
    if (alike != inputs[0])
      refuse(name, fmt::format("cannot concatenate {} and {} along {}; accepted: shapes equal but there",
                               to_string(inputs[0]), to_string(inputs[i]), to_string(axis)));
  }
  return checked(height, width, channels, name);
}

// Fewest and most.
std::pair<std::size_t, std::size_t> input_counts(const Op& op) {
  using Counts = std::pair<std::size_t, std::size_t>;
  return std::visit(overloaded{[](const Input&) {
                                 return Counts{0, 0};
                               },
                               [](const Add&) {
                                 return Counts{2, 2};
                               },
                               [](const Mul&) {
                                 return Counts{2, 2};
                               },
                               [](const Concatenation&) {
                                 return Counts{1, kMostConcatenated};
                               },
                               [](const auto&) {
                                 return Counts{1, 1};
                               }},
                    op);
}

[[noreturn]] void fail(const Graph& graph, const std::string& what) {
  throw Error(ExitCode::internal, fmt::format("graph {}: {}", graph.name, what));
}

void require(bool holds, const Graph& graph, const char* what) {
  if (!holds) fail(graph, what);
}

nlohmann::json window_json(const Window& w) {
  return {{"kernel", {w.kernel_height, w.kernel_width}},
          {"stride", {w.stride_height, w.stride_width}},
          {"padding", {w.padding.top, w.padding.bottom, w.padding.left, w.padding.right}},
          {"dilation", {w.dilation_height, w.dilation_width}}};
}

// The fields of the ops that have more than a window, a bias and an activation.
nlohmann::json own_fields(const Op& op) {
  using nlohmann::json;
  return std::visit(
      overloaded{
          [](const DepthwiseConv2d& d) {
            return json{{"multiplier", d.multiplier}};
          },
          [](const BatchNorm& b) {
            return json{{"epsilon", b.epsilon}};
          },
          [](const Softmax& s) {
            return json{{"beta", s.beta}};
          },
          [](const Mean& m) {
            return json{{"over_height", m.over_height}, {"over_width", m.over_width}};
          },
          [](const Concatenation& c) {
            return json{{"axis", to_string(c.axis)}};
          },
          [](const Pad& p) {
            const Padding& b = p.padding;
            return json{{"padding", {b.top, b.bottom, b.left, b.right}},
                        {"channels", {p.channels_before, p.channels_after}},
                        {"value", p.value}};
          },
          [](const ResizeNearestNeighbor& r) {
            return json{{"align_corners", r.align_corners}, {"half_pixel_centers", r.half_pixel_centers}};
          },
          [](const auto&) { return json::object(); }},
      op);
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

std::string_view to_string(Axis axis) {
  switch (axis) {
    case Axis::height:
      return "height";
    case Axis::width:
      return "width";
    case Axis::channels:
      return "channels";
  }
  return "";
}

std::vector<std::int32_t> nearest_sources(const ResizeNearestNeighbor& op, std::int32_t input_extent,
                                          std::int32_t output_extent) {
  const bool corners = op.align_corners && output_extent > 1;
  const float scale = corners ? static_cast<float>(input_extent - 1) / static_cast<float>(output_extent - 1)
                              : static_cast<float>(input_extent) / static_cast<float>(output_extent);
  const float offset = op.half_pixel_centers ? 0.5F : 0.0F;
  std::vector<std::int32_t> sources;
  for (std::int32_t i = 0; i < output_extent; ++i) {
    const float at = (static_cast<float>(i) + offset) * scale;
    const auto source = static_cast<std::int32_t>(op.align_corners ? std::round(at) : std::floor(at));
    sources.push_back(std::clamp(source, 0, input_extent - 1));
  }
  return sources;
}

bool works_in_place(const Op& op) {
  return std::visit([]<typename T>(const T&) { return AnyOf<T, BatchNorm, Activate, Add, Mul, Reshape>; },
                    op);
}

Window square_window(std::int32_t kernel, std::int32_t stride, std::int32_t padding) {
  return {.kernel_height = kernel,
          .kernel_width = kernel,
          .stride_height = stride,
          .stride_width = stride,
          .padding = {padding, padding, padding, padding}};
}

std::string_view op_name(const Op& op) {
  return std::visit(
      overloaded{[](const Input&) -> std::string_view { return "input"; },
                 [](const Conv2d&) -> std::string_view { return "conv2d"; },
                 [](const DepthwiseConv2d&) -> std::string_view { return "depthwise_conv2d"; },
                 [](const FullyConnected&) -> std::string_view { return "fully_connected"; },
                 [](const BatchNorm&) -> std::string_view { return "batch_norm"; },
                 [](const Activate& a) -> std::string_view {
                   return a.activation == Activation::none ? "quantize" : to_string(a.activation);
                 },
                 [](const Add&) -> std::string_view { return "add"; },
                 [](const Mul&) -> std::string_view { return "mul"; },
                 [](const AveragePool2d&) -> std::string_view { return "average_pool2d"; },
                 [](const MaxPool2d&) -> std::string_view { return "max_pool2d"; },
                 [](const Softmax&) -> std::string_view { return "softmax"; },
                 [](const Mean&) -> std::string_view { return "mean"; },
                 [](const Concatenation&) -> std::string_view { return "concatenation"; },
                 [](const Pad&) -> std::string_view { return "pad"; },
                 [](const Reshape&) -> std::string_view { return "reshape"; },
                 [](const ResizeNearestNeighbor&) -> std::string_view { return "resize_nearest_neighbor"; }},
      op);
}

Shape infer_shape(const Op& op, const std::vector<Shape>& inputs, std::string_view name) {
  const auto [fewest, most] = input_counts(op);
  if (inputs.size() < fewest || inputs.size() > most) {
    refuse(name,
           fmt::format("{} has {} inputs; accepted: {} to {}", op_name(op), inputs.size(), fewest, most));
  }
  return std::visit(
      overloaded{
          [&](const Input& i) { return checked(i.shape.height, i.shape.width, i.shape.channels, name); },
          [&](const Conv2d& c) { return slide(c.window, inputs[0], c.output_channels, name); },
          [&](const DepthwiseConv2d& d) {
            if (d.multiplier < 1 || d.multiplier > kMostExtent)
              refuse(name, fmt::format("found channel multiplier {}; accepted: at least 1", d.multiplier));
            return slide(d.window, inputs[0],
                         checked(1, 1, std::int64_t{inputs[0].channels} * d.multiplier, name).channels, name);
          },
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
          [&](const Softmax&) { return inputs[0]; },
          [&](const Mean& m) {
            return Shape{m.over_height ? 1 : inputs[0].height, m.over_width ? 1 : inputs[0].width,
                         inputs[0].channels};
          },
          [&](const Concatenation& c) { return concatenated(c.axis, inputs, name); },
          [&](const Pad& p) { return padded(p, inputs[0], name); },
          [&](const Reshape& r) {
            const Shape shape = checked(r.shape.height, r.shape.width, r.shape.channels, name);
            if (shape.elements() == inputs[0].elements()) return shape;
            refuse(name, fmt::format("cannot reshape {} to {}; accepted: as many elements",
                                     to_string(inputs[0]), to_string(shape)));
          },
          [&](const ResizeNearestNeighbor& r) {
            return checked(r.height, r.width, inputs[0].channels, name);
          }},
      op);
}

// Messages are made where one is needed: a search verifies thousands of graphs a second.
void verify(const Graph& graph) {
  require(!graph.nodes.empty() && std::holds_alternative<Input>(graph.nodes[0].op), graph,
          "node 0 is not the input");
  std::vector<std::string_view> names;
  std::vector<bool> used(graph.nodes.size(), false);
  std::vector<Shape> shapes;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    names.push_back(node.name);
    if (id != 0 && std::holds_alternative<Input>(node.op)) fail(graph, node.name + " is a second input");
    shapes.clear();
    for (const NodeId from : node.inputs) {
      if (from < 0 || from >= id)
        fail(graph, fmt::format("{} reads node {}, which is not before it", node.name, from));
      used[static_cast<std::size_t>(from)] = true;
      shapes.push_back(graph.node(from).shape);
    }
    if (infer_shape(node.op, shapes, node.name) != node.shape) fail(graph, node.name + " has a wrong shape");
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) fail(graph, fmt::format("two nodes are named '{}'", *twice));
  for (std::size_t i = 0; i + 1 < used.size(); ++i) {
    if (!used[i]) fail(graph, fmt::format("nobody reads {}", graph.nodes[i].name));
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
                            if constexpr (requires { op.activation; })
                              j["activation"] = to_string(op.activation);
                          }},
               node.op);
    j.update(own_fields(node.op));
    nodes.push_back(std::move(j));
  }
  return {{"name", graph.name}, {"nodes", std::move(nodes)}};
}

}  // namespace mcufit
