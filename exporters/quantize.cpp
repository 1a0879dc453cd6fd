// SPDX-License-Identifier: Apache-2.0
#include "exporters/quantize.h"

#include <fmt/format.h>
#include <tbb/blocked_range.h>
#include <tbb/parallel_reduce.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "blocks/float_interpreter.h"
#include "blocks/foundation/error.h"

namespace mcufit {
namespace {

constexpr double kSteps = 255;  // between the least and the greatest int8
constexpr double kMostFilterValue = 127;
// Biases stay below 2^29 so that bias and products together fit 32 bits.
constexpr double kMostBias = 1 << 29;
// Where a channel's filter is all zeros its scale only has to express the bias, with more than enough
// precision.
constexpr double kFineBias = 1 << 24;

Ranges merged(Ranges a, const Ranges& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = {std::min(a[i].minimum, b[i].minimum), std::max(a[i].maximum, b[i].maximum)};
  }
  return a;
}

void widen(Ranges& ranges, const Lowered& lowered, const std::vector<float>& sample) {
  const auto values = interpret(lowered.graph, lowered.weights, sample);
  for (std::size_t id = 0; id < values.size(); ++id) {
    for (const float value : values[id]) {
      ranges[id].minimum = std::min(ranges[id].minimum, value);
      ranges[id].maximum = std::max(ranges[id].maximum, value);
    }
  }
}

// Zero must be exact, since padding and relu produce it: the zero point is rounded and the scale kept.
// `least_scale` is what keeps integer arithmetic from overflowing; it matters only for outputs that are
// (nearly) always zero.
Quantization activation_quantization(const Node& node, const Range& range, double least_scale) {
  const double minimum = std::min(double{range.minimum}, 0.0);
  const double maximum = std::max(double{range.maximum}, 0.0);
  if (!std::isfinite(minimum) || !std::isfinite(maximum)) {
    throw Error(ExitCode::input,
                fmt::format("{}: found the range [{}, {}]; accepted: finite numbers; try other weights "
                            "or samples",
                            node.name, range.minimum, range.maximum));
  }
  const double observed = (maximum - minimum) / kSteps;
  const bool dead = observed < double{std::numeric_limits<float>::min()};
  const auto scale = static_cast<float>(std::max(dead ? 1.0 : observed, least_scale));
  const double zero_point = std::round(-128 - minimum / double{scale});
  return {scale, static_cast<std::int32_t>(std::clamp(zero_point, -128.0, 127.0))};
}

// Where the values of one output channel stand in a filter: filter[first + i * stride], i < count.
struct ChannelSlice {
  std::size_t first, stride, count;
};

ChannelSlice channel_slice(const Node& node, std::size_t filter_size, std::size_t channel) {
  const auto channels = static_cast<std::size_t>(node.shape.channels);
  const std::size_t count = filter_size / channels;
  if (std::holds_alternative<DepthwiseConv2d>(node.op)) return {channel, channels, count};
  return {channel * count, 1, count};
}

double filter_scale(double largest, double bias, double input_scale) {
  if (largest == 0 && bias == 0) return 1.0;
  const double most_bias = largest == 0 ? kFineBias : kMostBias;
  const double least = std::abs(bias) / (input_scale * most_bias);
  return std::max({largest / kMostFilterValue, least, double{std::numeric_limits<float>::min()}});
}

double bias_of(const NodeWeights& weights, std::size_t channel) {
  return weights.bias.empty() ? 0.0 : double{weights.bias[channel]};
}

// The scale that suits one output channel.
float channel_scale(const NodeWeights& weights, const ChannelSlice& slice, std::size_t channel,
                    double input_scale) {
  double largest = 0;
  for (std::size_t i = 0; i < slice.count; ++i) {
    largest = std::max(largest, std::abs(double{weights.filter[slice.first + i * slice.stride]}));
  }
  return static_cast<float>(filter_scale(largest, bias_of(weights, channel), input_scale));
}

// Quantizes one output channel, whose filter scale is set; returns the output scale below which its sums
// could overflow when rescaled.
double quantize_channel(const NodeWeights& weights, const ChannelSlice& slice, std::size_t channel,
                        double input_scale, QuantizedNode& out) {
  const double bias = bias_of(weights, channel);
  const float scale = out.filter_scales[channel];
  double bound =
      1 + std::abs(bias) / (input_scale * double{scale});  // 1: a dead channel's multiplier is bounded too
  for (std::size_t i = 0; i < slice.count; ++i) {
    const std::size_t at = slice.first + i * slice.stride;
    const double value = std::round(double{weights.filter[at]} / double{scale});
    out.filter[at] = static_cast<std::int8_t>(std::clamp(value, -kMostFilterValue, kMostFilterValue));
    bound += 256 * std::abs(value);
  }
  if (!out.bias.empty())
    out.bias[channel] = static_cast<std::int32_t>(std::round(bias / (input_scale * double{scale})));
  return bound * input_scale * double{scale} / kMostBias;
}

QuantizedNode quantize_weighted(const Node& node, const NodeWeights& weights, const Range& range,
                                double input_scale) {
  QuantizedNode out;
  const auto channels = static_cast<std::size_t>(node.shape.channels);
  out.filter.resize(weights.filter.size());
  out.bias.resize(weights.bias.size());
  const auto slice = [&](std::size_t c) { return channel_slice(node, weights.filter.size(), c); };
  for (std::size_t c = 0; c < channels; ++c)
    out.filter_scales.push_back(channel_scale(weights, slice(c), c, input_scale));
  // TensorFlow Lite knows one scale for a fully-connected layer's whole filter.
  out.one_filter_scale = std::holds_alternative<FullyConnected>(node.op);
  if (out.one_filter_scale)
    out.filter_scales.assign(channels, *std::max_element(out.filter_scales.begin(), out.filter_scales.end()));
  double least_scale = 0;
  for (std::size_t c = 0; c < channels; ++c)
    least_scale = std::max(least_scale, quantize_channel(weights, slice(c), c, input_scale, out));
  out.output = activation_quantization(node, range, least_scale);
  return out;
}

QuantizedNode quantize_add(const Node& node, const Range& range, double scale1, double scale2) {
  const double least_scale = std::max(scale1, scale2) * 0x1p-18;  // the output multiplier must be below one
  return {.output = activation_quantization(node, range, least_scale),
          .filter = {},
          .filter_scales = {},
          .bias = {}};
}

QuantizedNode unweighted(Quantization output) {
  return {.output = output, .filter = {}, .filter_scales = {}, .bias = {}};
}

// Ops that copy bytes, so that input and output have one scale.
bool keeps_scale(const Op& op) {
  const auto* activate = std::get_if<Activate>(&op);
  if (activate != nullptr) return activate->activation == Activation::relu6;
  return std::visit(
      []<typename T>(const T&) {
        return AnyOf<T, AveragePool2d, MaxPool2d, Concatenation, Pad, Reshape, ResizeNearestNeighbor>;
      },
      op);
}

// Gives all nodes that copy from each other one range: what any of them was seen to hold.
Ranges shared_ranges(const Graph& graph, Ranges ranges) {
  const auto share = [&](Range& a, Range& b) {
    const Range both{std::min(a.minimum, b.minimum), std::max(a.maximum, b.maximum)};
    const bool changed = a != both || b != both;
    a = b = both;
    return changed;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (NodeId id = 1; id < graph.size(); ++id) {
      if (!keeps_scale(graph.node(id).op)) continue;
      for (const NodeId from : graph.node(id).inputs)
        changed |= share(ranges[static_cast<std::size_t>(id)], ranges[static_cast<std::size_t>(from)]);
    }
  }
  return ranges;
}

}  // namespace

Ranges observe_ranges(const Lowered& lowered, const std::vector<std::vector<float>>& samples) {
  using Samples = tbb::blocked_range<std::size_t>;
  return tbb::parallel_reduce(
      Samples(0, samples.size()), Ranges(lowered.graph.nodes.size()),
      [&](const Samples& part, Ranges ranges) {
        for (std::size_t i = part.begin(); i != part.end(); ++i) widen(ranges, lowered, samples[i]);
        return ranges;
      },
      merged);
}

QuantizedGraph quantize(const Lowered& lowered, const Ranges& observed, Quantization input) {
  if (observed.size() != lowered.graph.nodes.size()) {
    throw Error(ExitCode::input,
                fmt::format("{}: found {} ranges; accepted: {}, one per node", lowered.graph.name,
                            observed.size(), lowered.graph.nodes.size()));
  }
  if (!std::isnormal(input.scale) || input.scale < 0) {
    throw Error(ExitCode::input, fmt::format("{}: found input scale {}; accepted: a finite number above 0",
                                             lowered.graph.name, input.scale));
  }
  const Ranges ranges = shared_ranges(lowered.graph, observed);
  QuantizedGraph out{lowered.graph, {}};
  for (NodeId id = 0; id < lowered.graph.size(); ++id) {
    const Node& node = lowered.graph.node(id);
    const Range& range = ranges[static_cast<std::size_t>(id)];
    const NodeWeights& weights = lowered.weights.nodes[static_cast<std::size_t>(id)];
    const auto scale = [&](std::size_t i) { return double{out.node(node.inputs[i]).output.scale}; };
    const auto weighted = [&] { return quantize_weighted(node, weights, range, scale(0)); };
    const auto as_input = [&] { return unweighted(out.node(node.inputs[0]).output); };
    const auto own = [&](double least) { return unweighted(activation_quantization(node, range, least)); };
    out.nodes.push_back(std::visit(
        overloaded{[&](const Input&) { return unweighted(input); }, [&](const Conv2d&) { return weighted(); },
                   [&](const DepthwiseConv2d&) { return weighted(); },
                   [&](const FullyConnected&) { return weighted(); },
                   [&](const Add&) { return quantize_add(node, range, scale(0), scale(1)); },
                   [&](const AveragePool2d&) { return as_input(); },
                   [&](const MaxPool2d&) { return as_input(); }, [&](const Pad&) { return as_input(); },
                   [&](const Concatenation&) { return as_input(); },
                   [&](const Reshape&) { return as_input(); },
                   [&](const ResizeNearestNeighbor&) { return as_input(); },
                   [&](const Softmax&) { return unweighted(kUnitOutput); },
                   [&](const Mul&) { return own(scale(0) * scale(1) * 0x1p-14); },
                   [&](const Mean&) { return own(scale(0) * 0x1p-14); },
                   [&](const Activate& a) {
                     if (a.activation == Activation::relu6) return as_input();
                     if (a.activation == Activation::sigmoid || a.activation == Activation::hard_sigmoid)
                       return unweighted(kUnitOutput);
                     return own(scale(0) * 0x1p-6);
                   },
                   [&](const BatchNorm&) { return own(0); }},  // verify() below refuses it
        node.op));
  }
  verify(out);
  return out;
}

}  // namespace mcufit
