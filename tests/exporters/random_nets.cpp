// SPDX-License-Identifier: Apache-2.0
#include "tests/exporters/random_nets.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "blocks/weights.h"
#include "tests/exporters/random_graphs.h"

namespace mcufit::testing {
namespace {

constexpr std::int64_t kMostSum = std::numeric_limits<std::int32_t>::max() - 512;  // what verify() accepts

// The output channel that a filter value belongs to, and the input channel it reads.
struct Place {
  std::size_t output, input;
};
Place place_of(const Op& op, const Shape& in, std::int32_t outputs, std::size_t i) {
  const auto channels = static_cast<std::size_t>(in.channels), count = static_cast<std::size_t>(outputs);
  if (const auto* d = std::get_if<DepthwiseConv2d>(&op))
    return {i % count, i % count / static_cast<std::size_t>(d->multiplier)};
  const auto* c = std::get_if<Conv2d>(&op);
  const std::int64_t per_filter = c != nullptr ? c->window.taps() * in.channels : in.elements();
  return {i / static_cast<std::size_t>(per_filter), i % channels};
}

}  // namespace

std::int32_t RandomNet::draw(std::int64_t low, std::int64_t high) {
  return static_cast<std::int32_t>(random_.between(low, high));
}

NodeId RandomNet::input(Shape shape, std::optional<Quantization> output) {
  const Quantization any{static_cast<float>(std::exp2(random_.unit() * 6 - 8)), random_zero_point(random_)};
  graph_.graph.name = "random";
  graph_.graph.nodes.push_back({Input{shape}, {}, shape, "input"});
  graph_.nodes.push_back({.output = output.value_or(any), .filter = {}, .filter_scales = {}, .bias = {}});
  return 0;
}

Quantization RandomNet::output_of(const Op& op, const std::vector<NodeId>& inputs) {
  const Quantization same = graph_.node(inputs[0]).output;
  const Quantization any{static_cast<float>(std::exp2(random_.unit() * 6 - 8)), random_zero_point(random_)};
  return std::visit(
      overloaded{[&](const AveragePool2d&) { return same; }, [&](const MaxPool2d&) { return same; },
                 [&](const Concatenation&) { return same; }, [&](const Pad&) { return same; },
                 [&](const Reshape&) { return same; }, [&](const ResizeNearestNeighbor&) { return same; },
                 [&](const Softmax&) { return kUnitOutput; },
                 [&](const Activate& a) {
                   if (a.activation == Activation::relu6) return same;
                   if (a.activation == Activation::sigmoid) return kUnitOutput;
                   return any;
                 },
                 [&](const auto&) { return any; }},
      op);
}

void RandomNet::fill_biases(NodeId id) {
  QuantizedNode& q = graph_.nodes[static_cast<std::size_t>(id)];
  const Node& node = graph_.graph.node(id);
  if (q.bias.empty()) return;
  std::vector<std::int64_t> sums(q.bias.size());
  for (std::size_t i = 0; i < q.filter.size(); ++i)
    sums[place_of(node.op, shape(node.inputs[0]), node.shape.channels, i).output] += std::abs(q.filter[i]);
  const auto multipliers = channel_multipliers(graph_, id);
  for (std::size_t c = 0; c < q.bias.size(); ++c) {
    const std::int64_t most = (kMostSum >> std::max(multipliers[c].shift, 0)) - 256 * sums[c];
    const std::int64_t usual = std::min(most, std::int64_t{1} << random_.between(0, 20));
    if (happens(0.1) || happens(planted_)) {  // as near to overflow as it may be
      q.bias[c] = static_cast<std::int32_t>(happens(0.5) ? most : -most);
    } else {
      q.bias[c] = draw(-usual, usual);
    }
  }
}

void RandomNet::plant(NodeId id) {
  QuantizedNode& q = graph_.nodes[static_cast<std::size_t>(id)];
  const Node& node = graph_.graph.node(id);
  const Shape& in = shape(node.inputs[0]);
  std::vector<bool> dead_outputs(static_cast<std::size_t>(node.shape.channels));
  std::vector<bool> dead_inputs(static_cast<std::size_t>(in.channels));
  for (std::size_t c = 0; c < dead_outputs.size(); ++c) dead_outputs[c] = happens(planted_);
  for (std::size_t c = 0; c < dead_inputs.size(); ++c) dead_inputs[c] = happens(planted_);
  for (std::size_t i = 0; i < q.filter.size(); ++i) {
    const Place place = place_of(node.op, in, node.shape.channels, i);
    if (dead_outputs[place.output] || dead_inputs[place.input]) q.filter[i] = 0;
  }
  for (std::size_t c = 0; c < q.bias.size(); ++c)
    if (dead_outputs[c] && happens(0.5)) q.bias[c] = 0;
}

void RandomNet::fill(NodeId id) {
  const NodeWeights lengths = zero_weights(graph_.graph).nodes[static_cast<std::size_t>(id)];
  if (lengths.filter.empty()) return;
  QuantizedNode& q = graph_.nodes[static_cast<std::size_t>(id)];
  const std::int32_t channels = shape(id).channels;
  const float input_scale = graph_.node(graph_.graph.node(id).inputs[0]).output.scale;
  for (std::size_t i = 0; i < lengths.filter.size(); ++i)
    q.filter.push_back(static_cast<std::int8_t>(draw(-127, 127)));
  // From sums that all vanish to sums that all saturate.
  const auto taps = static_cast<double>(lengths.filter.size()) / channels;
  const double size = std::exp2(random_.unit() * 8 - 11) / std::sqrt(taps);
  for (std::int32_t c = 0; c < channels; ++c) {
    const double multiplier =
        random_.below(8) == 0 ? std::exp2(random_.between(-3, 3)) : size * (0.5 + random_.unit());
    q.filter_scales.push_back(static_cast<float>(multiplier * double{q.output.scale} / double{input_scale}));
  }
  q.bias.resize(lengths.bias.size());
  if (planted_ > 0) plant(id);
  fill_biases(id);
}

NodeId RandomNet::append(const Op& op, std::vector<NodeId> inputs, std::optional<Quantization> output) {
  std::vector<Shape> shapes;
  for (const NodeId from : inputs) shapes.push_back(shape(from));
  const NodeId id = graph_.graph.size();
  const std::string name = std::string(op_name(op)) + "_" + std::to_string(id);
  const Quantization q = output ? *output : output_of(op, inputs);
  graph_.graph.nodes.push_back({op, std::move(inputs), infer_shape(op, shapes, name), name});
  graph_.nodes.push_back({.output = q, .filter = {}, .filter_scales = {}, .bias = {}});
  fill(id);
  return id;
}

NodeId RandomNet::conv1x1(NodeId x, std::int32_t channels, std::optional<Quantization> output) {
  const Conv2d op{.output_channels = channels,
                  .window = {},
                  .bias = random_.below(4) != 0,
                  .activation = random_activation(random_)};
  return append(op, {x}, output);
}

NodeId RandomNet::gated(NodeId x) {
  NodeId gate = append(Mean{}, {x});
  gate = conv1x1(gate, shape(x).channels);
  if (random_.below(2) == 0) gate = append(Activate{Activation::sigmoid}, {gate});
  return append(Mul{random_activation(random_)}, {x, gate});
}

NodeId RandomNet::activated(NodeId x) {
  constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::relu6,
                                         Activation::sigmoid, Activation::hard_swish};
  const Activation activation = kActivations[random_.below(5)];
  const Quantization in = graph_.node(x).output;
  if (activation == Activation::relu && random_.below(2) == 0) return append(Activate{activation}, {x}, in);
  if (activation == Activation::none && random_.below(2) == 0) return append(Activate{activation}, {x}, in);
  if (activation != Activation::hard_swish) return append(Activate{activation}, {x});
  const double ratio = std::exp2(random_.unit() * 10 - 5);
  return append(Activate{activation}, {x},
                Quantization{static_cast<float>(ratio * double{in.scale}), random_zero_point(random_)});
}

NodeId RandomNet::concatenated(NodeId x) {
  const auto axis = static_cast<Axis>(random_.below(3));
  const Quantization in = graph_.node(x).output;
  std::vector<NodeId> parts{x};
  for (std::uint64_t more = random_.below(3); more > 0; --more)
    parts.push_back(conv1x1(x, axis == Axis::channels ? draw(1, 6) : shape(x).channels, in));
  if (random_.below(2) == 0) std::reverse(parts.begin(), parts.end());
  return append(Concatenation{axis}, parts);
}

NodeId RandomNet::padded(NodeId x) {
  Pad pad{.padding = {draw(0, 2), draw(0, 2), draw(0, 2), draw(0, 2)}};
  if (random_.below(3) == 0) pad.channels_before = draw(0, 3);
  if (random_.below(3) == 0) pad.channels_after = draw(0, 3);
  if (random_.below(2) == 0) pad.value = static_cast<float>(random_.unit() * 8 - 4);
  return append(pad, {x});
}

NodeId RandomNet::resized(NodeId x) {
  ResizeNearestNeighbor op{draw(1, 12), draw(1, 12)};
  op.align_corners = random_.below(3) == 0;
  op.half_pixel_centers = !op.align_corners && random_.below(2) == 0;
  return append(op, {x});
}

NodeId RandomNet::append_random(int kind, NodeId x) {
  const Shape in = shape(x);
  Window window = random_window(random_, in);
  const Activation activation = random_activation(random_);
  const bool bias = random_.below(4) != 0;
  if (random_.below(3) == 0 && window.span_height() * 2 <= in.height) window.dilation_height = 2;
  if (random_.below(3) == 0 && window.span_width() * 2 <= in.width) window.dilation_width = 2;
  switch (kind) {
    case 0:
    case 1:
      return append(Conv2d{draw(1, 9), window, bias, activation}, {x});
    case 2:
    case 3:
      return append(DepthwiseConv2d{window, bias, activation, random_.below(3) == 0 ? draw(2, 3) : 1}, {x});
    case 4:
      return activated(x);
    case 5:
      return append(Add{activation}, {conv1x1(x, in.channels), x});
    case 6:
      return gated(x);
    case 7:
      return append(Mul{activation}, {x, conv1x1(x, in.channels)});
    case 8:
      window.dilation_height = window.dilation_width = 1;
      return append(AveragePool2d{window, activation}, {x});
    case 9:
      window.dilation_height = window.dilation_width = 1;
      return append(MaxPool2d{window, activation}, {x});
    case 10:
      return concatenated(x);
    case 11:
      return padded(x);
    case 12:
      return resized(x);
    case 13:
      return append(Reshape{{in.width, in.height, in.channels}}, {x});
    case 14:
      return append(Mean{random_.below(2) == 0, true}, {x});
    case 15:
      return append(Softmax{}, {x});
    case 16:
      return append(FullyConnected{draw(1, 9), bias, activation}, {x});
    case 17:
      return append(Add{activation}, {x, x});
    default:
      std::abort();
  }
}

QuantizedGraph RandomNet::finish() {
  verify(graph_);
  return graph_;
}

QuantizedGraph random_case(Random& random, int kind) {
  RandomNet net(random);
  net.append_random(kind, net.input(random_shape(random, 9, 21)));
  return net.finish();
}

QuantizedGraph random_net(Random& random, int ops, double planted) {
  RandomNet net(random, planted);
  NodeId x = net.input(random_shape(random, 9, 6));
  for (int i = 0; i < ops; ++i) {
    const auto kind = static_cast<int>(random.below(RandomNet::kKinds));
    const bool shrinks = kind >= 13 && kind <= 16;  // such ops leave little behind them
    if (!shrinks || i + 2 >= ops) x = net.append_random(kind, x);
  }
  if (x == 0) net.append_random(0, x);
  return net.finish();
}

QuantizedGraph random_column_net(Random& random, int ops) {
  constexpr int kColumnKinds[] = {0, 2, 4, 5, 7, 8, 9, 17};
  RandomNet net(random);
  Shape shape = random_shape(random, 9, 5);
  shape.width = static_cast<std::int32_t>(random.between(5, 16));
  NodeId x = net.input(shape);
  for (int i = 0; i < ops; ++i) x = net.append_random(kColumnKinds[random.below(std::size(kColumnKinds))], x);
  if (x == 0) net.append_random(0, x);
  return net.finish();
}

}  // namespace mcufit::testing
