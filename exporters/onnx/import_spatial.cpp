// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "exporters/onnx/importer.h"

namespace mcufit::onnx_file {
namespace {

// How many rows (or columns) a window leaves over at the end.
std::int64_t left_over(std::int64_t input, std::int64_t span, std::int64_t stride) {
  return stride < 1 || input < span ? 0 : (input - span) % stride;
}

// What a Resize says about which input row (or column) is nearest.
struct Nearest {
  std::string mode;   // coordinate_transformation_mode
  std::string round;  // nearest_mode
  double scale = 1;
};

double source_coordinate(const Nearest& n, std::int64_t i, std::int64_t input, std::int64_t output) {
  const auto x = static_cast<double>(i);
  if (n.mode == "asymmetric") return x / n.scale;
  if (n.mode == "align_corners")
    return output == 1 ? 0 : x * static_cast<double>(input - 1) / static_cast<double>(output - 1);
  if (n.mode == "tf_half_pixel_for_nn") return (x + 0.5) / n.scale;
  if (n.mode == "pytorch_half_pixel" && output == 1) return 0;
  return (x + 0.5) / n.scale - 0.5;  // half_pixel
}

// Sets the options with which TensorFlow copies the rows and columns that are wanted (empty: any).
bool as_tensorflow(ResizeNearestNeighbor& op, Shape in, const std::string& mode,
                   const std::vector<std::vector<std::int32_t>>& wanted) {
  // The file's own convention first; TensorFlow knows not both options.
  const int own = mode == "align_corners" ? 2 : mode.find("half_pixel") != std::string::npos ? 1 : 0;
  for (const int options : {own, 0, 1, 2}) {
    op.align_corners = (options & 2) != 0;
    op.half_pixel_centers = (options & 1) != 0;
    const bool rows = wanted[0].empty() || nearest_sources(op, in.height, op.height) == wanted[0];
    const bool columns = wanted[1].empty() || nearest_sources(op, in.width, op.width) == wanted[1];
    if (rows && columns) return true;
  }
  return false;
}

std::vector<std::int32_t> file_sources(const Nearest& n, std::int32_t input, std::int32_t output) {
  std::vector<std::int32_t> sources;
  for (std::int32_t i = 0; i < output; ++i) {
    const double at = source_coordinate(n, i, input, output);
    double rounded = std::floor(at);
    if (n.round == "ceil") rounded = std::ceil(at);
    if (n.round == "round_prefer_floor") rounded = std::ceil(at - 0.5);
    if (n.round == "round_prefer_ceil") rounded = std::floor(at + 0.5);
    sources.push_back(static_cast<std::int32_t>(std::clamp(rounded, 0.0, static_cast<double>(input - 1))));
  }
  return sources;
}

}  // namespace

// A pooling's window over `in`.
Window Importer::pool_window(const NodeReader& source, Shape in) {
  const Window w = window(source, source.integers("kernel_shape"), in);
  if (w.dilation_height != 1 || w.dilation_width != 1) source.refuse("found dilations; supported: 1");
  const Padding& p = w.padding;
  const bool partial = left_over(in.height + p.top + p.bottom, w.kernel_height, w.stride_height) != 0 ||
                       left_over(in.width + p.left + p.right, w.kernel_width, w.stride_width) != 0;
  if (source.integer("ceil_mode", 0) != 0 && partial)
    source.refuse("found ceil_mode 1 with a part of a window at the end; supported: whole windows");
  return w;
}

void Importer::average_pool(const NodeReader& source) {
  source.check(
      1, 1, {"auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"});
  const Value value = read(source, 0);
  const Labels labels = channels_first(source, value.dims.size());
  const NodeId from = as(source, value, labels);
  const Window slide = pool_window(source, shape(from));
  if (source.integer("count_include_pad", 0) != 0 && slide.padding != Padding{})
    source.refuse("averages its padding; supported: count_include_pad 0, or no padding");
  define(source, append(source.node_name(), AveragePool2d{slide}, {from}), labels);
}

void Importer::max_pool(const NodeReader& source) {
  source.check(1, 1,
               {"auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"});
  const Value value = read(source, 0);
  const Labels labels = channels_first(source, value.dims.size());
  const NodeId from = as(source, value, labels);
  const Window slide = pool_window(source, shape(from));
  define(source, append(source.node_name(), MaxPool2d{slide}, {from}), labels);
}

void Importer::global_average_pool(const NodeReader& source) {
  source.check(1, 1, {});
  const Value value = read(source, 0);
  const Labels labels = channels_first(source, value.dims.size());
  const NodeId from = as(source, value, labels);
  const Shape in = shape(from);
  const Window whole{.kernel_height = in.height, .kernel_width = in.width, .padding = {}};
  define(source, append(source.node_name(), AveragePool2d{whole}, {from}), labels);
}

void Importer::reduce_mean(const NodeReader& source) {
  source.check(1, 2, {"axes", "keepdims", "noop_with_empty_axes"});
  const Value value = read(source, 0);
  const Labels labels = labels_for(source, {value});
  Mean op{false, false};
  Dims dims = value.dims;
  std::vector<bool> gone(dims.size(), false);
  for (const std::int64_t axis : integers_of(source, "axes", 1)) {
    const std::size_t i = axis_index(source, axis, dims.size());
    if (i == 0 || labels[i - 1] == Axis::channels)
      source.refuse(fmt::format("averages over dimension {}; supported: height and width", i));
    (labels[i - 1] == Axis::height ? op.over_height : op.over_width) = true;
    dims[i] = 1;
    gone[i] = source.integer("keepdims", 1) == 0;
  }
  if (!op.over_height && !op.over_width)
    source.refuse("averages over no dimension; supported: height and width");
  const NodeId id = append(source.node_name(), op, {as(source, value, labels)});
  Value result{id, order_of(labels), {}};
  for (std::size_t i = 0; i < dims.size(); ++i)
    if (!gone[i]) result.dims.push_back(dims[i]);
  define(source, result);
}

void Importer::concat(const NodeReader& source) {
  source.check(1, 64, {"axis"});
  std::vector<Value> values;
  for (std::size_t i = 0; i < source.inputs(); ++i) values.push_back(read(source, i));
  const std::size_t rank = values[0].dims.size();
  const std::size_t axis = axis_index(source, source.integer("axis", 1), rank);
  if (axis == 0) source.refuse("concatenates samples; supported: channels, height or width");
  const Labels labels = labels_for(source, values);
  std::vector<NodeId> from;
  from.reserve(values.size());
  for (const Value& value : values) from.push_back(as(source, value, labels));
  define(source, append(source.node_name(), Concatenation{labels[axis - 1]}, from), labels);
}

void Importer::pad(const NodeReader& source) {
  source.check(1, 3, {"mode", "pads", "value"});
  if (source.text("mode", "constant") != "constant") source.refuse("supported: mode constant");
  const Value value = read(source, 0);
  const std::size_t rank = value.dims.size();
  const Dims pads = integers_of(source, "pads", 1);
  if (pads.size() != 2 * rank || pads[0] != 0 || pads[rank] != 0)
    source.refuse(fmt::format("found {} pads for {}; accepted: twice the dimensions, none of the batch",
                              pads.size(), dims_text(value.dims)));
  const Labels labels = labels_for(source, {value});
  Pad op;
  op.value = scalar(source, 2, source.number("value", 0));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::int32_t before = small(source, pads[i + 1], "border");
    const std::int32_t after = small(source, pads[rank + i + 1], "border");
    if (labels[i] == Axis::channels) op.channels_before = before, op.channels_after = after;
    if (labels[i] == Axis::height) op.padding.top = before, op.padding.bottom = after;
    if (labels[i] == Axis::width) op.padding.left = before, op.padding.right = after;
  }
  define(source, append(source.node_name(), op, {as(source, value, labels)}), labels);
}

void Importer::upsample(const NodeReader& source) {
  source.check(1, 2, {"mode", "scales"});
  if (source.text("mode", "nearest") != "nearest") source.refuse("supported: mode nearest");
  const auto scales =
      source.has_input(1) ? required_constant(source, 1, "scales").floats : source.numbers("scales");
  resize_to(source, {}, scales, "asymmetric", "floor");
}

void Importer::resize(const NodeReader& source) {
  source.check(1, 4,
               {"coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "extrapolation_value",
                "mode", "nearest_mode"});
  if (source.text("mode", "nearest") != "nearest") source.refuse("supported: mode nearest");
  const bool first = source.operator_set() < 11;  // X, scales; always floors
  const std::string mode = source.text("coordinate_transformation_mode", first ? "asymmetric" : "half_pixel");
  const std::string round = source.text("nearest_mode", first ? "floor" : "round_prefer_floor");
  constexpr std::string_view kModes[] = {"asymmetric", "align_corners", "tf_half_pixel_for_nn",
                                         "pytorch_half_pixel", "half_pixel"};
  constexpr std::string_view kRounds[] = {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"};
  if (std::find(std::begin(kModes), std::end(kModes), mode) == std::end(kModes) ||
      std::find(std::begin(kRounds), std::end(kRounds), round) == std::end(kRounds))
    source.refuse(fmt::format("found coordinate_transformation_mode '{}' and nearest_mode '{}'",
                              printable(mode), printable(round)));
  const std::size_t scales_at = first ? 1 : 2;
  std::vector<float> scales;
  Dims sizes;
  if (source.has_input(scales_at)) scales = required_constant(source, scales_at, "scales").floats;
  if (scales.empty()) sizes = required_integers(source, 3, "sizes");
  resize_to(source, sizes, scales, mode, round);
}

// As TensorFlow's resize that copies the same pixels, where there is one.
void Importer::resize_to(const NodeReader& source, const Dims& sizes, const std::vector<float>& scales,
                         const std::string& mode, const std::string& nearest) {
  const Value value = read(source, 0);
  const Labels labels = channels_first(source, value.dims.size());
  const NodeId from = as(source, value, labels);
  const Shape in = shape(from);
  const std::size_t rank = value.dims.size();
  if ((sizes.empty() ? scales.size() : sizes.size()) != rank)
    source.refuse(fmt::format("found {} sizes and {} scales for {}", sizes.size(), scales.size(),
                              dims_text(value.dims)));
  ResizeNearestNeighbor op;
  std::vector<std::vector<std::int32_t>> wanted(3);
  for (std::size_t i = 0; i < rank; ++i) {
    const auto input = static_cast<float>(value.dims[i]);
    const float scaled = sizes.empty() ? std::floor(input * scales[i]) : static_cast<float>(sizes[i]);
    if (!(scaled >= 1 && scaled <= 32767)) source.refuse(fmt::format("found an output extent of {}", scaled));
    const auto output = static_cast<std::int32_t>(scaled);
    const bool spatial = i > 0 && labels[i - 1] != Axis::channels;
    if (!spatial) {
      if (output != value.dims[i]) source.refuse("resizes batch or channels; supported: height and width");
      continue;
    }
    (labels[i - 1] == Axis::height ? op.height : op.width) = output;
    wanted[static_cast<std::size_t>(labels[i - 1])] =
        file_sources({mode, nearest, sizes.empty() ? double{scales[i]} : double{scaled} / double{input}},
                     extent(in, labels[i - 1]), output);
  }
  if (!as_tensorflow(op, in, mode, wanted))
    source.refuse(
        fmt::format("copies other pixels ({}, {}) than any of TensorFlow's resizes; try "
                    "asymmetric with floor",
                    mode, nearest));
  define(source, append(source.node_name(), op, {from}), labels);
}

}  // namespace mcufit::onnx_file
