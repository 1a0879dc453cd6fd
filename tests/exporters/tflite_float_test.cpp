// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "blocks/float_interpreter.h"
#include "blocks/foundation/error.h"
#include "exporters/tflite/float_import.h"
#include "exporters/tflite/import.h"
#include "tests/exporters/onnx_model.h"
#include "tests/exporters/tflite_model.h"

namespace mcufit::testing {
namespace {

using ::testing::HasSubstr;

std::vector<std::uint8_t> bytes_of(const std::vector<float>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// The small int8 model's network with float weights.
TfliteModel small_float_model() {
  TfliteModel model = small_tflite_model();
  for (TfliteTensor& tensor : model.tensors) {
    std::size_t elements = 1;
    for (const std::int32_t extent : tensor.shape) elements *= static_cast<std::size_t>(extent);
    if (!tensor.data.empty()) tensor.data = bytes_of(pattern(elements));
    tensor.type = schema::TensorType::FLOAT32;
    tensor.scales.clear();
    tensor.zero_points.clear();
  }
  return model;
}

std::string refusal(const std::function<void(TfliteModel&)>& harm) {
  TfliteModel model = small_float_model();
  harm(model);
  try {
    import_float_tflite(serialized(model), "small.tflite");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(TfliteFloatImport, KindsAreTold) {
  EXPECT_TRUE(is_float_tflite(serialized(small_float_model()), "small"));
  EXPECT_FALSE(is_float_tflite(serialized(small_tflite_model()), "small"));
}

// The same ops as in the int8 model of that network, activations apart.
TEST(TfliteFloatImport, ReadsTheNetwork) {
  const FloatModel model = import_float_tflite(serialized(small_float_model()), "small");
  std::vector<std::string> names;
  for (const Node& node : model.graph.nodes) names.push_back(node.name);
  EXPECT_THAT(names, ::testing::ElementsAre("input", "conv_2d_0", "conv_2d_0/relu6", "depthwise_conv_2d_1",
                                            "add_2", "add_2/relu", "max_pool_2d_3", "average_pool_2d_4",
                                            "reshape_5", "fully_connected_6", "softmax_7"));
  EXPECT_EQ(model.graph.node(1).op, Op(Conv2d{4, {3, 3, 2, 2, {1, 1, 0, 1}}, true}));
  EXPECT_EQ(model.weights.nodes[1].filter, pattern(72));
  EXPECT_EQ(model.weights.nodes[3].filter, pattern(36));
  EXPECT_EQ(model.weights.nodes[9].filter, pattern(12));
  EXPECT_EQ(model.weights.nodes[9].bias, pattern(3));
  EXPECT_EQ(interpret(model.graph, model.weights, pattern(60)).back().size(), 3U);
}

TEST(TfliteFloatImport, HalfPrecisionWeights) {
  TfliteModel model = small_float_model();
  // 1, -2, 0.5, the smallest subnormal and so on, behind a DEQUANTIZE.
  const std::vector<std::uint16_t> halves{0x3c00, 0xc000, 0x3800, 0x0001, 0x7bff, 0,
                                          0x8000, 0x3555, 0,      0,      0,      0};
  std::vector<std::uint8_t> bytes(24);
  std::memcpy(bytes.data(), halves.data(), bytes.size());
  model.tensors.push_back({{3, 4}, schema::TensorType::FLOAT16, {}, {}, 0, bytes});
  model.tensors[13].data.clear();
  model.operators.insert(model.operators.begin() + 6, {6, {15}, {13}, schema::BuiltinOptions::NONE, {}});
  const FloatModel read = import_float_tflite(serialized(model), "half");
  const std::vector<float> expected{1, -2, 0.5F, 0x1p-24F, 65504, 0, -0.0F, 0.333251953125F, 0, 0, 0, 0};
  EXPECT_EQ(read.weights.nodes[9].filter, expected);
}

// Dynamic range quantization: bytes with scales along the output channels, activations float.
TEST(TfliteFloatImport, ByteWeights) {
  TfliteModel model = small_float_model();
  const TfliteModel bytes = small_tflite_model();
  for (const std::size_t filter : {9U, 11U, 13U}) model.tensors[filter] = bytes.tensors[filter];
  const std::string file = serialized(model);
  EXPECT_TRUE(is_float_tflite(file, "bytes"));
  const FloatModel read = import_float_tflite(file, "bytes");
  const auto value = [&](std::size_t tensor, std::size_t i, std::size_t channel) {
    return static_cast<float>(static_cast<std::int8_t>(bytes.tensors[tensor].data[i])) *
           bytes.tensors[tensor].scales[channel];
  };
  for (std::size_t i = 0; i < 72; ++i) EXPECT_EQ(read.weights.nodes[1].filter[i], value(9, i, i / 18)) << i;
  for (std::size_t i = 0; i < 36; ++i) EXPECT_EQ(read.weights.nodes[3].filter[i], value(11, i, i % 4)) << i;
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(read.weights.nodes[9].filter[i], value(13, i, 0)) << i;
}

TEST(TfliteFloatImport, PadMeanAndFunctions) {
  TfliteModel model;
  const auto tensor = [&](std::vector<std::int32_t> shape) {
    model.tensors.push_back({std::move(shape), schema::TensorType::FLOAT32, {}, {}, 0, {}});
  };
  const auto words = [&](const std::vector<std::int32_t>& values) {
    std::vector<std::uint8_t> bytes(values.size() * 4);
    std::memcpy(bytes.data(), values.data(), bytes.size());
    model.tensors.push_back(
        {{static_cast<std::int32_t>(values.size())}, schema::TensorType::INT32, {}, {}, 0, bytes});
  };
  tensor({1, 2, 2, 1});
  tensor({1, 3, 4, 1});
  for (int i = 0; i < 4; ++i) tensor({1, 3, 4, 1});
  tensor({1, 1});
  words({0, 0, 1, 0, 0, 2, 0, 0});
  words({1, -2});
  const auto none = schema::BuiltinOptions::NONE;
  model.operators = {{34, {0, 7}, {1}, none, {}}, {19, {1}, {2}, none, {}},  {21, {2}, {3}, none, {}},
                     {14, {3}, {4}, none, {}},    {117, {4}, {5}, none, {}}, {40, {5, 8}, {6}, none, {}}};
  model.inputs = {0};
  model.outputs = {6};
  const FloatModel read = import_float_tflite(serialized(model), "functions");
  float expected = 0;
  for (const float x : {-1.0F, 2.0F, 8.0F, 0.5F, 0.F, 0.F, 0.F, 0.F, 0.F, 0.F, 0.F, 0.F}) {
    const float s = 1 / (1 + std::exp(-std::clamp(x, 0.0F, 6.0F)));
    expected += s * (s + 3) / 6 / 12;
  }
  const std::vector<float> input{-1, 2, 8, 0.5F};
  EXPECT_NEAR(interpret(read.graph, read.weights, input).back()[0], expected, 1e-6);
}

TEST(TfliteFloatImport, Refusals) {
  using M = TfliteModel;
  EXPECT_THAT(refusal([](M& m) { m.operators[2].code = 18; }), HasSubstr("operator 2 (MUL, 'tensor3')"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[9].data.pop_back(); }), HasSubstr("287 bytes of data"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[9].type = schema::TensorType::INT8; }),
              HasSubstr("bytes of data"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[9].data = bytes_of(std::vector<float>(72, NAN)); }),
              HasSubstr("conv_2d_0"));
  EXPECT_THAT(refusal([](M& m) {
                m.tensors[10].shape = {2, 1};
                m.tensors[10].data.resize(8);
              }),
              HasSubstr("bias"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[1].type = schema::TensorType::INT8; }), HasSubstr("not float32"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[1].shape = {1, 3, 3, 5}; }), HasSubstr("said to be 3x3x5"));
  EXPECT_THAT(refusal([](M& m) { m.operators[1].outputs = {1}; }), HasSubstr("computed twice"));
  EXPECT_THAT(refusal([](M& m) { m.outputs = {7}; }), HasSubstr("does not lead to the output"));
  EXPECT_THAT(refusal([](M& m) { m.operators[0].inputs[0] = 2; }), HasSubstr("no operator before"));
}

TEST(TfliteFloatImport, DamagedFilesDoNoHarm) {
  const std::string whole = serialized(small_float_model());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {0xff, 0x01, 0x80}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      try {
        const FloatModel model = import_float_tflite(damaged, "damaged");
        if (model.graph.input_shape().elements() > 10000) continue;
        const std::vector<float> input(static_cast<std::size_t>(model.graph.input_shape().elements()));
        interpret(model.graph, model.weights, input);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::input) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace mcufit::testing
