// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "blocks/graph.h"

namespace mcufit {

// real = scale * (quantized - zero_point); int8, so zero_point is in [-128, 127]; scale is finite and
// positive.
struct Quantization {
  float scale = 1.0F;
  std::int32_t zero_point = 0;
  bool operator==(const Quantization&) const = default;
};

// The integers of one node. Filters are symmetric (zero point 0, values in [-127, 127]) with one scale per
// output channel; a bias's scale is input scale * filter scale. Layouts are those of NodeWeights. Empty where
// the op has none.
struct QuantizedNode {
  Quantization output;
  std::vector<std::int8_t> filter;
  std::vector<float> filter_scales;  // [output channel]
  std::vector<std::int32_t> bias;    // [output channel]

  // Of a fully_connected node: all filter_scales are the one that TensorFlow Lite has for the whole filter.
  // Its product with the input's scale is rounded to float then, as TensorFlow Lite Micro does it in this
  // case alone.
  bool one_filter_scale = false;
};

// A lowered graph with int8 activations and weights, in TensorFlow Lite's quantization scheme.
struct QuantizedGraph {
  Graph graph;                       // lowered
  std::vector<QuantizedNode> nodes;  // parallel to graph.nodes

  const QuantizedNode& node(NodeId id) const { return nodes[static_cast<std::size_t>(id)]; }
};

// Throws Error(input) naming the node when a length, scale, zero point or filter value is not as described
// above, when the output scale is not what the op must have (pooling, concatenation, pad, reshape, resize and
// a relu6 of its own: the input's; softmax and sigmoid: 1/256), when some input could overflow an int32 sum
// (left shift of the requantization included), or when an op or activation has no int8 form.
void verify(const QuantizedGraph& graph);

// The int8 values between which a fused activation keeps its output: relu6 clamps to [zero point, zero point
// + 6 / scale].
struct ClampRange {
  std::int32_t minimum = -128;
  std::int32_t maximum = 127;
};
ClampRange clamp_range(Activation activation, Quantization output);

// A positive real multiplier as multiplier / 2^31 * 2^shift, multiplier in [2^30, 2^31): TensorFlow Lite's
// QuantizeMultiplier. Shifts below -31 give 0. Throws Error(input) when it is negative, not finite or 2^30 or
// more.
struct FixedPoint {
  std::int32_t multiplier = 0;
  std::int32_t shift = 0;
  bool operator==(const FixedPoint&) const = default;
};
FixedPoint to_fixed_point(double real_multiplier);

// One multiplier per output channel of a conv2d, depthwise_conv2d or fully_connected node:
// input scale * filter scale / output scale, in double but for one_filter_scale.
std::vector<FixedPoint> channel_multipliers(const QuantizedGraph& graph, NodeId id);

// The constants of an int8 add (TensorFlow Lite, left shift 20): each input and then the sum is rescaled.
struct AddMultipliers {
  FixedPoint input1, input2, output;
};
AddMultipliers add_multipliers(const QuantizedGraph& graph, NodeId id);

// input1 scale * input2 scale / output scale of an int8 mul.
FixedPoint mul_multiplier(const QuantizedGraph& graph, NodeId id);

// input scale / output scale of an `activate` node without a curve (none, relu, relu6).
FixedPoint rescale_multiplier(const QuantizedGraph& graph, NodeId id);

// From the sum of the (value - zero point) of a mean to its output. The division by their number is in the
// multiplier, which need not be normalized (TensorFlow Lite Micro's QuantizedMeanOrSum).
FixedPoint mean_multiplier(const QuantizedGraph& graph, NodeId id);

// The border's value as int8, in the scale of a pad's output.
std::int8_t pad_value(const QuantizedGraph& graph, NodeId id);

// The constants of an int8 softmax (TensorFlow Lite, 5 integer bits): differences to the largest input become
// Q5.26 by a multiplier and a left shift; below least_difference, at most 0, their exponential counts as 0.
struct SoftmaxScaling {
  FixedPoint input;
  std::int32_t least_difference = 0;
};
SoftmaxScaling softmax_scaling(const QuantizedGraph& graph, NodeId id);

// What a softmax or sigmoid gives: 256 steps over [0, 1).
inline constexpr Quantization kUnitOutput{1.0F / 256, -128};

// The constants of an int8 sigmoid (TensorFlow Lite, 4 integer bits): inputs become Q4.27; those at least
// `radius` from zero give 0 or 1.
struct SigmoidScaling {
  FixedPoint input;
  std::int32_t radius = 0;
};
SigmoidScaling sigmoid_scaling(const QuantizedGraph& graph, NodeId id);

// The constants of an int8 hard_swish (TensorFlow Lite, 16-bit arithmetic on inputs times 128): multipliers
// in [2^14, 2^15] as 16-bit fractions. `output` rescales to the output, `reluish` maps 3.0 to 2^15.
struct HardSwishScaling {
  FixedPoint output, reluish;
};
HardSwishScaling hard_swish_scaling(const QuantizedGraph& graph, NodeId id);

// One line per op that a QuantizedGraph may have, for messages and `mcufit supported-ops`.
struct SupportedOp {
  std::string_view name;
  std::string_view limits;
};
std::span<const SupportedOp> supported_ops();

}  // namespace mcufit
