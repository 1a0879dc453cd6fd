// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "exporters/onnx/importer.h"

namespace mcufit::onnx_file {

const std::map<std::string, Importer::Method, std::less<>>& Importer::methods() {
  static const std::map<std::string, Method, std::less<>> kMethods = {
      {"Add", &Importer::add_sum},
      {"AveragePool", &Importer::average_pool},
      {"BatchNormalization", &Importer::batch_normalization},
      {"Clip", &Importer::clip},
      {"Concat", &Importer::concat},
      {"Constant", &Importer::constant_node},
      {"Conv", &Importer::conv},
      {"DequantizeLinear", &Importer::dequantize_linear},
      {"Div", &Importer::divide},
      {"Dropout", &Importer::identity},
      {"Flatten", &Importer::flatten},
      {"Gemm", &Importer::gemm},
      {"GlobalAveragePool", &Importer::global_average_pool},
      {"HardSigmoid", &Importer::hard_sigmoid},
      {"HardSwish", &Importer::activation},
      {"Identity", &Importer::identity},
      {"MatMul", &Importer::matmul},
      {"MaxPool", &Importer::max_pool},
      {"Mul", &Importer::multiply},
      {"Pad", &Importer::pad},
      {"QuantizeLinear", &Importer::quantize_linear},
      {"ReduceMean", &Importer::reduce_mean},
      {"Relu", &Importer::activation},
      {"Reshape", &Importer::reshape},
      {"Resize", &Importer::resize},
      {"Sigmoid", &Importer::activation},
      {"Softmax", &Importer::softmax},
      {"Squeeze", &Importer::squeeze},
      {"Sub", &Importer::subtract},
      {"Transpose", &Importer::transpose},
      {"Unsqueeze", &Importer::unsqueeze},
      {"Upsample", &Importer::upsample}};
  return kMethods;
}

Quantization Importer::quantization_of(const NodeReader& source) {
  const Constant& scale = required_constant(source, 1, "scale");
  const Constant* zero = source.has_input(2) ? constant(source.input(2)) : nullptr;
  const bool one = scale.floats.size() == 1 && zero != nullptr && zero->integers.size() == 1;
  if (!one || !(scale.floats[0] > 0) || zero->integers[0] < -128 || zero->integers[0] > 127)
    source.refuse("is not with one scale above 0 and one int8 zero point; accepted: int8 activations");
  return {scale.floats[0], static_cast<std::int32_t>(zero->integers[0])};
}

void Importer::note_quantization(const NodeReader& source, NodeId id, Quantization q) {
  FileQuantization& there = quantization_[static_cast<std::size_t>(id)];
  if (there.quantized && there.node.output != q)
    source.refuse("has another scale or zero point than the same tensor before; accepted: one of each");
  there.quantized = true;
  there.node.output = q;
}

void Importer::quantize_linear(const NodeReader& source) {
  source.check(2, 3, {"axis"});
  if (!quantized_) source.refuse("found in a float model; supported: float32 models");
  const Value value = read(source, 0);
  note_quantization(source, value.node, quantization_of(source));
  define(source, value);
}

// Of a constant: its integers stay beside the reals. Of anything else: the same tensor.
void Importer::dequantize_linear(const NodeReader& source) {
  source.check(2, 3, {"axis"});
  if (!quantized_) source.refuse("found in a float model; supported: float32 models");
  const Constant* fixed = constant(source.input(0));
  if (fixed == nullptr) {
    const Value value = read(source, 0);
    note_quantization(source, value.node, quantization_of(source));
    return define(source, value);
  }
  Constant result = *fixed;
  result.scales = required_constant(source, 1, "scale").floats;
  result.one_scale = required_constant(source, 1, "scale").dims.empty();
  const bool per_channel = result.scales.size() > 1;
  const bool fits = !fixed->is_float && !result.dims.empty() &&
                    (!per_channel || fixed->dims[0] == static_cast<std::int64_t>(result.scales.size())) &&
                    !result.scales.empty();
  const Constant* zero = source.has_input(2) ? constant(source.input(2)) : nullptr;
  const bool symmetric = zero == nullptr || std::all_of(zero->integers.begin(), zero->integers.end(),
                                                        [](auto z) { return z == 0; });
  if (!fits || !symmetric || (per_channel && source.integer("axis", 1) != 0))
    source.refuse("of a constant: accepted: integers with zero point 0, one scale or one per output channel");
  const auto inner = per_channel ? result.integers.size() / result.scales.size() : result.integers.size();
  result.is_float = true;
  for (std::size_t i = 0; i < result.integers.size(); ++i)
    result.floats.push_back(static_cast<float>(result.integers[i]) * result.scales[i / inner]);
  define(source, std::move(result));
}

}  // namespace mcufit::onnx_file
