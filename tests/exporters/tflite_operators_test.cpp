// SPDX-License-Identifier: Apache-2.0
// Operator by operator: what the importer makes of a file's, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks/foundation/error.h"
#include "exporters/interpreter.h"
#include "exporters/tflite/import.h"
#include "tests/exporters/tflite_model.h"

namespace mcufit::testing {
namespace {

using schema::ActivationFunctionType;
using schema::BuiltinOptions;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Ints = std::vector<std::int32_t>;

enum Code {
  kAdd = 0,
  kAveragePool = 1,
  kConcatenation = 2,
  kConv = 3,
  kDepthwise = 4,
  kDequantize = 6,
  kLogistic = 14,
  kMaxPool = 17,
  kMul = 18,
  kRelu = 19,
  kRelu6 = 21,
  kReshape = 22,
  kPad = 34,
  kTranspose = 39,
  kMean = 40,
  kSqueeze = 43,
  kPadV2 = 60,
  kExpandDims = 70,
  kResizeNearest = 97,
  kQuantize = 114,
  kHardSwish = 117
};

TfliteTensor tensor(Ints shape) { return computed(std::move(shape), 0.5F, -3); }

QuantizedGraph imported(const TfliteModel& model) { return import_tflite(serialized(model), "m"); }

Node imported_node(const OneOperator& one) {
  const QuantizedGraph q = imported(one_operator_model(one));
  EXPECT_EQ(q.graph.size(), 2);
  return q.graph.nodes.back();
}

std::string refusal(const TfliteModel& model) {
  try {
    imported(model);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input) << error.what();
    return error.what();
  }
  return "accepted";
}

std::string refusal(const OneOperator& one) { return refusal(one_operator_model(one)); }

OneOperator convolution(std::int32_t rows, std::int32_t columns, schema::Padding padding) {
  return {kConv,
          tensor({1, 9, 9, 2}),
          tensor({1, rows, columns, 3}),
          {filter({3, 3, 3, 2}, 3, 0), bias(3)},
          BuiltinOptions::Conv2DOptions,
          written([=](Builder& b) {
            return schema::CreateConv2DOptions(b, padding, 1, 2, ActivationFunctionType::NONE, 2, 3);
          })};
}

TEST(TfliteOperators, DilationWidensTheWindow) {
  // 3 taps 3 rows apart span 7, 2 columns apart 5.
  EXPECT_EQ(imported_node(convolution(2, 5, schema::Padding::VALID)).op,
            Op(Conv2d{3, {3, 3, 2, 1, {}, 3, 2}, true}));
  EXPECT_EQ(imported_node(convolution(5, 9, schema::Padding::SAME)).op,
            Op(Conv2d{3, {3, 3, 2, 1, {3, 3, 2, 2}, 3, 2}, true}));
}

OneOperator depthwise(std::int32_t multiplier) {
  return {kDepthwise,
          tensor({1, 4, 4, 2}),
          tensor({1, 2, 2, 6}),
          {filter({1, 3, 3, 6}, 6, 3), bias(6)},
          BuiltinOptions::DepthwiseConv2DOptions,
          written([=](Builder& b) {
            return schema::CreateDepthwiseConv2DOptions(b, schema::Padding::VALID, 1, 1, multiplier);
          })};
}

TEST(TfliteOperators, DepthwiseConvolutionsMayMultiplyChannels) {
  const Op expected = DepthwiseConv2d{square_window(3, 1, 0), true, Activation::none, 3};
  EXPECT_EQ(imported_node(depthwise(3)).op, expected);
  EXPECT_EQ(imported_node(depthwise(0)).op, expected);
  EXPECT_THAT(refusal(depthwise(2)), HasSubstr("channel multiplier 2 reads 2 channels"));
}

OneOperator pool(int code, ActivationFunctionType activation) {
  return {code,
          tensor({1, 4, 4, 2}),
          tensor({1, 2, 2, 2}),
          {},
          BuiltinOptions::Pool2DOptions,
          written([=](Builder& b) {
            return schema::CreatePool2DOptions(b, schema::Padding::VALID, 2, 2, 2, 2, activation);
          })};
}

TEST(TfliteOperators, PoolingsMayHaveActivations) {
  EXPECT_EQ(imported_node(pool(kMaxPool, ActivationFunctionType::RELU)).op,
            Op(MaxPool2d{square_window(2, 2, 0), Activation::relu}));
  EXPECT_EQ(imported_node(pool(kAveragePool, ActivationFunctionType::RELU6)).op,
            Op(AveragePool2d{square_window(2, 2, 0), Activation::relu6}));
  EXPECT_THAT(refusal(pool(kMaxPool, static_cast<ActivationFunctionType>(2))), HasSubstr("activation 2"));
}

// A second tensor comes from a max pooling over the whole input (or over a pixel); `swapped` puts it first.
TfliteModel mul_model(bool broadcast, bool swapped) {
  const std::int32_t kernel = broadcast ? 4 : 1;
  const std::int32_t extent = broadcast ? 1 : 4;
  TfliteModel m;
  m.tensors = {tensor({1, 4, 4, 2}), tensor({1, extent, extent, 2}), computed({1, 4, 4, 2}, 0.7F, 0)};
  m.operators = {
      {kMaxPool, {0}, {1}, BuiltinOptions::Pool2DOptions, written([=](Builder& b) {
         return schema::CreatePool2DOptions(b, schema::Padding::VALID, 1, 1, kernel, kernel);
       })},
      {kMul, swapped ? Ints{1, 0} : Ints{0, 1}, {2}, BuiltinOptions::MulOptions, written([](Builder& b) {
         return schema::CreateMulOptions(b, ActivationFunctionType::RELU6);
       })}};
  m.inputs = {0};
  m.outputs = {2};
  return m;
}

TEST(TfliteOperators, MulHasTheBroadcastOperandSecond) {
  for (const bool swapped : {false, true}) {
    const QuantizedGraph q = imported(mul_model(true, swapped));
    EXPECT_EQ(q.graph.nodes.back().op, Op(Mul{Activation::relu6}));
    EXPECT_EQ(q.graph.nodes.back().inputs, (std::vector<NodeId>{0, 1}));
  }
  EXPECT_EQ(imported(mul_model(false, true)).graph.nodes.back().inputs, (std::vector<NodeId>{1, 0}));
  TfliteModel constant = mul_model(true, false);
  constant.tensors.push_back(filter({1, 1, 1, 2}, 1, 0));
  constant.operators[1].inputs = {1, 3};
  EXPECT_THAT(refusal(constant), AllOf(HasSubstr("operator 1 (MUL"), HasSubstr("is constant")));
}

OneOperator concatenation(std::int32_t axis, Ints output,
                          ActivationFunctionType activation = ActivationFunctionType::NONE) {
  return {kConcatenation,
          tensor({1, 2, 3, 4}),
          tensor(std::move(output)),
          {},
          BuiltinOptions::ConcatenationOptions,
          written([=](Builder& b) { return schema::CreateConcatenationOptions(b, axis, activation); })};
}

TEST(TfliteOperators, ConcatenationsRunAlongAnAxis) {
  const auto twice = [](const OneOperator& one) {
    TfliteModel m = one_operator_model(one);
    m.operators[0].inputs = {0, 0};
    return m;
  };
  const auto axis = [&](std::int32_t number, Ints output) {
    const Node node = imported(twice(concatenation(number, std::move(output)))).graph.nodes.back();
    EXPECT_EQ(node.inputs, (std::vector<NodeId>{0, 0}));
    return std::get<Concatenation>(node.op).axis;
  };
  EXPECT_EQ(axis(3, {1, 2, 3, 8}), Axis::channels);
  EXPECT_EQ(axis(-1, {1, 2, 3, 8}), Axis::channels);
  EXPECT_EQ(axis(2, {1, 2, 6, 4}), Axis::width);
  EXPECT_EQ(axis(-3, {1, 4, 3, 4}), Axis::height);
  EXPECT_THAT(refusal(concatenation(0, {1, 2, 3, 4})), HasSubstr("found axis 0 of 4 dimensions"));
  EXPECT_THAT(refusal(concatenation(4, {1, 2, 3, 4})), HasSubstr("found axis 4 of 4 dimensions"));
  EXPECT_THAT(refusal(concatenation(3, {1, 2, 3, 4}, ActivationFunctionType::RELU)), HasSubstr("fused"));
  EXPECT_THAT(refusal(twice(concatenation(3, {1, 2, 3, 7}))), HasSubstr("2x3x8, as its inputs make it"));
}

OneOperator pad(const Ints& counts, Ints output) {
  return {kPad,
          tensor({1, 4, 5, 2}),
          tensor(std::move(output)),
          {integers({static_cast<std::int32_t>(counts.size()) / 2, 2}, counts)}};
}

OneOperator pad_with(std::uint8_t value) {
  OneOperator one = pad({0, 0, 1, 0, 0, 2, 0, 0}, {1, 5, 7, 2});
  one.code = kPadV2;
  TfliteTensor constant = tensor({1});
  constant.data = {value};
  one.constants.push_back(constant);
  return one;
}

TEST(TfliteOperators, PadsHaveBordersAndValues) {
  EXPECT_EQ(imported_node(pad({0, 0, 1, 0, 0, 2, 3, 4}, {1, 5, 7, 9})).op, Op(Pad{{1, 0, 0, 2}, 3, 4, 0.0F}));
  OneOperator longs = pad({0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0}, {1, 5, 7, 2});
  longs.constants[0].type = schema::TensorType::INT64;
  longs.constants[0].shape = {4, 2};
  EXPECT_EQ(imported_node(longs).op, Op(Pad{{1, 0, 0, 2}, 0, 0, 0.0F}));
  EXPECT_EQ(imported_node(pad_with(7)).op, Op(Pad{{1, 0, 0, 2}, 0, 0, 5.0F}));
  EXPECT_EQ(imported_node(pad_with(0xfd)).op, Op(Pad{{1, 0, 0, 2}, 0, 0, 0.0F}));
  EXPECT_THAT(refusal(pad({1, 0, 0, 0, 0, 0, 0, 0}, {1, 4, 5, 2})), HasSubstr("none around samples"));
  EXPECT_THAT(refusal(pad({0, 0, -1, 0, 0, 0, 0, 0}, {1, 3, 5, 2})), HasSubstr("each in [0, 32767]"));
  EXPECT_THAT(refusal(pad({0, 0, 1, 0}, {1, 5, 5, 2})), HasSubstr("found 4 borders of 4 dimensions"));
  OneOperator other = pad_with(7);
  other.constants[1].scales = {0.25F};
  EXPECT_THAT(refusal(other), HasSubstr("in the output's scale"));
}

// One operator and what reads it.
TfliteModel chained_model(const OneOperator& first, const OneOperator& reader) {
  TfliteModel m = one_operator_model(first);
  const auto count = static_cast<std::int32_t>(m.tensors.size());
  TfliteOperator op{reader.code, {1}, {count}, reader.kind, reader.options};
  m.tensors.push_back(reader.output);
  for (const TfliteTensor& constant : reader.constants) {
    op.inputs.push_back(static_cast<std::int32_t>(m.tensors.size()));
    m.tensors.push_back(constant);
  }
  m.operators.push_back(op);
  m.outputs = {count};
  return m;
}

OneOperator mean(const Ints& axes, Ints output, bool keep) {
  return {kMean,
          tensor({1, 4, 5, 2}),
          tensor(std::move(output)),
          {integers({static_cast<std::int32_t>(axes.size())}, axes)},
          BuiltinOptions::ReducerOptions,
          written([=](Builder& b) { return schema::CreateReducerOptions(b, keep); })};
}

TEST(TfliteOperators, MeansRunOverRowsAndColumns) {
  EXPECT_EQ(imported_node(mean({1, 2}, {1, 1, 1, 2}, true)).op, Op(Mean{true, true}));
  EXPECT_EQ(imported_node(mean({-2, -3}, {1, 2}, false)).op, Op(Mean{true, true}));
  EXPECT_EQ(imported_node(mean({1}, {1, 5, 2}, false)).op, Op(Mean{true, false}));
  EXPECT_EQ(imported_node(mean({2}, {1, 4, 1, 2}, true)).op, Op(Mean{false, true}));
  EXPECT_THAT(refusal(mean({3}, {1, 4, 5, 1}, true)), HasSubstr("averages over channels"));
  EXPECT_THAT(refusal(mean({0}, {1, 4, 5, 2}, true)), HasSubstr("found axis 0"));
  EXPECT_THAT(refusal(mean({7}, {1, 4, 5, 2}, true)), HasSubstr("axis 7"));
  EXPECT_THAT(refusal(mean({1}, {1, 4, 5, 2}, true)), HasSubstr("output is said to be 4x5x2"));
  EXPECT_THAT(refusal(mean({}, {1, 4, 5, 2}, true)), HasSubstr("extent of 0"));
}

// A mean's rows in the place of columns, and a reader that sees it.
TEST(TfliteOperators, DroppedDimensionsAreAReshape) {
  TfliteModel m = one_operator_model(mean({2}, {1, 4, 2}, false));
  m.tensors.push_back(computed({1, 4, 2}, 1.0F / 256, -128));
  m.operators.push_back({kLogistic, {1}, {3}, BuiltinOptions::NONE, {}});
  m.outputs = {3};
  const QuantizedGraph q = imported(m);
  ASSERT_EQ(q.graph.size(), 4);
  EXPECT_EQ(q.graph.node(2).op, Op(Reshape{{1, 4, 2}}));
  EXPECT_EQ(q.graph.node(2).name, "mean_0_reshape");
}

OneOperator plain(int code, TfliteTensor output) { return {code, tensor({1, 4, 5, 2}), std::move(output)}; }

TEST(TfliteOperators, ActivationsStandAlone) {
  const TfliteTensor unit = computed({1, 4, 5, 2}, 1.0F / 256, -128);
  const TfliteTensor other = computed({1, 4, 5, 2}, 0.25F, 10);
  EXPECT_EQ(imported_node(plain(kLogistic, unit)).op, Op(Activate{Activation::sigmoid}));
  EXPECT_EQ(imported_node(plain(kHardSwish, other)).op, Op(Activate{Activation::hard_swish}));
  EXPECT_EQ(imported_node(plain(kRelu, other)).op, Op(Activate{Activation::relu}));
  EXPECT_EQ(imported_node(plain(kRelu6, tensor({1, 4, 5, 2}))).op, Op(Activate{Activation::relu6}));
  EXPECT_EQ(imported_node(plain(kQuantize, other)).op, Op(Activate{Activation::none}));
  EXPECT_THAT(refusal(plain(kLogistic, other)), HasSubstr("logistic_0"));
  EXPECT_THAT(refusal(plain(kRelu6, other)), HasSubstr("relu6_0"));
}

TEST(TfliteOperators, ResizesKnowTheirOptions) {
  const auto resize = [](const Ints& size, Ints output) {
    return OneOperator{
        kResizeNearest,
        tensor({1, 4, 5, 2}),
        tensor(std::move(output)),
        {integers({static_cast<std::int32_t>(size.size())}, size)},
        BuiltinOptions::ResizeNearestNeighborOptions,
        written([](Builder& b) { return schema::CreateResizeNearestNeighborOptions(b, false, true); })};
  };
  EXPECT_EQ(imported_node(resize({8, 3}, {1, 8, 3, 2})).op, Op(ResizeNearestNeighbor{8, 3, false, true}));
  EXPECT_THAT(refusal(resize({8, 0}, {1, 8, 3, 2})), HasSubstr("no pair of numbers"));
  EXPECT_THAT(refusal(resize({8}, {1, 8, 3, 2})), HasSubstr("no pair of numbers"));
}

// What comes between input and pooling is a node where the pooling sees it, and the input's shape where it is
// first.
TEST(TfliteOperators, ReshapesAreNodesWhereAReaderCanTell) {
  const auto through = [](const OneOperator& one) {
    TfliteModel m = chained_model(plain(kRelu6, tensor({1, 4, 5, 2})), one);
    const auto last = static_cast<std::int32_t>(m.tensors.size());
    m.tensors.push_back(tensor({1, 2, 10, 2}));
    m.operators.push_back({kRelu6, {m.outputs[0]}, {last}, BuiltinOptions::NONE, {}});
    m.outputs = {last};
    return m;
  };
  for (const int code : {kReshape, kSqueeze, kExpandDims}) {
    const QuantizedGraph q = imported(through({code, {}, tensor({1, 2, 10, 2})}));
    ASSERT_EQ(q.graph.size(), 4);
    EXPECT_EQ(q.graph.node(2).op, Op(Reshape{{2, 10, 2}}));
  }
  EXPECT_THAT(refusal(through({kReshape, {}, tensor({1, 2, 10, 3})})), HasSubstr("as many elements"));
  const std::vector<std::int8_t> input(40, 5);
  EXPECT_EQ(interpret(imported(through({kReshape, {}, tensor({1, 2, 10, 2})})), input).back(), input);
}

TEST(TfliteOperators, TransposesOnlyMoveExtentsOfOne) {
  const auto transpose = [](Ints shape, const Ints& order, Ints output) {
    TfliteModel m =
        one_operator_model({kTranspose, tensor(std::move(shape)), tensor(output), {integers({4}, order)}});
    m.tensors.push_back(tensor(output));
    m.operators.push_back({kRelu6, {1}, {3}, BuiltinOptions::NONE, {}});
    m.outputs = {3};
    return m;
  };
  EXPECT_EQ(imported(transpose({1, 1, 5, 2}, {0, 2, 1, 3}, {1, 5, 1, 2})).graph.node(1).op,
            Op(Reshape{{5, 1, 2}}));
  EXPECT_THAT(refusal(transpose({1, 4, 5, 2}, {0, 2, 1, 3}, {1, 5, 4, 2})),
              AllOf(HasSubstr("operator 0 (TRANSPOSE"), HasSubstr("moves dimensions of 1x4x5x2")));
  EXPECT_THAT(refusal(transpose({1, 1, 5, 2}, {0, 2, 2, 3}, {1, 5, 1, 2})),
              HasSubstr("found the order 0, 2, 2, 3"));
}

// QUANTIZE -> RELU6 -> DEQUANTIZE, or QUANTIZE to uint8.
TfliteModel boundary_model(schema::TensorType type) {
  TfliteTensor outside = tensor({1, 4, 5, 2});
  outside.type = type;
  outside.scales = {0.25F};
  outside.zero_points = {20};
  const int last = type == schema::TensorType::FLOAT32 ? kDequantize : kQuantize;
  TfliteModel m;
  m.tensors = {outside, tensor({1, 4, 5, 2}), tensor({1, 4, 5, 2}), outside};
  m.operators = {{kQuantize, {0}, {1}, BuiltinOptions::NONE, {}},
                 {kRelu6, {1}, {2}, BuiltinOptions::NONE, {}},
                 {last, {2}, {3}, BuiltinOptions::NONE, {}}};
  m.inputs = {0};
  m.outputs = {3};
  return m;
}

TEST(TfliteOperators, OtherTypesAreLeftToTheCaller) {
  for (const auto& [type, name] :
       {std::pair{schema::TensorType::FLOAT32, "FLOAT32"}, std::pair{schema::TensorType::UINT8, "UINT8"}}) {
    const auto read = read_tflite(serialized(boundary_model(type)), "m");
    ASSERT_EQ(read.graph.graph.size(), 2);
    EXPECT_EQ(read.graph.node(0).output, (Quantization{0.5F, -3}));
    EXPECT_THAT(read.notes, ::testing::ElementsAre(AllOf(HasSubstr(name), HasSubstr("input")),
                                                   AllOf(HasSubstr(name), HasSubstr("output"))));
  }
}

TEST(TfliteOperators, OtherTypesInsideAreRefused) {
  TfliteModel inside = boundary_model(schema::TensorType::FLOAT32);
  inside.operators.push_back({kQuantize, {3}, {4}, BuiltinOptions::NONE, {}});
  inside.tensors.push_back(tensor({1, 4, 5, 2}));
  inside.outputs = {4};
  EXPECT_THAT(refusal(inside),
              AllOf(HasSubstr("operator 2 (DEQUANTIZE"), HasSubstr("stands inside the model")));
  TfliteModel twice = boundary_model(schema::TensorType::UINT8);
  twice.operators[1].inputs = {0};
  EXPECT_THAT(refusal(twice), HasSubstr("no operator before"));
  TfliteModel early = boundary_model(schema::TensorType::FLOAT32);
  std::swap(early.operators[0], early.operators[1]);
  EXPECT_THAT(refusal(early), HasSubstr("not int8"));
}

}  // namespace
}  // namespace mcufit::testing
