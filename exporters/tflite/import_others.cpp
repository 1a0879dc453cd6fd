// SPDX-License-Identifier: Apache-2.0
// Operators without filters.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "exporters/tflite/importer.h"

namespace mcufit::tflite {
namespace {

constexpr std::size_t kMostConcatenated = 64;

}  // namespace

void Importer::add_sum(const OperatorReader& source) {
  source.check_operands(2, 2);
  const auto& o = source.options<schema::AddOptions>();
  append(source, Add{source.activation(o.fused_activation_function())}, {read(source, 0), read(source, 1)},
         unweighted(source));
}

void Importer::add_product(const OperatorReader& source) {
  source.check_operands(2, 2);
  const auto& o = source.options<schema::MulOptions>();
  NodeId a = read(source, 0), b = read(source, 1);
  if (shape(a).pixels() == 1 && shape(b).pixels() != 1) std::swap(a, b);  // the repeated one is ours second
  append(source, Mul{source.activation(o.fused_activation_function())}, {a, b}, unweighted(source));
}

void Importer::add_activate(const OperatorReader& source, Activation activation) {
  source.check_operands(1, 1);
  append(source, Activate{activation}, {read(source, 0)}, unweighted(source));
}

void Importer::add_relu(const OperatorReader& source) { add_activate(source, Activation::relu); }
void Importer::add_relu6(const OperatorReader& source) { add_activate(source, Activation::relu6); }
void Importer::add_logistic(const OperatorReader& source) { add_activate(source, Activation::sigmoid); }
void Importer::add_hard_swish(const OperatorReader& source) { add_activate(source, Activation::hard_swish); }

// At the model's ends our int8 tensor takes the place of the file's.
void Importer::add_quantize(const OperatorReader& source) {
  source.check_operands(1, 1);
  if (source.op().output == input_) return;
  if (source.op().output == file_.output && source.output().type == schema::TensorType::UINT8)
    return add_dequantize(source);
  add_activate(source, Activation::none);
}

void Importer::add_dequantize(const OperatorReader& source) {
  source.check_operands(1, 1);
  if (source.op().output != file_.output)
    source.refuse("stands inside the model; supported: at its end; try a full int8 model");
  output_ = source.input(0);
  model_.notes.push_back(
      fmt::format("output: {} in the file, int8 here", schema::EnumNameTensorType(source.output().type)));
}

void Importer::add_softmax(const OperatorReader& source) {
  source.check_operands(1, 1);
  append(source, Softmax{source.options<schema::SoftmaxOptions>().beta()}, {read(source, 0)},
         unweighted(source));
}

void Importer::add_mean(const OperatorReader& source) {
  source.check_operands(2, 2);
  Mean mean{false, false};
  for (const std::int64_t dimension : source.integers(1)) {
    const Axis axis = source.axis(dimension);
    if (axis == Axis::channels) source.refuse("averages over channels; supported: height, width or both");
    (axis == Axis::height ? mean.over_height : mean.over_width) = true;
  }
  const bool dropping = !source.options<schema::ReducerOptions>().keep_dims();
  append(source, mean, {read(source, 0)}, unweighted(source), dropping);
}

void Importer::add_concatenation(const OperatorReader& source) {
  source.check_operands(1, kMostConcatenated);
  const auto& o = source.options<schema::ConcatenationOptions>();
  if (source.activation(o.fused_activation_function()) != Activation::none)
    source.refuse("found a fused activation; supported for concatenation: NONE");
  std::vector<NodeId> inputs;
  for (std::size_t i = 0; i < source.op().inputs.size(); ++i) inputs.push_back(read(source, i));
  append(source, Concatenation{source.axis(o.axis())}, std::move(inputs), unweighted(source));
}

void Importer::add_pad(const OperatorReader& source) {
  const bool has_value = source.op().code == schema::BuiltinOperator::PADV2;
  source.check_operands(has_value ? 3 : 2, has_value ? 3 : 2);
  const NodeId in = read(source, 0);
  const auto borders = source.integers(1);  // before and after, dimension by dimension
  const std::size_t rank = file_.tensor(source.input(0)).extents.size();
  const bool sound =
      borders.size() == 2 * rank && borders[0] == 0 && borders[1] == 0 &&
      std::all_of(borders.begin(), borders.end(), [](std::int64_t b) { return b >= 0 && b <= 32767; });
  if (!sound)
    source.refuse(
        fmt::format("found {} borders of {} dimensions; accepted: 2 for each, none around samples, "
                    "each in [0, 32767]",
                    borders.size(), rank));
  const auto border = [&](std::size_t from_end, std::size_t after) {
    return from_end < rank ? static_cast<std::int32_t>(borders[2 * (rank - from_end) + after]) : 0;
  };
  Pad pad{{border(3, 0), border(3, 1), border(2, 0), border(2, 1)}, border(1, 0), border(1, 1)};
  QuantizedNode node = unweighted(source);
  if (has_value) {
    const Tensor& value = file_.tensor(source.input(2));
    if (value.data.size() != 1 || source.quantization_of(value) != node.output)
      source.refuse(fmt::format(
          "the value '{}' is no constant int8 in the output's scale; accepted: one constant", value.name));
    const auto byte = static_cast<std::int8_t>(value.data[0]);
    pad.value = node.output.scale * static_cast<float>(byte - node.output.zero_point);
  }
  append(source, pad, {in}, std::move(node));
}

// Bytes stay where they are. Where our shape stays too, there is nothing to do.
void Importer::add_reshape(const OperatorReader& source) {
  source.check_operands(1, 2);
  const NodeId in = read(source, 0);
  const Shape wanted = source.shape_of(source.output());
  QuantizedNode node = unweighted(source);
  if (node.output != graph_.node(in).output)
    source.refuse("changes scale or zero point; supported: the input's");
  const bool nothing =
      file_.is_ours ? source.output().name.ends_with(kUnflattenedSuffix) : wanted == shape(in);
  if (nothing && wanted == shape(in)) return define(source, in);
  append(source, Reshape{wanted}, {in}, std::move(node));
}

void Importer::add_transpose(const OperatorReader& source) {
  source.check_operands(2, 2);
  const auto order = source.integers(1);
  const auto& extents = file_.tensor(source.input(0)).extents;
  std::vector<std::int64_t> moved;  // the dimensions above 1, in their new order
  for (const std::int64_t d : order) {
    if (d < 0 || std::cmp_greater_equal(d, extents.size()) || std::count(order.begin(), order.end(), d) > 1)
      source.refuse(fmt::format("found the order {}; accepted: each of 0 to {} once", fmt::join(order, ", "),
                                extents.size() - 1));
    if (extents[static_cast<std::size_t>(d)] > 1) moved.push_back(d);
  }
  if (order.size() != extents.size() || !std::is_sorted(moved.begin(), moved.end()))
    source.refuse(
        fmt::format("moves dimensions of {} to the order {}; supported: orders that move only "
                    "extents of 1",
                    extents_text(file_.tensor(source.input(0))), fmt::join(order, ", ")));
  const NodeId in = read(source, 0);
  const Shape wanted = source.shape_of(source.output());
  if (wanted == shape(in)) return define(source, in);
  append(source, Reshape{wanted}, {in}, unweighted(source));
}

void Importer::add_resize(const OperatorReader& source) {
  source.check_operands(2, 2);
  const auto& o = source.options<schema::ResizeNearestNeighborOptions>();
  const auto size = source.integers(1);
  const bool sound = size.size() == 2 && std::all_of(size.begin(), size.end(), [](std::int64_t extent) {
                       return extent >= 1 && extent <= 32767;
                     });
  if (!sound) source.refuse("its size is no pair of numbers in [1, 32767]");
  append(source,
         ResizeNearestNeighbor{static_cast<std::int32_t>(size[0]), static_cast<std::int32_t>(size[1]),
                               o.align_corners(), o.half_pixel_centers()},
         {read(source, 0)}, unweighted(source));
}

}  // namespace mcufit::tflite
