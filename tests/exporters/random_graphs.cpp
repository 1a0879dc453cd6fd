// SPDX-License-Identifier: Apache-2.0
#include "tests/exporters/random_graphs.h"

#include <algorithm>
#include <cmath>

#include "blocks/weights.h"
#include "tests/random_seed.h"

namespace mcufit::testing {
namespace {

std::int32_t draw(Random& random, std::int64_t low, std::int64_t high) {
  return static_cast<std::int32_t>(random.between(low, high));
}

float random_scale(Random& random) { return static_cast<float>(std::exp2(random.unit() * 6 - 8)); }

// Makes some biases as large as verify() lets them be: sums up to the edge of int32, left shift included.
void push_to_the_edge(Random& random, QuantizedGraph& graph, NodeId id) {
  QuantizedNode& q = graph.nodes[static_cast<std::size_t>(id)];
  if (q.bias.empty() || random.below(4) != 0) return;
  const bool depthwise = std::holds_alternative<DepthwiseConv2d>(graph.graph.node(id).op);
  const std::size_t per_channel = q.filter.size() / q.bias.size();
  std::vector<std::int64_t> sums(q.bias.size());
  for (std::size_t i = 0; i < q.filter.size(); ++i)
    sums[depthwise ? i % sums.size() : i / per_channel] += 256 * std::abs(std::int64_t{q.filter[i]});
  const std::vector<FixedPoint> multipliers = channel_multipliers(graph, id);
  for (std::size_t c = 0; c < q.bias.size(); ++c) {
    const std::int64_t most = (INT32_MAX - 512) >> std::max(multipliers[c].shift, 0);
    if (most > sums[c] && random.below(2) == 0)
      q.bias[c] = static_cast<std::int32_t>((most - sums[c]) * (random.below(2) == 0 ? 1 : -1));
  }
}

void fill_weighted(Random& random, QuantizedGraph& graph, NodeId id) {
  const Weights lengths = zero_weights(graph.graph);
  const NodeWeights& expected = lengths.nodes[static_cast<std::size_t>(id)];
  QuantizedNode& q = graph.nodes[static_cast<std::size_t>(id)];
  const float input_scale = graph.node(graph.graph.node(id).inputs[0]).output.scale;
  // From sums that all saturate to sums that all vanish, about half of them in between.
  const double size = std::exp2(random.unit() * 12 - 11);
  for (std::size_t i = 0; i < expected.filter.size(); ++i) {
    q.filter.push_back(static_cast<std::int8_t>(random.between(-127, 127)));
  }
  for (std::int32_t c = 0; c < graph.graph.node(id).shape.channels; ++c) {
    const double multiplier =
        random.below(8) == 0 ? std::exp2(random.between(-3, 3)) : size * (0.5 + random.unit());
    q.filter_scales.push_back(static_cast<float>(multiplier * double{q.output.scale} / double{input_scale}));
    if (!expected.bias.empty()) {
      const std::int64_t most = std::int64_t{1} << random.between(0, 20);
      q.bias.push_back(draw(random, -most, most));
    }
  }
  push_to_the_edge(random, graph, id);
}

Node make_node(const Op& op, std::vector<NodeId> inputs, const std::vector<Shape>& shapes, std::string name) {
  const Shape shape = infer_shape(op, shapes, name);
  return {op, std::move(inputs), shape, std::move(name)};
}

QuantizedNode random_output(Random& random) {
  return {.output = {random_scale(random), random_zero_point(random)},
          .filter = {},
          .filter_scales = {},
          .bias = {}};
}

// The scale that the op must have, or its filter.
void set_output(Random& random, QuantizedGraph& graph, NodeId id) {
  Quantization& output = graph.nodes[static_cast<std::size_t>(id)].output;
  const Quantization& input = graph.node(graph.graph.node(id).inputs[0]).output;
  const auto activate = [&](const Activate& a) {
    if (a.activation == Activation::relu6) output = input;
    if (a.activation == Activation::sigmoid || a.activation == Activation::hard_sigmoid) output = kUnitOutput;
  };
  const auto weighted = [&](const auto&) { fill_weighted(random, graph, id); };
  std::visit(
      overloaded{[&](const Conv2d& op) { weighted(op); }, [&](const DepthwiseConv2d& op) { weighted(op); },
                 [&](const FullyConnected& op) { weighted(op); }, activate,
                 [&](const Softmax&) { output = kUnitOutput; },
                 [&]<typename T>(const T&) {
                   if constexpr (AnyOf<T, AveragePool2d, MaxPool2d, Concatenation, Pad, Reshape,
                                       ResizeNearestNeighbor>)
                     output = input;
                 }},
      graph.graph.node(id).op);
}

void append(Random& random, QuantizedGraph& graph, const Op& op, std::vector<NodeId> inputs) {
  std::vector<Shape> shapes;
  for (const NodeId id : inputs) shapes.push_back(graph.graph.node(id).shape);
  graph.graph.nodes.push_back(
      make_node(op, std::move(inputs), shapes, "node" + std::to_string(graph.graph.size())));
  graph.nodes.push_back(random_output(random));
  if (graph.graph.size() > 1) set_output(random, graph, graph.graph.size() - 1);
}

}  // namespace

QuantizedGraph mul_graph(Random& random, Shape input, bool broadcast, Activation activation) {
  QuantizedGraph graph;
  graph.graph.name = "scaled";
  append(random, graph, Input{input}, {});
  if (broadcast) {
    append(random, graph, Mean{}, {0});
  } else {
    append(random, graph, Activate{Activation::sigmoid}, {0});
  }
  append(random, graph, Mul{activation}, {0, 1});
  verify(graph);
  return graph;
}

QuantizedGraph concatenation_graph(Random& random, Shape input, Axis axis) {
  QuantizedGraph graph;
  graph.graph.name = "joined";
  append(random, graph, Input{input}, {});
  Pad longer;
  if (axis == Axis::height) longer.padding.top = draw(random, 0, 3);
  if (axis == Axis::width) longer.padding.right = draw(random, 0, 3);
  if (axis == Axis::channels) longer.channels_before = draw(random, 0, 3);
  append(random, graph, longer, {0});
  std::vector<NodeId> inputs{0, 1};
  if (random.below(2) == 0) inputs.push_back(0);
  append(random, graph, Concatenation{axis}, inputs);
  verify(graph);
  return graph;
}

std::uint64_t test_seed() { return seed(); }

std::string case_name(std::uint64_t seed, int index) {
  return "--gtest_random_seed=" + std::to_string(seed) + ", case " + std::to_string(index);
}

std::vector<std::int8_t> random_bytes(Random& random, std::int64_t count) {
  std::vector<std::int8_t> bytes(static_cast<std::size_t>(count));
  for (auto& byte : bytes) byte = static_cast<std::int8_t>(random.between(-128, 127));
  return bytes;
}

std::int32_t random_zero_point(Random& random) {
  switch (random.below(4)) {
    case 0:
      return -128;
    case 1:
      return 127;
    case 2:
      return 0;
    default:
      return draw(random, -128, 127);
  }
}

Window random_window(Random& random, Shape input) {
  Window w;
  w.kernel_height = draw(random, 1, 5);
  w.kernel_width = draw(random, 1, 5);
  w.padding = {draw(random, 0, w.kernel_height - 1), draw(random, 0, w.kernel_height - 1),
               draw(random, 0, w.kernel_width - 1), draw(random, 0, w.kernel_width - 1)};
  if (random.below(3) == 0) w.padding = {};
  w.stride_height = draw(random, 1, 3);
  w.stride_width = draw(random, 1, 3);
  w.kernel_height = std::min(w.kernel_height, input.height + w.padding.top + w.padding.bottom);
  w.kernel_width = std::min(w.kernel_width, input.width + w.padding.left + w.padding.right);
  w.padding.top = std::min(w.padding.top, w.kernel_height - 1);
  w.padding.bottom = std::min(w.padding.bottom, w.kernel_height - 1);
  w.padding.left = std::min(w.padding.left, w.kernel_width - 1);
  w.padding.right = std::min(w.padding.right, w.kernel_width - 1);
  w.kernel_height = std::min(w.kernel_height, input.height + w.padding.top + w.padding.bottom);
  w.kernel_width = std::min(w.kernel_width, input.width + w.padding.left + w.padding.right);
  return w;
}

Shape random_shape(Random& random, std::int32_t most_extent, std::int32_t most_channels) {
  return {draw(random, 1, most_extent), draw(random, 1, most_extent), draw(random, 1, most_channels)};
}

Activation random_activation(Random& random) {
  constexpr Activation kSupported[] = {Activation::none, Activation::relu, Activation::relu6};
  return kSupported[random.below(3)];
}

QuantizedGraph single_op_graph(Random& random, Shape input, const Op& op) {
  QuantizedGraph graph;
  graph.graph.name = "single_op";
  graph.graph.nodes.push_back(make_node(Input{input}, {}, {}, "input"));
  graph.graph.nodes.push_back(make_node(op, {0}, {input}, "op"));
  graph.nodes = {random_output(random), random_output(random)};
  set_output(random, graph, 1);
  verify(graph);
  return graph;
}

QuantizedGraph add_graph(Random& random, Shape input, Activation activation) {
  QuantizedGraph graph;
  graph.graph.name = "residual";
  const Conv2d conv{.output_channels = input.channels, .window = square_window(1, 1, 0), .bias = true};
  graph.graph.nodes.push_back(make_node(Input{input}, {}, {}, "input"));
  graph.graph.nodes.push_back(make_node(conv, {0}, {input}, "conv"));
  graph.graph.nodes.push_back(make_node(Add{activation}, {1, 0}, {input, input}, "add"));
  graph.nodes = {random_output(random), random_output(random), random_output(random)};
  if (random.below(4) == 0)  // neither input is shifted
    graph.nodes[0].output.scale = graph.nodes[1].output.scale;
  fill_weighted(random, graph, 1);
  verify(graph);
  return graph;
}

}  // namespace mcufit::testing
