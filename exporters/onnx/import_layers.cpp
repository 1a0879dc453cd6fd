// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "exporters/onnx/importer.h"

namespace mcufit::onnx_file {
namespace {

// All weights together: nodes may share a file's constants but have copies here.
constexpr std::size_t kMostWeights = std::size_t{64} << 20;

std::int64_t at_or(const Dims& list, std::size_t i, std::int64_t otherwise) {
  return list.empty() ? otherwise : list[i];
}

// Of [out][in][taps] as [out][taps][in].
std::vector<std::size_t> conv_places(std::size_t out, std::size_t in, std::size_t taps) {
  std::vector<std::size_t> places;
  places.reserve(out * in * taps);
  for (std::size_t o = 0; o < out; ++o)
    for (std::size_t t = 0; t < taps; ++t)
      for (std::size_t i = 0; i < in; ++i) places.push_back((o * in + i) * taps + t);
  return places;
}

// Padding before and after along one axis, where the file gives only a rule.
std::pair<std::int32_t, std::int32_t> same_padding(std::int32_t input, std::int64_t span, std::int32_t stride,
                                                   bool upper) {
  const std::int64_t outputs = (input + stride - 1) / stride;
  const auto missing =
      static_cast<std::int32_t>(std::max<std::int64_t>((outputs - 1) * stride + span - input, 0));
  const std::int32_t less = missing / 2;
  return upper ? std::pair{less, missing - less} : std::pair{missing - less, less};
}

// What auto_pad says, which overrides pads.
void resolve_padding(const NodeReader& source, Shape in, Window& w) {
  const std::string rule = source.text("auto_pad", "NOTSET");
  if (rule == "NOTSET") return;
  w.padding = {};
  if (rule == "VALID") return;
  if (rule != "SAME_UPPER" && rule != "SAME_LOWER")
    source.refuse(fmt::format("found auto_pad '{}'; supported: NOTSET, VALID, SAME_UPPER, SAME_LOWER",
                              printable(rule)));
  if (w.stride_height < 1 || w.stride_width < 1) source.refuse("found a stride of 0; accepted: from 1");
  const bool upper = rule == "SAME_UPPER";
  const auto rows = same_padding(in.height, w.span_height(), w.stride_height, upper);
  const auto columns = same_padding(in.width, w.span_width(), w.stride_width, upper);
  w.padding = {rows.first, rows.second, columns.first, columns.second};
}

std::vector<float> arranged(const std::vector<float>& values, const std::vector<std::size_t>& places) {
  std::vector<float> result;
  result.reserve(places.size());
  for (const std::size_t place : places) result.push_back(values[place]);
  return result;
}

}  // namespace

void Importer::count_weights(const NodeReader& source, std::size_t values) {
  weight_count_ += values;
  if (weight_count_ > kMostWeights)
    source.refuse(fmt::format("found more than {} weights; accepted: up to this", kMostWeights));
}

// Of one spatial axis where the tensor has only that; `kernel` is one or two extents.
Window Importer::window(const NodeReader& source, const Dims& kernel, Shape in) {
  const std::size_t axes = kernel.size();
  const Dims strides = source.integers("strides"), dilations = source.integers("dilations");
  const Dims pads = source.integers("pads");
  const bool known = (axes == 1 || axes == 2) && (strides.empty() || strides.size() == axes) &&
                     (dilations.empty() || dilations.size() == axes) &&
                     (pads.empty() || pads.size() == 2 * axes);
  if (!known)
    source.refuse(
        fmt::format("found a kernel of {} extents, {} strides, {} dilations, {} pads; supported: one "
                    "or two extents, as many strides and dilations, twice as many pads",
                    axes, strides.size(), dilations.size(), pads.size()));
  const std::size_t w = axes - 1;
  Window result;
  result.kernel_width = small(source, kernel[w], "kernel");
  result.stride_width = small(source, at_or(strides, w, 1), "stride");
  result.dilation_width = small(source, at_or(dilations, w, 1), "dilation");
  result.padding.left = small(source, at_or(pads, w, 0), "padding");
  result.padding.right = small(source, at_or(pads, axes + w, 0), "padding");
  if (axes == 2) {
    result.kernel_height = small(source, kernel[0], "kernel");
    result.stride_height = small(source, at_or(strides, 0, 1), "stride");
    result.dilation_height = small(source, at_or(dilations, 0, 1), "dilation");
    result.padding.top = small(source, at_or(pads, 0, 0), "padding");
    result.padding.bottom = small(source, at_or(pads, 2, 0), "padding");
  }
  resolve_padding(source, in, result);
  return result;
}

// A node with weights; element i of its filter is the file's places[i].
NodeId Importer::layer(const NodeReader& source, const Op& op, NodeId from, const Constant& filter,
                       const std::vector<std::size_t>& places, const Constant* bias) {
  count_weights(source, places.size());
  const NodeId id = append(source.node_name(), op, {from});
  weights_.nodes.back().filter = arranged(filter.floats, places);
  if (!filter.scales.empty()) {
    QuantizedNode& q = quantization_.back().node;
    for (const std::size_t place : places)
      q.filter.push_back(static_cast<std::int8_t>(filter.integers[place]));
    q.filter_scales.assign(static_cast<std::size_t>(shape(id).channels), filter.scales[0]);
    q.one_filter_scale = filter.one_scale && std::holds_alternative<FullyConnected>(op);
    if (filter.scales.size() > 1) q.filter_scales = filter.scales;
    if (q.filter_scales.size() != static_cast<std::size_t>(shape(id).channels))
      source.refuse("its filter is not quantized per output channel");
  }
  if (bias != nullptr) set_bias(source, id, *bias);
  return id;
}

void Importer::set_bias(const NodeReader& source, NodeId id, const Constant& bias) {
  const auto channels = static_cast<std::size_t>(shape(id).channels);
  if (bias.floats.size() != channels && bias.floats.size() != 1)
    source.refuse(fmt::format("its bias is {}; accepted: {} numbers", dims_text(bias.dims), channels));
  Node& node = graph_.nodes[static_cast<std::size_t>(id)];
  std::visit(
      [](auto& op) {
        if constexpr (requires { op.bias; }) op.bias = true;
      },
      node.op);
  auto& values = weights_.nodes[static_cast<std::size_t>(id)].bias;
  values.assign(channels, bias.floats[0]);
  if (bias.floats.size() == channels) values = bias.floats;
  if (bias.scales.empty()) return;
  auto& integers = quantization_[static_cast<std::size_t>(id)].node.bias;
  for (std::size_t c = 0; c < channels; ++c)
    integers.push_back(static_cast<std::int32_t>(bias.integers[bias.integers.size() == 1 ? 0 : c]));
}

void Importer::conv(const NodeReader& source) {
  source.check(2, 3, {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"});
  const Value value = read(source, 0);
  const Labels labels = channels_first(source, value.dims.size());
  const Constant& filter = required_constant(source, 1, "filter");
  const Dims& dims = filter.dims;
  if (dims.size() != value.dims.size() || dims.size() < 3 || element_count(dims) == 0)
    source.refuse(fmt::format("a filter {} reads {}", dims_text(dims), dims_text(value.dims)));
  const Dims kernel(dims.begin() + 2, dims.end());
  if (source.has("kernel_shape") && source.integers("kernel_shape") != kernel)
    source.refuse(fmt::format("its kernel_shape is not that of its filter {}", dims_text(dims)));
  const NodeId from = as(source, value, labels);
  const Shape in = shape(from);
  const Window slide = window(source, kernel, in);
  const std::int32_t out = small(source, dims[0], "number of filters");
  const std::int64_t group = source.integer("group", 1);
  const Constant* bias = source.has_input(2) ? &required_constant(source, 2, "bias") : nullptr;
  const auto taps = static_cast<std::size_t>(slide.taps());
  NodeId id = 0;
  if (group == 1 && dims[1] == in.channels) {
    id = layer(source, Conv2d{out, slide}, from, filter,
               conv_places(static_cast<std::size_t>(out), static_cast<std::size_t>(in.channels), taps), bias);
  } else if (group == in.channels && dims[1] == 1 && out % in.channels == 0) {
    DepthwiseConv2d op{slide};
    op.multiplier = out / in.channels;
    id = layer(source, op, from, filter, conv_places(1, static_cast<std::size_t>(out), taps), bias);
  } else {
    source.refuse(
        fmt::format("a filter {} in {} groups reads {} channels; supported: one group, or one per "
                    "input channel",
                    dims_text(dims), group, in.channels));
  }
  define(source, id, labels);
}

// `filter` is [out][in] where it is transposed, else [in][out]. The input is read as one row, in the order
// that the file has.
void Importer::dense(const NodeReader& source, Constant filter, bool transposed, const Constant* bias) {
  const Value value = read(source, 0);
  const Shape in = shape(value.node);
  const bool one_row = !value.dims.empty() && value.dims.back() == in.elements();
  const auto inputs = static_cast<std::size_t>(in.elements());
  if (filter.dims.size() != 2 || !one_row || filter.dims[transposed ? 1 : 0] != in.elements())
    source.refuse(fmt::format("a matrix {} multiplies {}; supported: one row, as long as the matrix is high",
                              dims_text(filter.dims), dims_text(value.dims)));
  const std::int32_t out = small(source, filter.dims[transposed ? 0 : 1], "number of outputs");
  const auto from_file = places_in_file(in, value.order);
  std::vector<std::size_t> places;
  places.reserve(filter.floats.size());
  for (std::size_t o = 0; o < static_cast<std::size_t>(out); ++o)
    for (const std::size_t i : from_file)
      places.push_back(transposed ? o * inputs + i : i * static_cast<std::size_t>(out) + o);
  FullyConnected op;
  op.output_channels = out;
  op.bias = false;
  const NodeId id = layer(source, op, value.node, filter, places, bias);
  Value result{id, {Axis::height, Axis::width, Axis::channels}, value.dims};
  result.dims.back() = out;
  define(source, result);
}

void Importer::gemm(const NodeReader& source) {
  source.check(2, 3, {"alpha", "beta", "transA", "transB"});
  if (source.integer("transA", 0) != 0) source.refuse("found transA 1; supported: 0");
  Constant filter = required_constant(source, 1, "matrix");
  const float alpha = source.number("alpha", 1), beta = source.number("beta", 1);
  if (alpha != 1)
    for (float& weight : filter.floats) weight *= alpha;
  Constant bias;
  if (source.has_input(2)) bias = required_constant(source, 2, "bias");
  if (beta != 1)
    for (float& value : bias.floats) value *= beta;
  if (!filter.scales.empty() && (alpha != 1 || beta != 1))
    source.refuse("found alpha or beta; supported for quantized matrices: 1");
  dense(source, std::move(filter), source.integer("transB", 0) != 0, source.has_input(2) ? &bias : nullptr);
}

void Importer::matmul(const NodeReader& source) {
  source.check(2, 2, {});
  dense(source, required_constant(source, 1, "matrix"), false, nullptr);
}

void Importer::batch_normalization(const NodeReader& source) {
  source.check(5, 5, {"epsilon", "momentum", "spatial", "training_mode"});
  if (source.integer("training_mode", 0) != 0 || source.integer("spatial", 1) != 1)
    source.refuse("found training_mode 1 or spatial 0; supported: inference per channel");
  const Value value = read(source, 0);
  const Labels labels = channels_first(source, value.dims.size());
  const NodeId from = as(source, value, labels);
  const auto channels = static_cast<std::size_t>(shape(from).channels);
  BatchNorm op;
  op.epsilon = source.number("epsilon", 1e-5F);
  NodeWeights w;
  std::vector<float>* const parts[] = {&w.gamma, &w.beta, &w.mean, &w.variance};
  for (std::size_t i = 0; i < 4; ++i) {
    *parts[i] = required_constant(source, i + 1, "parameter").floats;
    if (parts[i]->size() != channels)
      source.refuse(fmt::format("found {} parameters for {} channels", parts[i]->size(), channels));
  }
  if (std::any_of(w.variance.begin(), w.variance.end(), [&](float v) { return !(v + op.epsilon > 0); }))
    source.refuse("found a variance and epsilon whose sum is not above 0");
  count_weights(source, 4 * channels);
  const NodeId id = append(source.node_name(), op, {from});
  weights_.nodes.back() = std::move(w);
  define(source, id, labels);
}

// A constant added right behind a layer without bias is its bias.
bool Importer::becomes_bias(const NodeReader& source, std::size_t value, const Constant& bias) {
  const Value& sum = read(source, value);
  const Node& node = graph_.node(sum.node);
  const bool without = std::visit(
      [](const auto& op) {
        if constexpr (requires { op.bias; }) return !op.bias;
        return false;
      },
      node.op);
  if (!without || uses_[source.input(value)] != 1 || is_read(sum.node)) return false;
  Constant channels;
  channels.floats = per_channel(source, sum, bias).second;
  set_bias(source, sum.node, channels);
  define(source, sum);
  return true;
}

// A constant factor or summand per channel, as a batch-norm that was never trained.
void Importer::affine(const NodeReader& source, std::size_t value, const Constant& by, Method kind) {
  const Value operand = read(source, value);
  auto [labels, numbers] = per_channel(source, operand, by);
  const NodeId from = as(source, operand, labels);
  const std::size_t channels = numbers.size();
  NodeWeights w;
  w.gamma.assign(channels, 1);
  w.beta.assign(channels, 0);
  w.mean = w.beta;
  w.variance = w.gamma;
  if (kind == &Importer::add_sum) w.beta = numbers;
  if (kind == &Importer::subtract) w.mean = numbers;
  if (kind == &Importer::multiply) w.gamma = numbers;
  if (kind == &Importer::divide) {
    for (std::size_t c = 0; c < channels; ++c) w.gamma[c] = 1 / numbers[c];
    if (!std::all_of(w.gamma.begin(), w.gamma.end(), [](float g) { return std::isfinite(g); }))
      source.refuse("divides by 0");
  }
  count_weights(source, 4 * channels);
  const NodeId id = append(source.node_name(), BatchNorm{0}, {from});
  weights_.nodes.back() = std::move(w);
  define(source, Value{id, order_of(labels), operand.dims});
}

}  // namespace mcufit::onnx_file
