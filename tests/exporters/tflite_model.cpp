// SPDX-License-Identifier: Apache-2.0
#include "tests/exporters/tflite_model.h"

#include <algorithm>

namespace mcufit::testing {
namespace {

flatbuffers::Offset<schema::Tensor> write_tensor(Builder& b, const TfliteTensor& t, std::uint32_t buffer,
                                                 std::size_t number) {
  const auto shape = b.CreateVector(t.shape);
  const auto name = b.CreateString("tensor" + std::to_string(number));
  const auto scales = b.CreateVector(t.scales);
  const auto zero_points = b.CreateVector(t.zero_points);
  const auto quantization = schema::CreateQuantizationParameters(b, scales, zero_points, t.dimension);
  return schema::CreateTensor(b, shape, t.type, buffer, name, quantization);
}

std::vector<TfliteOperator> small_operators() {
  using schema::BuiltinOptions;
  using schema::Padding;
  const auto pool = written([](Builder& b) {
    return schema::CreatePool2DOptions(b, Padding::VALID, 1, 1, 2, 2, schema::ActivationFunctionType::NONE);
  });
  return {{3, {0, 9, 10}, {1}, BuiltinOptions::Conv2DOptions, written([](Builder& b) {
             return schema::CreateConv2DOptions(b, Padding::SAME, 2, 2,
                                                schema::ActivationFunctionType::RELU6);
           })},
          {4, {1, 11, 12}, {2}, BuiltinOptions::DepthwiseConv2DOptions, written([](Builder& b) {
             return schema::CreateDepthwiseConv2DOptions(b, Padding::SAME, 1, 1, 1);
           })},
          {0, {1, 2}, {3}, BuiltinOptions::AddOptions, written([](Builder& b) {
             return schema::CreateAddOptions(b, schema::ActivationFunctionType::RELU);
           })},
          {17, {3}, {4}, BuiltinOptions::Pool2DOptions, pool},
          {1, {4}, {5}, BuiltinOptions::Pool2DOptions, pool},
          {22, {5}, {6}, BuiltinOptions::NONE, {}},
          {9, {6, 13, 14}, {7}, BuiltinOptions::FullyConnectedOptions, written([](Builder& b) {
             return schema::CreateFullyConnectedOptions(b);
           })},
          {25, {7}, {8}, BuiltinOptions::SoftmaxOptions, written([](Builder& b) {
             return schema::CreateSoftmaxOptions(b, 1.0F);
           })}};
}

}  // namespace

TfliteTensor computed(std::vector<std::int32_t> shape, float scale, std::int64_t zero_point) {
  return {std::move(shape), schema::TensorType::INT8, {scale}, {zero_point}, 0, {}};
}

TfliteTensor filter(std::vector<std::int32_t> shape, std::size_t channels, std::int32_t dimension) {
  TfliteTensor t{std::move(shape), schema::TensorType::INT8, {}, {}, dimension, {}};
  std::int64_t elements = 1;
  for (const std::int32_t extent : t.shape) elements *= extent;
  for (std::int64_t i = 0; i < elements; ++i)
    t.data.push_back(static_cast<std::uint8_t>(static_cast<std::int8_t>(i * 37 % 255 - 127)));
  for (std::size_t c = 0; c < channels; ++c) t.scales.push_back(0.002F + 0.001F * static_cast<float>(c));
  t.zero_points.assign(channels, 0);
  return t;
}

TfliteTensor bias(std::int32_t channels) {
  TfliteTensor t{{channels}, schema::TensorType::INT32, {}, {}, 0, {}};
  for (std::int32_t i = 0; i < channels; ++i)
    for (const int byte : {i * 50, 1, 0, 0}) t.data.push_back(static_cast<std::uint8_t>(byte));
  return t;
}

TfliteTensor integers(std::vector<std::int32_t> shape, const std::vector<std::int32_t>& values) {
  TfliteTensor t{std::move(shape), schema::TensorType::INT32, {}, {}, 0, {}};
  for (const std::int32_t value : values)
    for (int bit = 0; bit < 32; bit += 8)
      t.data.push_back(static_cast<std::uint8_t>(static_cast<std::uint32_t>(value) >> bit));
  return t;
}

TfliteModel one_operator_model(const OneOperator& one) {
  TfliteModel model;
  model.tensors = {one.input, one.output};
  TfliteOperator op{one.code, {0}, {1}, one.kind, one.options};
  for (const TfliteTensor& constant : one.constants) {
    op.inputs.push_back(static_cast<std::int32_t>(model.tensors.size()));
    model.tensors.push_back(constant);
  }
  model.operators = {op};
  model.inputs = {0};
  model.outputs = {1};
  return model;
}

std::string serialized(const TfliteModel& model) {
  Builder b;
  std::vector<flatbuffers::Offset<schema::Buffer>> buffers{schema::CreateBuffer(b)};
  std::vector<flatbuffers::Offset<schema::Tensor>> tensors;
  for (const TfliteTensor& t : model.tensors) {
    const bool constant = !t.data.empty();
    if (constant) {
      b.ForceVectorAlignment(t.data.size(), 1, 16);
      const auto data = b.CreateVector(t.data);
      buffers.push_back(schema::CreateBuffer(b, data));
    }
    const auto buffer = constant ? static_cast<std::uint32_t>(buffers.size() - 1) : 0U;
    tensors.push_back(write_tensor(b, t, buffer, tensors.size()));
  }
  std::vector<flatbuffers::Offset<schema::OperatorCode>> codes;
  std::vector<flatbuffers::Offset<schema::Operator>> operators;
  for (const TfliteOperator& op : model.operators) {
    const auto byte = static_cast<std::int8_t>(std::min(op.code, 127));
    codes.push_back(schema::CreateOperatorCode(b, byte, 0, 1, static_cast<schema::BuiltinOperator>(op.code)));
    const auto options = op.options ? op.options(b) : flatbuffers::Offset<void>();
    const auto inputs = b.CreateVector(op.inputs);
    const auto outputs = b.CreateVector(op.outputs);
    operators.push_back(schema::CreateOperator(b, static_cast<std::uint32_t>(codes.size() - 1), inputs,
                                               outputs, op.kind, options));
  }
  const auto tensor_list = b.CreateVector(tensors);
  const auto inputs = b.CreateVector(model.inputs);
  const auto outputs = b.CreateVector(model.outputs);
  const auto operator_list = b.CreateVector(operators);
  const std::vector<flatbuffers::Offset<schema::SubGraph>> graphs{
      schema::CreateSubGraph(b, tensor_list, inputs, outputs, operator_list)};
  const auto code_list = b.CreateVector(codes);
  const auto graph_list = b.CreateVector(graphs);
  const auto buffer_list = b.CreateVector(buffers);
  schema::FinishModelBuffer(b, schema::CreateModel(b, model.version, code_list, graph_list, 0, buffer_list));
  return {reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize()};
}

TfliteModel small_tflite_model() {
  TfliteModel model;
  model.tensors = {computed({1, 5, 6, 2}, 0.5F, -3),
                   computed({1, 3, 3, 4}, 0.05F, -128),
                   computed({1, 3, 3, 4}, 0.04F, 5),
                   computed({1, 3, 3, 4}, 0.06F, -128),
                   computed({1, 2, 2, 4}, 0.06F, -128),
                   computed({1, 1, 1, 4}, 0.06F, -128),
                   computed({1, 4}, 0.06F, -128),
                   computed({1, 3}, 0.03F, 10),
                   computed({1, 3}, 1.0F / 256, -128),
                   filter({4, 3, 3, 2}, 4, 0),
                   bias(4),
                   filter({1, 3, 3, 4}, 4, 3),
                   bias(4),
                   filter({3, 4}, 1, 0),
                   bias(3)};
  model.operators = small_operators();
  model.inputs = {0};
  model.outputs = {8};
  return model;
}

}  // namespace mcufit::testing
