// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
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
// above, when a pooling's output scale differs from its input's or a softmax's is not 1/256, when some input
// could overflow an int32 sum (left shift of the requantization included), or when an op or activation has no
// int8 form yet.
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

// The constants of an int8 softmax (TensorFlow Lite, 5 integer bits): differences to the largest input become
// Q5.26 by a multiplier and a left shift; below least_difference, at most 0, their exponential counts as 0.
struct SoftmaxScaling {
  FixedPoint input;
  std::int32_t least_difference = 0;
};
SoftmaxScaling softmax_scaling(const QuantizedGraph& graph, NodeId id);

// What a softmax gives: 256 steps over [0, 1).
inline constexpr Quantization kSoftmaxOutput{1.0F / 256, -128};

}  // namespace mcufit
