// SPDX-License-Identifier: Apache-2.0
#include "blocks/quantized_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "blocks/foundation/error.h"
#include "blocks/weights.h"

namespace mcufit {
namespace {

// Leaves room for the zero point, which is added to the rescaled sum.
constexpr std::int64_t kMostSum = std::numeric_limits<std::int32_t>::max() - 512;

// So that sums over a pooling window of int8 fit 32 bits.
constexpr std::int64_t kMostPooledPixels = std::int64_t{1} << 23;

// Of the differences that a softmax exponentiates: TensorFlow Lite's kScaledDiffIntegerBits.
constexpr int kSoftmaxIntegerBits = 5;

// So that dividing by the sum of their exponentials, each at most 1, needs no shift beyond 31 bits.
constexpr std::int32_t kMostSoftmaxChannels = 511;

[[noreturn]] void refuse(const Node& node, const std::string& message) {
  throw Error(ExitCode::input, fmt::format("{} ({}): {}", node.name, op_name(node.op), message));
}

constexpr SupportedOp kSupportedOps[] = {
    {"conv2d", "any kernel, stride, dilation and padding; one group; relu, relu6 fused"},
    {"depthwise_conv2d", "the same, with any channel multiplier"},
    {"fully_connected", "over the flattened input; relu, relu6 fused"},
    {"add", "two inputs of one shape; relu, relu6 fused"},
    {"mul", "two inputs of one shape, or the second 1x1xC; relu, relu6 fused"},
    {"average_pool2d", "padding not averaged; output scale as input; relu, relu6 fused"},
    {"max_pool2d", "output scale as input; relu, relu6 fused"},
    {"mean", "over height, width or both"},
    {"concatenation", "up to 64 inputs along height, width or channels, all of the output's scale"},
    {"pad", "any border and value; output scale as input"},
    {"reshape", "output scale as input"},
    {"resize_nearest_neighbor", "output scale as input"},
    {"softmax", "over up to 511 channels; output scale 1/256"},
    {"sigmoid", "output scale 1/256"},
    {"hard_sigmoid", "output scale 1/256; to nearest, ties away from zero"},
    {"hard_swish", "output scale above 1/128 of the input's"},
    {"relu", "where it cannot be fused"},
    {"relu6", "where it cannot be fused; output scale as input"},
    {"quantize", "from one int8 scale to another"}};

[[noreturn]] void refuse_op(const Node& node) {
  std::string names;
  for (const SupportedOp& op : kSupportedOps)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", op.name);
  refuse(node, fmt::format("has no int8 form; supported: {}; try a network without this op", names));
}

void check_scale(const Node& node, std::string_view what, float scale) {
  if (!std::isfinite(scale) || scale <= 0) {
    refuse(node, fmt::format("found {} {}; accepted: a finite number above 0", what, scale));
  }
}

void check_output(const Node& node, const Quantization& q) {
  check_scale(node, "output scale", q.scale);
  if (q.zero_point < -128 || q.zero_point > 127) {
    refuse(node, fmt::format("found zero point {}; accepted: [-128, 127]", q.zero_point));
  }
}

void check_activation(const Node& node, Activation activation) {
  switch (activation) {
    case Activation::none:
    case Activation::relu:
    case Activation::relu6:
      return;
    case Activation::hard_swish:
    case Activation::sigmoid:
    case Activation::hard_sigmoid:
      break;
  }
  refuse(node,
         fmt::format("fused {} has no int8 form yet; supported: none, relu, relu6", to_string(activation)));
}

void check_length(const Node& node, std::string_view what, std::size_t found, std::size_t expected) {
  if (found != expected) refuse(node, fmt::format("found {} {}; accepted: {}", found, what, expected));
}

std::int64_t shifted_bound(std::int64_t bound, std::int32_t shift) {
  return shift > 0 ? bound << shift : bound;
}

// Whatever the input, no sum may leave int32: neither the sum over stored bytes with the zero point folded
// into the bias (128 + 128 per unit of weight), nor one over (value - zero point), nor either of them after
// its left shift.
void check_sums(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  const QuantizedNode& q = graph.node(id);
  std::vector<std::int64_t> bounds(q.filter_scales.size());
  for (std::size_t c = 0; c < q.bias.size(); ++c) bounds[c] = std::abs(std::int64_t{q.bias[c]});
  const bool depthwise = std::holds_alternative<DepthwiseConv2d>(node.op);
  const std::size_t per_channel = q.filter.size() / bounds.size();
  for (std::size_t i = 0; i < q.filter.size(); ++i) {
    if (q.filter[i] == -128) refuse(node, "found filter value -128; accepted: [-127, 127]");
    bounds[depthwise ? i % bounds.size() : i / per_channel] += 256 * std::abs(std::int64_t{q.filter[i]});
  }
  const std::vector<FixedPoint> multipliers = channel_multipliers(graph, id);
  for (std::size_t c = 0; c < bounds.size(); ++c) {
    if (bounds[c] > kMostSum || shifted_bound(bounds[c], multipliers[c].shift) > kMostSum) {
      refuse(node,
             fmt::format(
                 "sums of output channel {} may reach {} with a left shift of {}; accepted: up to {}; try "
                 "a larger output scale or fewer inputs",
                 c, bounds[c], std::max(multipliers[c].shift, 0), kMostSum));
    }
  }
}

void check_weighted(const QuantizedGraph& graph, NodeId id, const NodeWeights& expected,
                    Activation activation) {
  const Node& node = graph.graph.node(id);
  const QuantizedNode& q = graph.node(id);
  check_activation(node, activation);
  check_length(node, "filter values", q.filter.size(), expected.filter.size());
  check_length(node, "biases", q.bias.size(), expected.bias.size());
  check_length(node, "filter scales", q.filter_scales.size(), static_cast<std::size_t>(node.shape.channels));
  for (const float scale : q.filter_scales) check_scale(node, "filter scale", scale);
  const bool one_scale = std::all_of(q.filter_scales.begin(), q.filter_scales.end(),
                                     [&](float scale) { return scale == q.filter_scales.front(); });
  if (q.one_filter_scale && !(one_scale && std::holds_alternative<FullyConnected>(node.op)))
    refuse(node, "found one_filter_scale; accepted: on fully_connected nodes with equal filter scales");
  check_sums(graph, id);
}

void check_unweighted(const Node& node, const QuantizedNode& q) {
  check_length(node, "filter values", q.filter.size(), 0);
  check_length(node, "filter scales", q.filter_scales.size(), 0);
  check_length(node, "biases", q.bias.size(), 0);
}

// For ops that copy bytes.
void check_same_quantization(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  const Quantization& output = graph.node(id).output;
  for (const NodeId from : node.inputs) {
    const Quantization& input = graph.node(from).output;
    if (input != output) {
      refuse(node,
             fmt::format("found output scale {} and zero point {}; accepted: those of its input, {} and {}",
                         output.scale, output.zero_point, input.scale, input.zero_point));
    }
  }
}

void check_copy(const QuantizedGraph& graph, NodeId id) {
  check_unweighted(graph.graph.node(id), graph.node(id));
  check_same_quantization(graph, id);
}

void check_unit_output(const Node& node, const Quantization& output) {
  if (output == kUnitOutput) return;
  refuse(node, fmt::format("found output scale {} and zero point {}; accepted: 1/256 and -128", output.scale,
                           output.zero_point));
}

// A value of at most `bound` must not overflow when it is rescaled.
void check_rescale(const Node& node, std::int64_t bound, FixedPoint by) {
  if (shifted_bound(bound, by.shift) <= kMostSum) return;
  refuse(node, fmt::format("values of up to {} have a left shift of {}; accepted: a product up to {}; try a "
                           "larger output scale",
                           bound, by.shift, kMostSum));
}

void check_pool(const QuantizedGraph& graph, NodeId id, const Window& window, Activation activation) {
  const Node& node = graph.graph.node(id);
  check_activation(node, activation);
  check_copy(graph, id);
  const std::int64_t pixels = window.taps();
  if (pixels > kMostPooledPixels) {
    refuse(node, fmt::format("found a window of {} pixels; accepted: up to {}", pixels, kMostPooledPixels));
  }
}

void check_add(const QuantizedGraph& graph, NodeId id, Activation activation) {
  const Node& node = graph.graph.node(id);
  check_activation(node, activation);
  check_unweighted(node, graph.node(id));
  if (add_multipliers(graph, id).output.shift > 0) {
    refuse(node, fmt::format("found output scale {}; accepted: at least 2^-19 of the larger input scale",
                             graph.node(id).output.scale));
  }
}

FixedPoint nearest_fixed_point(double real_multiplier) {
  constexpr std::int64_t kOne = std::int64_t{1} << 31;
  int shift = 0;
  auto multiplier =
      static_cast<std::int64_t>(std::round(std::frexp(real_multiplier, &shift) * static_cast<double>(kOne)));
  if (multiplier == kOne) {  // rounded up to a power of two
    multiplier /= 2;
    ++shift;
  }
  if (shift < -31) return {};
  return {static_cast<std::int32_t>(multiplier), shift};
}

void check_mul(const QuantizedGraph& graph, NodeId id, Activation activation) {
  const Node& node = graph.graph.node(id);
  check_activation(node, activation);
  check_unweighted(node, graph.node(id));
  check_rescale(node, std::int64_t{255} * 255, mul_multiplier(graph, id));
}

std::int64_t averaged_elements(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  return graph.graph.node(node.inputs[0]).shape.elements() / node.shape.elements();
}

void check_mean(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  check_unweighted(node, graph.node(id));
  const std::int64_t elements = averaged_elements(graph, id);
  if (elements > kMostPooledPixels)
    refuse(node, fmt::format("found a mean of {}; accepted: up to {}", elements, kMostPooledPixels));
  check_rescale(node, 255 * elements, mean_multiplier(graph, id));
}

void check_hard_swish(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  const auto [output, reluish] = hard_swish_scaling(graph, id);
  const auto sixteen_bits = [](int shift) { return shift >= -15 && shift <= 15; };
  if (output.shift <= 0 && sixteen_bits(output.shift) && sixteen_bits(reluish.shift)) return;
  refuse(node,
         fmt::format("found input scale {} and output scale {}; accepted: an output scale from 1/128 to "
                     "256 times the input's, which is in [2^-21, 256]",
                     graph.node(node.inputs[0]).output.scale, graph.node(id).output.scale));
}

void check_activate(const QuantizedGraph& graph, NodeId id, Activation activation) {
  const Node& node = graph.graph.node(id);
  check_unweighted(node, graph.node(id));
  switch (activation) {
    case Activation::relu6:  // TensorFlow Lite Micro clamps the bytes as they are
      return check_same_quantization(graph, id);
    case Activation::none:
    case Activation::relu:
      return check_rescale(node, 255, rescale_multiplier(graph, id));
    case Activation::sigmoid:
      check_unit_output(node, graph.node(id).output);
      if (sigmoid_scaling(graph, id).input.shift < 0)
        refuse(node, fmt::format("found input scale {}; accepted: above 2^-27",
                                 graph.node(node.inputs[0]).output.scale));
      return;
    case Activation::hard_swish:
      return check_hard_swish(graph, id);
    case Activation::hard_sigmoid:
      return check_unit_output(node, graph.node(id).output);
  }
}

// beta * input scale in units of the last place of Q5.26, limited as TensorFlow Lite limits it.
double softmax_multiplier(const QuantizedGraph& graph, NodeId id) {
  constexpr double kOne = 1 << (31 - kSoftmaxIntegerBits);
  constexpr double kMost = std::numeric_limits<std::int32_t>::max();
  const Node& node = graph.graph.node(id);
  const double beta = std::get<Softmax>(node.op).beta;
  return std::min(beta * double{graph.node(node.inputs[0]).output.scale} * kOne, kMost);
}

void check_softmax(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  check_unweighted(node, graph.node(id));
  check_unit_output(node, graph.node(id).output);
  if (node.shape.channels > kMostSoftmaxChannels) {
    refuse(node,
           fmt::format("found {} channels; accepted: up to {}", node.shape.channels, kMostSoftmaxChannels));
  }
  const float beta = std::get<Softmax>(node.op).beta;
  if (!std::isfinite(beta) || softmax_multiplier(graph, id) <= 1) {
    refuse(node, fmt::format("found beta {} and input scale {}; accepted: a finite product above 2^-26", beta,
                             graph.node(node.inputs[0]).output.scale));
  }
}

}  // namespace

void verify(const QuantizedGraph& graph) {
  verify(graph.graph);
  if (graph.nodes.size() != graph.graph.nodes.size()) {
    throw Error(ExitCode::input, fmt::format("{}: found {} quantized nodes; accepted: {}, one per node",
                                             graph.graph.name, graph.nodes.size(), graph.graph.nodes.size()));
  }
  const Weights expected = zero_weights(graph.graph);
  for (NodeId id = 0; id < graph.graph.size(); ++id) {
    const Node& node = graph.graph.node(id);
    const NodeWeights& lengths = expected.nodes[static_cast<std::size_t>(id)];
    check_output(node, graph.node(id).output);
    std::visit(
        overloaded{[&](const Input&) { check_unweighted(node, graph.node(id)); },
                   [&](const Conv2d& c) { check_weighted(graph, id, lengths, c.activation); },
                   [&](const DepthwiseConv2d& d) { check_weighted(graph, id, lengths, d.activation); },
                   [&](const FullyConnected& f) { check_weighted(graph, id, lengths, f.activation); },
                   [&](const Add& a) { check_add(graph, id, a.activation); },
                   [&](const Mul& m) { check_mul(graph, id, m.activation); },
                   [&](const AveragePool2d& p) { check_pool(graph, id, p.window, p.activation); },
                   [&](const MaxPool2d& p) { check_pool(graph, id, p.window, p.activation); },
                   [&](const Softmax&) { check_softmax(graph, id); },
                   [&](const Mean&) { check_mean(graph, id); },
                   [&](const Activate& a) { check_activate(graph, id, a.activation); },
                   [&](const Concatenation&) { check_copy(graph, id); },
                   [&](const Pad&) { check_copy(graph, id); }, [&](const Reshape&) { check_copy(graph, id); },
                   [&](const ResizeNearestNeighbor&) { check_copy(graph, id); },
                   [&](const BatchNorm&) { refuse_op(node); }},
        node.op);
  }
}

ClampRange clamp_range(Activation activation, Quantization output) {
  // A float division, as TensorFlow Lite does it; clamped before the cast, since a tiny scale gives huge
  // values.
  const auto quantized = [&](float real) {
    const float steps = std::min(std::round(real / output.scale), 255.0F);
    return std::min(output.zero_point + static_cast<std::int32_t>(steps), 127);
  };
  switch (activation) {
    case Activation::none:
      return {};
    case Activation::relu:
      return {output.zero_point, 127};
    case Activation::relu6:
      return {output.zero_point, quantized(6.0F)};
    case Activation::hard_swish:
    case Activation::sigmoid:
    case Activation::hard_sigmoid:
      break;
  }
  throw Error(ExitCode::input,
              fmt::format("clamp range: found {}; accepted: none, relu, relu6", to_string(activation)));
}

FixedPoint to_fixed_point(double real_multiplier) {
  constexpr double kTooLarge = 1 << 30;
  if (!(real_multiplier >= 0 && real_multiplier < kTooLarge)) {
    throw Error(ExitCode::input,
                fmt::format("requantization: found multiplier {}; accepted: [0, 2^30)", real_multiplier));
  }
  return nearest_fixed_point(real_multiplier);
}

std::vector<FixedPoint> channel_multipliers(const QuantizedGraph& graph, NodeId id) {
  const QuantizedNode& q = graph.node(id);
  const float input_scale = graph.node(graph.graph.node(id).inputs[0]).output.scale;
  std::vector<FixedPoint> multipliers;
  multipliers.reserve(q.filter_scales.size());
  for (const float filter_scale : q.filter_scales) {
    const double product =
        q.one_filter_scale ? double{input_scale * filter_scale} : double{input_scale} * double{filter_scale};
    multipliers.push_back(to_fixed_point(product / double{q.output.scale}));
  }
  return multipliers;
}

AddMultipliers add_multipliers(const QuantizedGraph& graph, NodeId id) {
  constexpr double kLeftShift = 1 << 20;
  const Node& node = graph.graph.node(id);
  const double scale1 = graph.node(node.inputs[0]).output.scale;
  const double scale2 = graph.node(node.inputs[1]).output.scale;
  const double twice_larger = 2 * std::max(scale1, scale2);
  return {to_fixed_point(scale1 / twice_larger), to_fixed_point(scale2 / twice_larger),
          to_fixed_point(twice_larger / (kLeftShift * double{graph.node(id).output.scale}))};
}

FixedPoint mul_multiplier(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  return to_fixed_point(double{graph.node(node.inputs[0]).output.scale} *
                        double{graph.node(node.inputs[1]).output.scale} /
                        double{graph.node(id).output.scale});
}

FixedPoint rescale_multiplier(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  const float input = graph.node(node.inputs[0]).output.scale;
  const float output = graph.node(id).output.scale;
  // TensorFlow Lite Micro divides floats for a relu and doubles for a quantize.
  const bool relu = std::get<Activate>(node.op).activation != Activation::none;
  return to_fixed_point(relu ? double{input / output} : double{input} / double{output});
}

FixedPoint mean_multiplier(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  FixedPoint f =
      to_fixed_point(double{graph.node(node.inputs[0]).output.scale} / double{graph.node(id).output.scale});
  const std::int64_t elements = averaged_elements(graph, id);
  const int whole_bits = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(elements))) - 1;
  const int bits = std::min(whole_bits, 31 + f.shift);
  return {static_cast<std::int32_t>((std::int64_t{f.multiplier} << bits) / elements), f.shift - bits};
}

std::int8_t pad_value(const QuantizedGraph& graph, NodeId id) {
  const Quantization& q = graph.node(id).output;
  const double steps = std::round(double{std::get<Pad>(graph.graph.node(id).op).value} / double{q.scale});
  return static_cast<std::int8_t>(std::clamp(steps + q.zero_point, -128.0, 127.0));
}

SigmoidScaling sigmoid_scaling(const QuantizedGraph& graph, NodeId id) {
  constexpr int kIntegerBits = 4;
  constexpr double kMost = (1 << kIntegerBits) - 1;
  constexpr double kOne = 1 << (31 - kIntegerBits);
  const float scale = graph.node(graph.graph.node(id).inputs[0]).output.scale;
  const FixedPoint input = nearest_fixed_point(double{scale} * kOne);
  return {input, static_cast<std::int32_t>(std::floor(std::ldexp(kMost * kOne, -input.shift)))};
}

HardSwishScaling hard_swish_scaling(const QuantizedGraph& graph, NodeId id) {
  const float input = graph.node(graph.graph.node(id).inputs[0]).output.scale * (1.0F / 128.0F);
  const auto sixteen_bits = [](float ratio) {
    const FixedPoint f = nearest_fixed_point(double{ratio});
    const std::int64_t rounded = (std::int64_t{f.multiplier} + (1 << 15)) >> 16;
    return FixedPoint{static_cast<std::int32_t>(std::min<std::int64_t>(rounded, 32767)), f.shift};
  };
  return {sixteen_bits(input / graph.node(id).output.scale), sixteen_bits(input / (3.0F / 32768.0F))};
}

std::span<const SupportedOp> supported_ops() { return kSupportedOps; }

SoftmaxScaling softmax_scaling(const QuantizedGraph& graph, NodeId id) {
  constexpr double kMostDifference = (1 << kSoftmaxIntegerBits) - 1;
  constexpr double kOne = 1 << (31 - kSoftmaxIntegerBits);
  const FixedPoint input = nearest_fixed_point(softmax_multiplier(graph, id));
  // So that the shifted difference stays in range; no difference of two int8 is below -255.
  const double radius = std::floor(std::ldexp(kMostDifference * kOne, -input.shift));
  return {input, -static_cast<std::int32_t>(std::min(radius, 255.0))};
}

}  // namespace mcufit
