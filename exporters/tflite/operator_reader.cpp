// SPDX-License-Identifier: Apache-2.0
#include "exporters/tflite/operator_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>

#include "blocks/foundation/error.h"

namespace mcufit::tflite {
namespace {

constexpr std::int32_t kMostExtent = 32767;
// TensorFlow Lite's: how far a bias's scale may be from input scale * filter scale, in steps of the output.
constexpr double kBiasScaleTolerance = 0.02;

std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

std::string extents_text(const Tensor& tensor) { return fmt::format("{}", fmt::join(tensor.extents, "x")); }

schema::ActivationFunctionType fused_word(Activation activation) {
  switch (activation) {
    case Activation::none:
      return schema::ActivationFunctionType::NONE;
    case Activation::relu:
      return schema::ActivationFunctionType::RELU;
    case Activation::relu6:
      return schema::ActivationFunctionType::RELU6;
    case Activation::hard_swish:
    case Activation::sigmoid:
    case Activation::hard_sigmoid:
      break;
  }
  throw Error(ExitCode::internal, "tflite: a fused activation that verify() does not let through");
}

std::string OperatorReader::node_name() const {
  if (file_.is_ours && !output().name.empty()) return output().name;
  return fmt::format("{}_{}", lower_case(op().name), index_);
}

void OperatorReader::refuse(const std::string& message) const {
  throw Error(ExitCode::input, fmt::format("{}: operator {} ({}, '{}'): {}", model_, index_, op().name,
                                           output().name, message));
}

void OperatorReader::check_operands(std::size_t least, std::size_t most) const {
  if (op().outputs != 1) refuse(fmt::format("found {} outputs; accepted: 1", op().outputs));
  if (op().inputs.size() < least || op().inputs.size() > most)
    refuse(fmt::format("found {} inputs; accepted: {} to {}", op().inputs.size(), least, most));
}

std::int32_t OperatorReader::input(std::size_t i) const {
  if (op().inputs[i] < 0) refuse(fmt::format("input {} is left out; accepted: a tensor", i));
  return op().inputs[i];
}

Activation OperatorReader::activation(schema::ActivationFunctionType type) const {
  switch (type) {
    case schema::ActivationFunctionType::NONE:
      return Activation::none;
    case schema::ActivationFunctionType::RELU:
      return Activation::relu;
    case schema::ActivationFunctionType::RELU6:
      return Activation::relu6;
  }
  refuse(fmt::format("found the fused activation {}; supported: NONE, RELU, RELU6", static_cast<int>(type)));
}

Shape OperatorReader::shape_of(const Tensor& tensor) const {
  const auto& e = tensor.extents;
  const bool one_sample = e.size() >= 2 && e.size() <= 4 && e[0] == 1 &&
                          std::all_of(e.begin(), e.end(), [](std::int32_t x) { return x <= kMostExtent; });
  if (!one_sample)
    refuse(
        fmt::format("tensor '{}' is {}; accepted: 1xC, 1xWxC or 1xHxWxC, extents up to {}; try a model "
                    "for one sample at a time",
                    tensor.name, extents_text(tensor), kMostExtent));
  return {e.size() == 4 ? e[1] : 1, e.size() >= 3 ? e[e.size() - 2] : 1, e.back()};
}

Quantization OperatorReader::quantization_of(const Tensor& tensor) const {
  const bool quantized = tensor.type == schema::TensorType::INT8 && tensor.scales.size() == 1 &&
                         tensor.zero_point_count() == 1 && std::isfinite(tensor.scales[0]) &&
                         tensor.scales[0] > 0 && tensor.zero_point(0) >= -128 && tensor.zero_point(0) <= 127;
  if (!quantized)
    refuse(
        fmt::format("tensor '{}' is not int8 with one scale above 0 and one zero point in [-128, 127]; "
                    "accepted: full int8 models; try to convert with int8 inputs and outputs",
                    tensor.name));
  return {tensor.scales[0], static_cast<std::int32_t>(tensor.zero_point(0))};
}

const Tensor& OperatorReader::filter(std::size_t rank) const {
  const Tensor& filter = file_.tensor(input(1));
  if (filter.type != schema::TensorType::INT8 || filter.data.empty() || filter.extents.size() != rank)
    refuse(fmt::format("the filter '{}' is {}; accepted: constant int8 with {} dimensions", filter.name,
                       extents_text(filter), rank));
  return filter;
}

std::vector<std::int64_t> OperatorReader::integers(std::size_t i) const {
  const Tensor& tensor = file_.tensor(input(i));
  const bool narrow = tensor.type == schema::TensorType::INT32;
  if (tensor.data.empty() || !(narrow || tensor.type == schema::TensorType::INT64))
    refuse(fmt::format("input {} ('{}') is no constant int32 or int64; accepted: constants", i, tensor.name));
  std::vector<std::int64_t> values;
  const std::size_t width = narrow ? 4 : 8;
  for (std::size_t at = 0; at < tensor.data.size(); at += width) {
    std::int32_t word = 0;
    std::int64_t wide = 0;
    std::memcpy(narrow ? static_cast<void*>(&word) : &wide, tensor.data.data() + at, width);
    values.push_back(narrow ? word : wide);
  }
  return values;
}

Axis OperatorReader::axis(std::int64_t axis) const {
  const auto rank = static_cast<std::int64_t>(file_.tensor(input(0)).extents.size());
  const std::int64_t from_end = (axis < 0 ? axis : axis - rank);
  if (from_end == -1) return Axis::channels;
  if (from_end == -2 && rank >= 3) return Axis::width;
  if (from_end == -3 && rank >= 4) return Axis::height;
  refuse(fmt::format("found axis {} of {} dimensions; supported: height, width and channels", axis, rank));
}

void OperatorReader::read_scales(const Tensor& filter, std::int32_t channels, std::int32_t dimension,
                                 QuantizedNode& node) const {
  const auto count = filter.scales.size();
  const bool per_channel = count > 1;
  if ((per_channel && !std::cmp_equal(count, channels)) || count == 0 || filter.zero_point_count() != count)
    refuse(fmt::format("the filter has {} scales and {} zero points; accepted: 1 or {} of each", count,
                       filter.zero_point_count(), channels));
  if (per_channel && filter.quantized_dimension != dimension)
    refuse(fmt::format("the filter's scales are along dimension {}; accepted: {}", filter.quantized_dimension,
                       dimension));
  for (std::size_t i = 0; i < count; ++i)
    if (filter.zero_point(i) != 0)
      refuse("the filter has a zero point other than 0; accepted: symmetric filters");
  node.filter_scales.assign(static_cast<std::size_t>(channels), filter.scales[0]);
  if (per_channel) std::copy(filter.scales.begin(), filter.scales.end(), node.filter_scales.begin());
}

void OperatorReader::read_bias(Quantization input, std::int32_t channels, QuantizedNode& node) const {
  const bool there = op().inputs.size() >= 3 && op().inputs[2] >= 0;
  if (there || !file_.is_ours) node.bias.assign(static_cast<std::size_t>(channels), 0);
  if (!there) return;
  const Tensor& bias = file_.tensor(op().inputs[2]);
  if (bias.type != schema::TensorType::INT32 || bias.data.empty() || bias.elements() != channels)
    refuse(fmt::format("the bias '{}' is {}; accepted: constant int32 with {} elements", bias.name,
                       extents_text(bias), channels));
  std::memcpy(node.bias.data(), bias.data.data(), bias.data.size());
  for (std::size_t i = 0; i < bias.scales.size() && i < node.filter_scales.size(); ++i) {
    const double product = double{input.scale} * double{node.filter_scales[i]};
    const double off = std::abs(product - double{bias.scales[i]}) / double{node.output.scale};
    if (!(off <= kBiasScaleTolerance))
      refuse(fmt::format("the bias's scale of channel {} is {}; accepted: input scale * filter scale, {}", i,
                         bias.scales[i], product));
  }
}

Window OperatorReader::window(const Sliding& s, const Shape& in) const {
  for (const std::int32_t extent : {s.kernel_height, s.kernel_width, s.stride_height, s.stride_width,
                                    s.dilation_height, s.dilation_width}) {
    if (extent < 1 || extent > kMostExtent)
      refuse(fmt::format("found a kernel {}x{} with strides {}x{} and dilation {}x{}; accepted: 1 to {}",
                         s.kernel_height, s.kernel_width, s.stride_height, s.stride_width, s.dilation_height,
                         s.dilation_width, kMostExtent));
  }
  Window w{s.kernel_height,   s.kernel_width,  s.stride_height, s.stride_width, {},
           s.dilation_height, s.dilation_width};
  if (s.padding == schema::Padding::VALID) return w;
  if (s.padding != schema::Padding::SAME)
    refuse(fmt::format("found padding {}; supported: SAME, VALID", static_cast<int>(s.padding)));
  w.padding = same_padding(w, in);
  return w;
}

// As many outputs as input / stride, rounded up; an odd row or column goes to the end.
Padding same_padding(const Window& w, const Shape& in) {
  const auto missing = [](std::int64_t input, std::int64_t span, std::int64_t stride) {
    return static_cast<std::int32_t>(
        std::max<std::int64_t>(((input + stride - 1) / stride - 1) * stride + span - input, 0));
  };
  const std::int32_t rows = missing(in.height, w.span_height(), w.stride_height);
  const std::int32_t columns = missing(in.width, w.span_width(), w.stride_width);
  return {rows / 2, rows - rows / 2, columns / 2, columns - columns / 2};
}

}  // namespace mcufit::tflite
