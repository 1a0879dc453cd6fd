// SPDX-License-Identifier: Apache-2.0
#include "blocks/graph_json.h"

#include <fmt/format.h>

#include <limits>

#include "blocks/foundation/json_reader.h"

namespace mcufit {
namespace {

constexpr std::int64_t kMostExtent = 32767;
constexpr std::size_t kMostNodes = 65536;
constexpr std::size_t kMostInputs = 64;
constexpr NumberRange kFloats{-std::numeric_limits<float>::max(), std::numeric_limits<float>::max()};

constexpr Activation kActivations[] = {Activation::none,       Activation::relu,    Activation::relu6,
                                       Activation::hard_swish, Activation::sigmoid, Activation::hard_sigmoid};
constexpr Axis kAxes[] = {Axis::height, Axis::width, Axis::channels};

// The value of `all` that is written as `text`; the first where the text was no choice.
template <typename T, std::size_t N>
T named(const T (&all)[N], const std::string& text) {
  for (const T value : all)
    if (to_string(value) == text) return value;
  return all[0];
}

template <typename T, std::size_t N>
std::vector<std::string> names(const T (&all)[N]) {
  std::vector<std::string> result;
  for (const T value : all) result.emplace_back(to_string(value));
  return result;
}

// `count` extents; zeros where there is something else, since the reader goes on after a fault.
std::vector<std::int32_t> extents(ObjectReader& reader, std::string_view key, std::int64_t least,
                                  std::size_t count, std::string_view meaning) {
  std::vector<std::int32_t> result;
  for (const std::int64_t value : reader.integers(key, {least, kMostExtent}, count, count, meaning))
    result.push_back(static_cast<std::int32_t>(value));
  result.resize(count);
  return result;
}

Window read_window(ObjectReader& reader) {
  const auto kernel = extents(reader, "kernel", 1, 2, "height and width in taps");
  const auto stride = extents(reader, "stride", 1, 2, "rows and columns from one output to the next");
  const auto padding = extents(reader, "padding", 0, 4, "top, bottom, left, right");
  const auto dilation = extents(reader, "dilation", 1, 2, "rows and columns from tap to tap");
  return {kernel[0],   kernel[1],  stride[0], stride[1], {padding[0], padding[1], padding[2], padding[3]},
          dilation[0], dilation[1]};
}

// An op of each name that may stand in a file; `activate` is written as its activation.
std::vector<Op> prototypes() {
  std::vector<Op> all = {Input{},
                         Conv2d{},
                         DepthwiseConv2d{},
                         FullyConnected{},
                         BatchNorm{},
                         Add{},
                         Mul{},
                         AveragePool2d{},
                         MaxPool2d{},
                         Softmax{},
                         Mean{},
                         Concatenation{},
                         Pad{},
                         Reshape{},
                         ResizeNearestNeighbor{}};
  for (const Activation activation : kActivations) all.emplace_back(Activate{activation});
  return all;
}

Op prototype(const std::string& name) {
  for (const Op& op : prototypes())
    if (op_name(op) == name) return op;
  return Input{};
}

std::vector<std::string> op_names() {
  std::vector<std::string> result;
  for (const Op& op : prototypes()) result.emplace_back(op_name(op));
  return result;
}

float read_float(ObjectReader& reader, std::string_view key, std::string_view meaning) {
  return static_cast<float>(reader.number(key, kFloats, meaning));
}

// The fields that an op has besides window, bias and activation.
void read_own(ObjectReader& reader, const Shape& shape, Op& op) {
  std::visit(
      overloaded{[&](Input& i) { i.shape = shape; }, [&](Conv2d& c) { c.output_channels = shape.channels; },
                 [&](FullyConnected& f) { f.output_channels = shape.channels; },
                 [&](Reshape& r) { r.shape = shape; },
                 [&](DepthwiseConv2d& d) {
                   d.multiplier = static_cast<std::int32_t>(
                       reader.integer("multiplier", {1, kMostExtent}, "output channels per input channel"));
                 },
                 [&](BatchNorm& b) { b.epsilon = read_float(reader, "epsilon", "added to the variance"); },
                 [&](Softmax& s) { s.beta = read_float(reader, "beta", "factor of the exponents"); },
                 [&](Mean& m) {
                   m.over_height = reader.boolean("over_height", "average over rows");
                   m.over_width = reader.boolean("over_width", "average over columns");
                 },
                 [&](Concatenation& c) {
                   c.axis = named(kAxes, reader.choice("axis", names(kAxes), "where inputs are joined"));
                 },
                 [&](Pad& p) {
                   const auto b = extents(reader, "padding", 0, 4, "top, bottom, left, right");
                   const auto c = extents(reader, "channels", 0, 2, "before and after");
                   p = {{b[0], b[1], b[2], b[3]}, c[0], c[1], read_float(reader, "value", "the border's")};
                 },
                 [&](ResizeNearestNeighbor& r) {
                   r.height = shape.height;
                   r.width = shape.width;
                   r.align_corners = reader.boolean("align_corners", "corners map to corners");
                   r.half_pixel_centers = reader.boolean("half_pixel_centers", "pixels have centers");
                 },
                 [](const auto&) {}},
      op);
}

Node read_node(ObjectReader& reader) {
  Node node;
  node.name = reader.string("name", "unique in the graph");
  node.op = prototype(reader.choice("op", op_names(), "what the node computes"));
  for (const std::int64_t input : reader.integers("inputs", {0, kMostNodes}, 0, kMostInputs, "nodes before"))
    node.inputs.push_back(static_cast<NodeId>(input));
  const auto shape = extents(reader, "shape", 1, 3, "height, width and channels of the output");
  node.shape = {shape[0], shape[1], shape[2]};
  std::visit(overloaded{[](const Input&) {},
                        [&](auto& op) {
                          if constexpr (requires { op.window; }) op.window = read_window(reader);
                          if constexpr (requires { op.bias; })
                            op.bias = reader.boolean("bias", "adds a bias");
                          if constexpr (requires { op.activation; })
                            op.activation =
                                named(kActivations,
                                      reader.choice("activation", names(kActivations), "applied at the end"));
                        }},
             node.op);
  read_own(reader, node.shape, node.op);
  return node;
}

Graph read_form(ObjectReader& reader) {
  Graph graph;
  graph.name = reader.string("name", "of the network");
  graph.nodes =
      reader.objects<Node>("nodes", 1, kMostNodes, "in an order of execution, the input first", read_node);
  return graph;
}

}  // namespace

Graph read_graph(const JsonDocument& document) {
  try {
    Graph graph = read_config<Graph>(document, read_form);
    verify(graph);
    return graph;
  } catch (const ConfigError& error) {
    throw Error(ExitCode::input, error.what());
  } catch (const Error& error) {  // a broken invariant of ours elsewhere, here a wrong file
    throw Error(ExitCode::input,
                fmt::format("{}: {}; accepted: graphs as mcufit writes them", document.name(), error.what()));
  }
}

}  // namespace mcufit
