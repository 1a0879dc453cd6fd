// SPDX-License-Identifier: Apache-2.0
#include "exporters/steps.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "blocks/foundation/error.h"
#include "cost-models/layout.h"
#include "exporters/lookup.h"
#include "exporters/short_form.h"
#include "exporters/tile_columns.h"

namespace mcufit {
namespace {

// Everything that the steps are derived from.
struct Source {
  const QuantizedGraph& graph;
  const MemoryPlan& plan;
  NodeId id;
  TileColumns columns;

  const Node& node() const { return graph.graph.node(id); }
  const QuantizedNode& quantized() const { return graph.node(id); }
  NodeId input(std::size_t i = 0) const { return node().inputs[i]; }
  const Shape& input_shape() const { return graph.graph.node(input()).shape; }
  std::int32_t width() const { return columns.part(id).columns.width(); }
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
  const Placement& place = source.plan.placement(id);
  const TileColumns::Part& part = source.columns.part(id);
  return {.offset = narrow<std::int32_t>(source, "an arena offset of", place.offset + part.start),
          .row_stride = narrow<std::int32_t>(source, "a row stride of", part.row_bytes),
          .pixel_stride = extent(source, shape.channels),
          .ring_rows = extent(source, place.ring_rows > 0 ? place.ring_rows : shape.height)};
}

mcufit_window window_of(const Source& source, const Window& window) {
  const Shape& input = source.input_shape();
  const Shape& output = source.node().shape;
  const ColumnRange& read = source.columns.part(source.input()).columns;
  const ColumnRange& made = source.columns.part(source.id).columns;
  const auto field = [&](std::int32_t value) { return extent(source, value); };
  return {.input_height = field(input.height),
          .input_width = field(read.width()),
          .input_channels = field(input.channels),
          .output_width = field(made.width()),
          .output_channels = field(output.channels),
          .kernel_height = field(window.kernel_height),
          .kernel_width = field(window.kernel_width),
          .stride_height = field(window.stride_height),
          .stride_width = field(window.stride_width),
          .dilation_height = field(window.dilation_height),
          .dilation_width = field(window.dilation_width),
          .pad_top = field(window.padding.top),
          .pad_left = field(window.padding.left + read.begin - made.begin * window.stride_width)};
}

mcufit_requantization requantization_of(const Source& source, Activation activation) {
  const Quantization& output = source.quantized().output;
  const ClampRange clamp = clamp_range(activation, output);
  return {.multiplier = nullptr,
          .shift = nullptr,
          .output_zero_point = static_cast<std::int8_t>(output.zero_point),
          .output_min = static_cast<std::int8_t>(clamp.minimum),
          .output_max = static_cast<std::int8_t>(clamp.maximum),
          .short_form = 0};
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

template <typename Kind, typename Fields>
RuntimeStep step_with_tables(const Source& source, const Fields& fields, std::int16_t end) {
  Kind step{fields, tables_of(source), end};
  step.fields.requantization.short_form = short_form(step) ? 1 : 0;
  return step;
}

// Where the kernel of the node works: behind the arena where the plan is for kernels that need nothing.
std::int32_t scratch_of(const Source& source) {
  const auto step = static_cast<std::size_t>(source.plan.placement(source.id).first_step);
  const Step& planned = source.plan.steps[step];
  return narrow<std::int32_t>(source, "an arena offset of",
                              planned.scratch_bytes > 0 ? planned.scratch_offset : source.plan.arena_bytes);
}

// Shared by conv2d and depthwise_conv2d.
mcufit_conv2d_s8_step convolution_of(const Source& source, const Window& window, Activation activation) {
  const bool padded = window.padding != Padding{};
  return {.input = view_of(source, source.input()),
          .output = view_of(source, source.id),
          .window = window_of(source, window),
          .input_zero_point = static_cast<std::int8_t>(padded ? source.input_quantization().zero_point : 0),
          .interleaved = 0,
          .scratch = scratch_of(source),
          .filter = nullptr,
          .bias = nullptr,
          .requantization = requantization_of(source, activation)};
}

mcufit_pool2d_s8_step pool_of(const Source& source, const Window& window, Activation activation) {
  const ClampRange clamp = clamp_range(activation, source.quantized().output);
  return {.input = view_of(source, source.input()),
          .output = view_of(source, source.id),
          .window = window_of(source, window),
          .output_min = static_cast<std::int8_t>(clamp.minimum),
          .output_max = static_cast<std::int8_t>(clamp.maximum)};
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
          .requantization = requantization_of(source, activation),
          .interleaved_outputs = 0};
}

mcufit_softmax_s8_step softmax_of(const Source& source) {
  const SoftmaxScaling scaling = softmax_scaling(source.graph, source.id);
  const Shape& shape = source.node().shape;
  return {.input = view_of(source, source.input()),
          .output = view_of(source, source.id),
          .multiplier = scaling.input.multiplier,
          .width = extent(source, shape.width),
          .channels = extent(source, shape.channels),
          .least_difference = static_cast<std::int16_t>(scaling.least_difference),
          .shift = static_cast<std::int8_t>(scaling.input.shift)};
}

mcufit_lookup_s8_step lookup_of(const Source& source) {
  return {.input = view_of(source, source.input()),
          .output = view_of(source, source.id),
          .width = extent(source, source.width()),
          .channels = extent(source, source.node().shape.channels),
          .table = nullptr};
}

mcufit_mean_s8_step mean_of(const Source& source, const Mean& mean) {
  const FixedPoint f = mean_multiplier(source.graph, source.id);
  const Shape& in = source.input_shape();
  const std::int32_t rows = mean.over_height ? in.height : 1;
  const std::int32_t columns = mean.over_width ? in.width : 1;
  return {.input = view_of(source, source.input()),
          .output = view_of(source, source.id),
          .rows = extent(source, rows),
          .columns = extent(source, columns),
          .output_width = extent(source, source.node().shape.width),
          .channels = extent(source, in.channels),
          .multiplier = f.multiplier,
          .offset = -source.input_quantization().zero_point * rows * columns,
          .output_zero_point = static_cast<std::int16_t>(source.quantized().output.zero_point),
          .shift = static_cast<std::int8_t>(f.shift)};
}

// Where the plan has the node's int32 sums.
std::int32_t sums_of(const Source& source) {
  return narrow<std::int32_t>(source, "an arena offset of", source.plan.placement(source.id).sums_offset);
}

bool sums_rows(const Source& source) { return source.plan.placement(source.id).sums_bytes > 0; }

RuntimeStep mean_step(const Source& source, const Mean& mean) {
  if (!sums_rows(source)) return MeanStep{mean_of(source, mean), extent(source, source.node().shape.height)};
  return MeanRowsStep{{.whole = mean_of(source, mean), .sums = sums_of(source)},
                      extent(source, source.input_shape().height)};
}

RuntimeStep average_pool_step(const Source& source, const AveragePool2d& pool) {
  const mcufit_pool2d_s8_step whole = pool_of(source, pool.window, pool.activation);
  if (!sums_rows(source)) return AveragePool2dStep{whole, extent(source, source.node().shape.height)};
  return AveragePool2dRowsStep{{.whole = whole, .sums = sums_of(source)},
                               extent(source, source.input_shape().height)};
}

// Each input begins where the one before it ends.
std::vector<mcufit_concatenation_part> parts_of(const Source& source, Axis axis) {
  std::vector<mcufit_concatenation_part> parts;
  std::int64_t row = 0, at = 0;
  for (const NodeId from : source.node().inputs) {
    const Shape& shape = source.graph.graph.node(from).shape;
    parts.push_back({.input = view_of(source, from),
                     .at = narrow<std::int32_t>(source, "a row of", at),
                     .first_row = extent(source, row),
                     .rows = extent(source, shape.height),
                     .width = extent(source, shape.width),
                     .channels = extent(source, shape.channels)});
    if (axis == Axis::height) row += shape.height;
    if (axis == Axis::width) at += std::int64_t{shape.width} * source.node().shape.channels;
    if (axis == Axis::channels) at += shape.channels;
  }
  return parts;
}

mcufit_concatenation_s8_step concatenation_of(const Source& source) {
  return {.output = view_of(source, source.id),
          .parts = nullptr,
          .count = extent(source, static_cast<std::int64_t>(source.node().inputs.size()))};
}

mcufit_pad_s8_step pad_of(const Source& source, const Pad& pad) {
  const Shape& in = source.input_shape();
  const Shape& out = source.node().shape;
  return {.input = view_of(source, source.input()),
          .output = view_of(source, source.id),
          .top = extent(source, pad.padding.top),
          .left = extent(source, pad.padding.left),
          .front = extent(source, pad.channels_before),
          .input_height = extent(source, in.height),
          .input_width = extent(source, in.width),
          .input_channels = extent(source, in.channels),
          .output_width = extent(source, out.width),
          .output_channels = extent(source, out.channels),
          .value = pad_value(source.graph, source.id)};
}

std::vector<std::int16_t> sources_of(const Source& source, const ResizeNearestNeighbor& resize,
                                     std::int32_t input, std::int32_t output) {
  std::vector<std::int16_t> sources;
  for (const std::int32_t from : nearest_sources(resize, input, output))
    sources.push_back(extent(source, from));
  return sources;
}

ResizeStep resize_of(const Source& source, const ResizeNearestNeighbor& resize) {
  const Shape& in = source.input_shape();
  return {{.input = view_of(source, source.input()),
           .output = view_of(source, source.id),
           .rows = nullptr,
           .columns = nullptr,
           .output_width = extent(source, resize.width),
           .channels = extent(source, in.channels)},
          sources_of(source, resize, in.height, resize.height),
          sources_of(source, resize, in.width, resize.width),
          extent(source, resize.height)};
}

// Strides of 0 where the input is one pixel for all.
mcufit_view repeated_view_of(const Source& source, NodeId id) {
  mcufit_view view = view_of(source, id);
  if (source.graph.graph.node(id).shape != source.node().shape) view.row_stride = view.pixel_stride = 0;
  return view;
}

mcufit_mul_s8_step mul_of(const Source& source, Activation activation) {
  const FixedPoint f = mul_multiplier(source.graph, source.id);
  const mcufit_requantization output = requantization_of(source, activation);
  return {.input1 = view_of(source, source.input(0)),
          .input2 = repeated_view_of(source, source.input(1)),
          .output = view_of(source, source.id),
          .width = extent(source, source.width()),
          .channels = extent(source, source.node().shape.channels),
          .multiplier = f.multiplier,
          .zero_point1 = source.input_quantization(0).zero_point,
          .zero_point2 = source.input_quantization(1).zero_point,
          .output_zero_point = output.output_zero_point,
          .shift = static_cast<std::int8_t>(f.shift),
          .output_min = output.output_min,
          .output_max = output.output_max};
}

mcufit_add_s8_step add_of(const Source& source, Activation activation) {
  const AddMultipliers m = add_multipliers(source.graph, source.id);
  const mcufit_requantization output = requantization_of(source, activation);
  return {.input1 = view_of(source, source.input(0)),
          .input2 = view_of(source, source.input(1)),
          .output = view_of(source, source.id),
          .width = extent(source, source.width()),
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

InputRowStep input_row_of(const Source& source) {
  const Shape& shape = source.node().shape;
  const ColumnRange& columns = source.columns.part(source.id).columns;
  const std::int64_t row_bytes = std::int64_t{shape.width} * shape.channels;
  return {{.rows = view_of(source, source.id),
           .sample_stride = narrow<std::int32_t>(source, "a row of", row_bytes),
           .first_column = extent(source, columns.begin),
           .columns = extent(source, columns.width())},
          extent(source, shape.height)};
}

[[noreturn]] void refuse(const Node& node) {
  throw Error(
      ExitCode::input,
      fmt::format("{}: no kernel executes {}; accepted: what `mcufit supported-ops` lists but reshape",
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

RuntimeStep make_step(const QuantizedGraph& graph, const MemoryPlan& plan, NodeId id, std::int32_t tile) {
  const Source source{graph, plan, id, TileColumns(graph.graph, plan, id, tile)};
  const Node& node = source.node();
  const std::int16_t rows = extent(source, node.shape.height);
  return std::visit(
      overloaded{[&](const Conv2d& c) -> RuntimeStep {
                   return step_with_tables<Conv2dStep>(source, convolution_of(source, c.window, c.activation),
                                                       rows);
                 },
                 [&](const DepthwiseConv2d& d) -> RuntimeStep {
                   return step_with_tables<DepthwiseConv2dStep>(
                       source, convolution_of(source, d.window, d.activation), rows);
                 },
                 [&](const FullyConnected& f) -> RuntimeStep {
                   return step_with_tables<FullyConnectedStep>(
                       source, fully_connected_of(source, f.activation), extent(source, node.shape.channels));
                 },
                 [&](const Add& a) -> RuntimeStep {
                   return AddStep{add_of(source, a.activation), rows};
                 },
                 [&](const AveragePool2d& p) -> RuntimeStep { return average_pool_step(source, p); },
                 [&](const MaxPool2d& p) -> RuntimeStep {
                   return MaxPool2dStep{pool_of(source, p.window, p.activation), rows};
                 },
                 [&](const Softmax&) -> RuntimeStep {
                   return SoftmaxStep{softmax_of(source), rows};
                 },
                 [&](const Input&) -> RuntimeStep {
                   if (!streams_input(plan)) refuse(node);
                   return input_row_of(source);
                 },
                 [&](const Mul& m) -> RuntimeStep {
                   return MulStep{mul_of(source, m.activation), rows};
                 },
                 [&](const Activate&) -> RuntimeStep {
                   return LookupStep{lookup_of(source), lookup_table(graph, id), rows};
                 },
                 [&](const Mean& m) -> RuntimeStep { return mean_step(source, m); },
                 [&](const Concatenation& c) -> RuntimeStep {
                   return ConcatenationStep{concatenation_of(source), parts_of(source, c.axis), rows};
                 },
                 [&](const Pad& p) -> RuntimeStep {
                   return PadStep{pad_of(source, p), rows};
                 },
                 [&](const ResizeNearestNeighbor& r) -> RuntimeStep { return resize_of(source, r); },
                 [&](const Reshape&) -> RuntimeStep { refuse(node); },
                 [&](const BatchNorm&) -> RuntimeStep { refuse(node); }},
      node.op);
}

mcufit_conv2d_s8_step bound_fields(const Conv2dStep& step) { return bound(step.fields, step.tables); }
mcufit_depthwise_conv2d_s8_step bound_fields(const DepthwiseConv2dStep& step) {
  return bound(step.fields, step.tables);
}
mcufit_fully_connected_s8_step bound_fields(const FullyConnectedStep& step) {
  return bound(step.fields, step.tables);
}

mcufit_lookup_s8_step bound_fields(const LookupStep& step) {
  mcufit_lookup_s8_step fields = step.fields;
  fields.table = step.table.data();
  return fields;
}
mcufit_concatenation_s8_step bound_fields(const ConcatenationStep& step) {
  mcufit_concatenation_s8_step fields = step.fields;
  fields.parts = step.parts.data();
  return fields;
}
mcufit_resize_nearest_neighbor_s8_step bound_fields(const ResizeStep& step) {
  mcufit_resize_nearest_neighbor_s8_step fields = step.fields;
  fields.rows = step.rows.data();
  fields.columns = step.columns.data();
  return fields;
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
                 [&](const SoftmaxStep& s) { mcufit_softmax_s8(&s.fields, arena, first, end); },
                 [&](const MulStep& s) { mcufit_mul_s8(&s.fields, arena, first, end); },
                 [&](const LookupStep& s) {
                   const auto fields = bound_fields(s);
                   mcufit_lookup_s8(&fields, arena, first, end);
                 },
                 [&](const MeanStep& s) { mcufit_mean_s8(&s.fields, arena, first, end); },
                 [&](const MeanRowsStep& s) { mcufit_mean_rows_s8(&s.fields, arena, first, end); },
                 [&](const AveragePool2dRowsStep& s) {
                   mcufit_average_pool2d_rows_s8(&s.fields, arena, first, end);
                 },
                 [&](const ConcatenationStep& s) {
                   const auto fields = bound_fields(s);
                   mcufit_concatenation_s8(&fields, arena, first, end);
                 },
                 [&](const PadStep& s) { mcufit_pad_s8(&s.fields, arena, first, end); },
                 [&](const ResizeStep& s) {
                   const auto fields = bound_fields(s);
                   mcufit_resize_nearest_neighbor_s8(&fields, arena, first, end);
                 },
                 [](const InputRowStep&) {}},
      step);
}

}  // namespace mcufit
