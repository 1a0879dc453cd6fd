// SPDX-License-Identifier: Apache-2.0
#include "exporters/lookup.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "exporters/runtime/mcufit_exponential.h"
#include "exporters/runtime/mcufit_rounding.h"

namespace mcufit {
namespace {

std::int32_t rescale(std::int32_t value, FixedPoint by) {
  return mcufit_requantize(value, by.multiplier, by.shift);
}

// gemmlowp's logistic: by symmetry from that of -|x|, 1 / (1 + exp(-|x|)).
std::int32_t sigmoid(std::int32_t value, const SigmoidScaling& scaling) {
  if (value <= -scaling.radius) return -128;
  if (value >= scaling.radius) return 127;
  const std::int32_t x = rescale(value, scaling.input);
  std::int32_t result = std::int32_t{1} << 30;
  if (x != 0) {
    result = mcufit_one_over_one_plus(mcufit_exp_on_negative(-std::abs(x), MCUFIT_SIGMOID_INPUT_BITS));
    if (x < 0) result = INT32_MAX - result;
  }
  return mcufit_rounding_shift_right(result, 31 - 8) - 128;
}

std::int32_t saturated16(std::int64_t value) {
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(value, INT16_MIN, INT16_MAX));
}

// a * b / 2^15 to nearest, ties away from zero; b is at least 0.
std::int32_t rounding_product16(std::int32_t a, std::int32_t b) {
  const std::int32_t product = a * b;
  return (product + (product >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15);
}

// TensorFlow Lite's hard_swish: x * (the part of [-3, 3] below x), both as 16-bit fractions.
std::int32_t hard_swish(std::int32_t value, const HardSwishScaling& scaling) {
  const std::int32_t fine = value * 128;
  std::int32_t part = fine;
  const int exponent = scaling.reluish.shift;
  if (exponent > 0) part = saturated16(std::int64_t{part} << (exponent - 1));
  part = rounding_product16(part, scaling.reluish.multiplier);
  if (exponent > 0) part = saturated16(std::int64_t{part} * 2);
  if (exponent < 0) part = mcufit_rounding_shift_right(part, -exponent);
  part = (part + (1 << 15)) >> 1;
  const std::int32_t scaled = rounding_product16(fine, scaling.output.multiplier);
  return mcufit_rounding_shift_right(part * scaled / (1 << 15), -scaling.output.shift);
}

// No reference rule exists for it (TensorFlow Lite has no such op): the nearest value.
std::int32_t hard_sigmoid(double x) {
  return static_cast<std::int32_t>(std::round(256 * std::clamp(x + 3, 0.0, 6.0) / 6)) - 128;
}

}  // namespace

std::array<std::int8_t, 256> lookup_table(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  const Activation activation = std::get<Activate>(node.op).activation;
  const Quantization& input = graph.node(node.inputs[0]).output;
  const Quantization& output = graph.node(id).output;
  const auto value_of = [&](std::int32_t x) -> std::int32_t {
    switch (activation) {
      case Activation::relu6:
        return x;
      case Activation::none:
      case Activation::relu:
        return rescale(x - input.zero_point, rescale_multiplier(graph, id)) + output.zero_point;
      case Activation::sigmoid:
        return sigmoid(x - input.zero_point, sigmoid_scaling(graph, id));
      case Activation::hard_swish:
        return hard_swish(x - input.zero_point, hard_swish_scaling(graph, id)) + output.zero_point;
      case Activation::hard_sigmoid:
        return hard_sigmoid(input.scale * static_cast<double>(x - input.zero_point));
    }
    std::abort();
  };
  const bool clamps = activation == Activation::relu || activation == Activation::relu6;
  const ClampRange range = clamp_range(clamps ? activation : Activation::none, output);
  std::array<std::int8_t, 256> table{};
  for (std::int32_t x = -128; x <= 127; ++x)
    table[lookup_index(x)] = static_cast<std::int8_t>(std::clamp(value_of(x), range.minimum, range.maximum));
  return table;
}

}  // namespace mcufit
