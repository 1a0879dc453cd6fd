// SPDX-License-Identifier: Apache-2.0
#include "exporters/steps.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "blocks/foundation/error.h"

namespace mcufit {
namespace {

// Everything that the steps are derived from.
struct Source {
  const QuantizedGraph& graph;
  const MemoryPlan& plan;
  NodeId id;

  const Node& node() const { return graph.graph.node(id); }
  const QuantizedNode& quantized() const { return graph.node(id); }
  NodeId input(std::size_t i = 0) const { return node().inputs[i]; }
  const Shape& input_shape() const { return graph.graph.node(input()).shape; }
  const Quantization& input_quantization(std::size_t i = 0) const { return graph.node(input(i)).output; }
};

template <typename Field>
Field narrow(const Source& source, std::string_view what, std::int64_t value) {
  if (!std::in_range<Field>(value)) {
    throw Error(ExitCode::input,
                fmt::format("{}: found {} {}; accepted by the runtime: up to {}", source.node().name, what,
                            value, std::numeric_limits<Field>::max()));
  }
  return static_cast<Field>(value);
}

std::int16_t extent(const Source& source, std::int64_t value) {
  return narrow<std::int16_t>(source, "an extent of", value);
}

mcufit_view view_of(const Source& source, NodeId id) {
  const Shape& shape = source.graph.graph.node(id).shape;
  return {.offset = narrow<std::int32_t>(source, "an arena offset of", source.plan.placement(id).offset),
          .row_stride =
              narrow<std::int32_t>(source, "a row stride of", std::int64_t{shape.width} * shape.channels),
          .pixel_stride = extent(source, shape.channels),
          .ring_rows = extent(source, shape.height)};
}

mcufit_window window_of(const Source& source, const Window& window) {
  const Shape& input = source.input_shape();
  const Shape& output = source.node().shape;
  const auto field = [&](std::int32_t value) { return extent(source, value); };
  return {.input_height = field(input.height),
          .input_width = field(input.width),
          .input_channels = field(input.channels),
          .output_width = field(output.width),
          .output_channels = field(output.channels),
          .kernel_height = field(window.kernel_height),
          .kernel_width = field(window.kernel_width),
          .stride_height = field(window.stride_height),
          .stride_width = field(window.stride_width),
          .dilation_height = 1,
          .dilation_width = 1,
          .pad_top = field(window.padding.top),
          .pad_left = field(window.padding.left)};
}

mcufit_requantization requantization_of(const Source& source, Activation activation) {
  const Quantization& output = source.quantized().output;
  const ClampRange clamp = clamp_range(activation, output);
  return {.multiplier = nullptr,
          .shift = nullptr,
          .output_zero_point = static_cast<std::int16_t>(output.zero_point),
          .output_min = static_cast<std::int8_t>(clamp.minimum),
          .output_max = static_cast<std::int8_t>(clamp.maximum)};
}

ConvolutionTables tables_of(const Source& source) {
  const QuantizedNode& q = source.quantized();
  const std::size_t channels = q.filter_scales.size();
  const bool depthwise = std::holds_alternative<DepthwiseConv2d>(source.node().op);
  const std::size_t per_channel = q.filter.size() / channels;
  ConvolutionTables tables{.filter = q.filter, .bias = q.bias, .multiplier = {}, .shift = {}};
  tables.bias.resize(channels);
  for (std::size_t i = 0; i < q.filter.size(); ++i) {  // verify() proved that this does not overflow
    tables.bias[depthwise ? i % channels : i / per_channel] -=
        source.input_quantization().zero_point * q.filter[i];
  }
  for (const FixedPoint& f : channel_multipliers(source.graph, source.id)) {
    tables.multiplier.push_back(f.multiplier);
    tables.shift.push_back(static_cast<std::int8_t>(f.shift));
  }
  return tables;
}

// Shared by conv2d and depthwise_conv2d.
mcufit_conv2d_s8_step convolution_of(const Source& source, const Window& window, Activation activation) {
  const bool padded = window.padding != Padding{};
  return {.input = view_of(source, source.input()),
          .output = view_of(source, source.id),
          .window = window_of(source, window),
          .input_zero_point = static_cast<std::int16_t>(padded ? source.input_quantization().zero_point : 0),
          .filter = nullptr,
          .bias = nullptr,
          .requantization = requantization_of(source, activation)};
}

mcufit_pool2d_s8_step pool_of(const Source& source, const Window& window) {
  return {.input = view_of(source, source.input()),
          .output = view_of(source, source.id),
          .window = window_of(source, window),
          .output_min = -128,
          .output_max = 127};
}

mcufit_fully_connected_s8_step fully_connected_of(const Source& source, Activation activation) {
  return {.input_offset = narrow<std::int32_t>(source, "an arena offset of",
                                               source.plan.placement(source.input()).offset),
          .output_offset =
              narrow<std::int32_t>(source, "an arena offset of", source.plan.placement(source.id).offset),
          .input_elements = narrow<std::int16_t>(source, "inputs:", source.input_shape().elements()),
          .output_elements = extent(source, source.node().shape.channels),
          .filter = nullptr,
          .bias = nullptr,
          .requantization = requantization_of(source, activation)};
}

mcufit_softmax_s8_step softmax_of(const Source& source) {
  const SoftmaxScaling scaling = softmax_scaling(source.graph, source.id);
  return {.input_offset = narrow<std::int32_t>(source, "an arena offset of",
                                               source.plan.placement(source.input()).offset),
          .output_offset =
              narrow<std::int32_t>(source, "an arena offset of", source.plan.placement(source.id).offset),
          .multiplier = scaling.input.multiplier,
          .channels = extent(source, source.node().shape.channels),
          .least_difference = static_cast<std::int16_t>(scaling.least_difference),
          .shift = static_cast<std::int8_t>(scaling.input.shift)};
}

mcufit_add_s8_step add_of(const Source& source, Activation activation) {
  const AddMultipliers m = add_multipliers(source.graph, source.id);
  const mcufit_requantization output = requantization_of(source, activation);
  return {.input1 = view_of(source, source.input(0)),
          .input2 = view_of(source, source.input(1)),
          .output = view_of(source, source.id),
          .width = extent(source, source.node().shape.width),
          .channels = extent(source, source.node().shape.channels),
          .multiplier1 = m.input1.multiplier,
          .multiplier2 = m.input2.multiplier,
          .output_multiplier = m.output.multiplier,
          .shift1 = static_cast<std::int8_t>(m.input1.shift),
          .shift2 = static_cast<std::int8_t>(m.input2.shift),
          .output_shift = static_cast<std::int8_t>(m.output.shift),
          .zero_point1 = static_cast<std::int16_t>(source.input_quantization(0).zero_point),
          .zero_point2 = static_cast<std::int16_t>(source.input_quantization(1).zero_point),
          .output_zero_point = output.output_zero_point,
          .output_min = output.output_min,
          .output_max = output.output_max};
}

[[noreturn]] void refuse(const Node& node) {
  throw Error(
      ExitCode::input,
      fmt::format(
          "{}: the runtime has no kernel for {}; supported: conv2d, depthwise_conv2d, fully_connected, "
          "add, average_pool2d, max_pool2d, softmax",
          node.name, op_name(node.op)));
}

template <typename Fields>
Fields bound(Fields fields, const ConvolutionTables& tables) {
  fields.filter = tables.filter.data();
  fields.bias = tables.bias.data();
  fields.requantization.multiplier = tables.multiplier.data();
  fields.requantization.shift = tables.shift.data();
  return fields;
}

}  // namespace

RuntimeStep make_step(const QuantizedGraph& graph, const MemoryPlan& plan, NodeId id) {
  const Source source{graph, plan, id};
  const Node& node = source.node();
  const std::int16_t rows = extent(source, node.shape.height);
  return std::visit(
      overloaded{[&](const Conv2d& c) -> RuntimeStep {
                   return Conv2dStep{convolution_of(source, c.window, c.activation), tables_of(source), rows};
                 },
                 [&](const DepthwiseConv2d& d) -> RuntimeStep {
                   return DepthwiseConv2dStep{convolution_of(source, d.window, d.activation),
                                              tables_of(source), rows};
                 },
                 [&](const FullyConnected& f) -> RuntimeStep {
                   return FullyConnectedStep{fully_connected_of(source, f.activation), tables_of(source),
                                             extent(source, node.shape.channels)};
                 },
                 [&](const Add& a) -> RuntimeStep {
                   return AddStep{add_of(source, a.activation), rows};
                 },
                 [&](const AveragePool2d& p) -> RuntimeStep {
                   return AveragePool2dStep{pool_of(source, p.window), rows};
                 },
                 [&](const MaxPool2d& p) -> RuntimeStep {
                   return MaxPool2dStep{pool_of(source, p.window), rows};
                 },
                 [&](const Softmax&) -> RuntimeStep {
                   return SoftmaxStep{softmax_of(source), rows};
                 },
                 [&](const Input&) -> RuntimeStep { refuse(node); },
                 [&](const BatchNorm&) -> RuntimeStep { refuse(node); },
                 [&](const Activate&) -> RuntimeStep { refuse(node); },
                 [&](const Mul&) -> RuntimeStep { refuse(node); }},
      node.op);
}

mcufit_conv2d_s8_step bound_fields(const Conv2dStep& step) { return bound(step.fields, step.tables); }
mcufit_depthwise_conv2d_s8_step bound_fields(const DepthwiseConv2dStep& step) {
  return bound(step.fields, step.tables);
}
mcufit_fully_connected_s8_step bound_fields(const FullyConnectedStep& step) {
  return bound(step.fields, step.tables);
}

void run_step(const RuntimeStep& step, std::int8_t* arena, std::int16_t first, std::int16_t end) {
  std::visit(
      overloaded{[&](const Conv2dStep& s) {
                   const auto fields = bound_fields(s);
                   mcufit_conv2d_s8(&fields, arena, first, end);
                 },
                 [&](const DepthwiseConv2dStep& s) {
                   const auto fields = bound_fields(s);
                   mcufit_depthwise_conv2d_s8(&fields, arena, first, end);
                 },
                 [&](const FullyConnectedStep& s) {
                   const auto fields = bound_fields(s);
                   mcufit_fully_connected_s8(&fields, arena, first, end);
                 },
                 [&](const AddStep& s) { mcufit_add_s8(&s.fields, arena, first, end); },
                 [&](const AveragePool2dStep& s) { mcufit_average_pool2d_s8(&s.fields, arena, first, end); },
                 [&](const MaxPool2dStep& s) { mcufit_max_pool2d_s8(&s.fields, arena, first, end); },
                 [&](const SoftmaxStep& s) { mcufit_softmax_s8(&s.fields, arena, first, end); }},
      step);
}

}  // namespace mcufit
