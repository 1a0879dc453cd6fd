// SPDX-License-Identifier: Apache-2.0
// Operators of other people's files that an export of ours never has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "blocks/foundation/error.h"
#include "exporters/interpreter.h"
#include "exporters/tflite/import.h"
#include "tests/exporters/tflite_model.h"

namespace mcufit::testing {
namespace {

using schema::BuiltinOptions;
using schema::TensorType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kDequantize = 6, kMul = 18, kPad = 34, kTranspose = 39, kMean = 40, kQuantize = 114;

TfliteTensor int8_tensor(std::vector<std::int32_t> shape, float scale = 0.5F, std::int64_t zero_point = 3) {
  return {std::move(shape), TensorType::INT8, {scale}, {zero_point}, 0, {}};
}

template <typename T>
TfliteTensor constant(std::vector<std::int32_t> shape, TensorType type, const std::vector<T>& values) {
  TfliteTensor t{std::move(shape), type, {}, {}, 0, {}};
  t.data.resize(values.size() * sizeof(T));
  std::memcpy(t.data.data(), values.data(), t.data.size());
  return t;
}

// input (tensor 0) -> one operator with constants behind it -> output (tensor 1)
TfliteModel one_operator(int code, TfliteTensor input, TfliteTensor output,
                         std::vector<TfliteTensor> constants) {
  TfliteModel model;
  TfliteOperator op{code, {0}, {1}, BuiltinOptions::NONE, {}};
  model.tensors = {std::move(input), std::move(output)};
  for (TfliteTensor& t : constants) {
    op.inputs.push_back(static_cast<std::int32_t>(model.tensors.size()));
    model.tensors.push_back(std::move(t));
  }
  model.operators = {op};
  model.inputs = {0};
  model.outputs = {1};
  return model;
}

std::string refusal(const TfliteModel& model) {
  try {
    import_tflite(serialized(model), "m.tflite");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input);
    return error.what();
  }
  return "accepted";
}

// As the converter writes models whose input and output stay float.
TEST(TfliteBoundary, FloatEndsAreLeftOutAndNoted) {
  TfliteModel model = small_tflite_model();
  model.tensors.push_back({{1, 5, 6, 2}, TensorType::FLOAT32, {}, {}, 0, {}});  // 15
  model.tensors.push_back({{1, 3}, TensorType::FLOAT32, {}, {}, 0, {}});        // 16
  model.operators.insert(model.operators.begin(), {kQuantize, {15}, {0}, BuiltinOptions::NONE, {}});
  model.operators.push_back({kDequantize, {8}, {16}, BuiltinOptions::NONE, {}});
  model.inputs = {15};
  model.outputs = {16};
  const TfliteModel plain = small_tflite_model();
  const auto found = read_tflite(serialized(model), "m");
  EXPECT_THAT(found.notes,
              ElementsAre("input: FLOAT32 in the file, int8 here", "output: FLOAT32 in the file, int8 here"));
  const std::vector<std::int8_t> input(60, 7);
  EXPECT_EQ(interpret(found.graph, input).back(),
            interpret(import_tflite(serialized(plain), "m"), input).back());
}

TEST(TfliteBoundary, FloatInsideIsRefused) {
  TfliteModel model = small_tflite_model();
  model.operators[3] = {kDequantize, {3}, {4}, BuiltinOptions::NONE, {}};
  EXPECT_THAT(refusal(model), HasSubstr("stands inside the model"));
  TfliteModel raw = small_tflite_model();
  raw.tensors[0].type = TensorType::FLOAT32;
  EXPECT_THAT(refusal(raw), HasSubstr("full int8 models"));
}

TEST(TfliteBoundary, QuantizeBetweenScales) {
  const auto graph = import_tflite(serialized(one_operator(kQuantize, int8_tensor({1, 2, 3, 1}),
                                                           int8_tensor({1, 2, 3, 1}, 0.25F, -1), {})),
                                   "m");
  EXPECT_EQ(graph.graph.node(1).op, Op(Activate{Activation::none}));
  EXPECT_EQ(interpret(graph, std::vector<std::int8_t>{3, 4, 5, -128, 127, 0}).back(),
            (std::vector<std::int8_t>{-1, 1, 3, -128, 127, -7}));
}

TEST(TfliteBoundary, MulWithTheRepeatedOperandFirst) {
  TfliteModel model = one_operator(kMean, int8_tensor({1, 2, 2, 3}), int8_tensor({1, 3}),
                                   {constant<std::int32_t>({2}, TensorType::INT32, {1, -2})});
  model.operators[0].kind = BuiltinOptions::ReducerOptions;
  model.operators[0].options = [](Builder& b) { return schema::CreateReducerOptions(b, false).Union(); };
  model.tensors.push_back(int8_tensor({1, 2, 2, 3}, 4.0F, 0));  // 3
  model.operators.push_back({kMul, {1, 0}, {3}, BuiltinOptions::MulOptions, [](Builder& b) {
                               return schema::CreateMulOptions(b).Union();
                             }});
  model.outputs = {3};
  const Graph graph = import_tflite(serialized(model), "m").graph;
  EXPECT_EQ(graph.node(1).op, Op(Mean{true, true}));
  EXPECT_EQ(graph.node(2).inputs, (std::vector<NodeId>{0, 1}));
}

TEST(TfliteBoundary, PaddingsOf64Bits) {
  const auto pad = [](std::vector<std::int64_t> borders) {
    return one_operator(kPad, int8_tensor({1, 2, 3, 1}), int8_tensor({1, 3, 5, 1}),
                        {constant({4, 2}, TensorType::INT64, borders)});
  };
  const Graph graph = import_tflite(serialized(pad({0, 0, 1, 0, 0, 2, 0, 0})), "m").graph;
  EXPECT_EQ(graph.node(1).op, Op(Pad{{1, 0, 0, 2}}));
  EXPECT_THAT(refusal(pad({1, 0, 0, 0, 0, 2, 0, 0})), HasSubstr("none around samples"));
  EXPECT_THAT(refusal(pad({0, 0, -1, 0, 0, 2, 0, 0})), HasSubstr("[0, 32767]"));
  EXPECT_THAT(refusal(pad({0, 0, 2, 0, 0, 2, 0, 0})), HasSubstr("output is said to be 3x5x1"));
}

TEST(TfliteBoundary, TransposesThatMoveNothing) {
  const auto transpose = [](std::vector<std::int32_t> from, std::vector<std::int32_t> order,
                            std::vector<std::int32_t> to) {
    return one_operator(kTranspose, int8_tensor(std::move(from)), int8_tensor(std::move(to)),
                        {constant({4}, TensorType::INT32, order)});
  };
  const Graph graph =
      import_tflite(serialized(transpose({1, 4, 1, 3}, {0, 2, 1, 3}, {1, 1, 4, 3})), "m").graph;
  EXPECT_EQ(graph.node(1).op, Op(Reshape{{1, 4, 3}}));
  EXPECT_THAT(refusal(transpose({1, 4, 2, 3}, {0, 2, 1, 3}, {1, 2, 4, 3})), HasSubstr("only extents of 1"));
  EXPECT_THAT(refusal(transpose({1, 4, 1, 3}, {0, 2, 9, 3}, {1, 1, 4, 3})),
              HasSubstr("found the order 0, 2, 9, 3"));
}

TEST(TfliteBoundary, MeansOverChannelsAreRefused) {
  TfliteModel model = one_operator(kMean, int8_tensor({1, 2, 2, 3}), int8_tensor({1, 2, 2, 1}),
                                   {constant<std::int32_t>({1}, TensorType::INT32, {3})});
  EXPECT_THAT(refusal(model), HasSubstr("over channels"));
  model.tensors[2].data.clear();
  EXPECT_THAT(refusal(model), HasSubstr("no constant int32"));
}

TEST(TfliteBoundary, TheTableOfOperatorsIsWhatIsRead) {
  const auto all = tflite_operators();
  EXPECT_EQ(all.size(), 23U);
  for (const auto& op : all) EXPECT_FALSE(op.name.empty());
}

}  // namespace
}  // namespace mcufit::testing
