// SPDX-License-Identifier: Apache-2.0
// The judge, judged: every expected value below was worked out by hand.
#include "exporters/interpreter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "blocks/float_interpreter.h"
#include "blocks/weights.h"
#include "tests/exporters/random_graphs.h"

namespace mcufit {
namespace {

using Bytes = std::vector<std::int8_t>;

// input -> op, with the given integers.
QuantizedGraph one_op(Shape input, Quantization input_quantization, const Op& op, QuantizedNode node) {
  QuantizedGraph graph;
  graph.graph.name = "golden";
  graph.graph.nodes = {{Input{input}, {}, input, "input"}, {op, {0}, infer_shape(op, {input}, "op"), "op"}};
  graph.nodes = {{input_quantization, {}, {}, {}}, std::move(node)};
  verify(graph);
  return graph;
}

TEST(Interpreter, Conv2dSumsOffsetInputsAndBias) {
  const Conv2d op{.output_channels = 1, .window = square_window(2, 1, 0), .bias = true};
  const auto graph = one_op({2, 2, 1}, {0.5F, -1}, op, {{0.5F, 3}, {1, 2, 3, 4}, {0.5F}, {10}});
  // (1*1 + 2*2 + 3*3 + 4*4 + 10) * 0.5 + 3
  EXPECT_EQ(interpret(graph, Bytes{0, 1, 2, 3}).back(), (Bytes{23}));
}

TEST(Interpreter, Conv2dReadsFiltersAsOutputRowColumnInput) {
  const Conv2d op{.output_channels = 2, .window = {1, 2, 1, 1, {}}};
  const auto graph = one_op({1, 2, 2}, {1, 0}, op, {{1, 0}, {1, 2, 3, 4, -1, 0, 0, 1}, {1, 1}, {}});
  EXPECT_EQ(interpret(graph, Bytes{5, 6, 7, 8}).back(), (Bytes{5 + 12 + 21 + 32, -5 + 8}));
}

TEST(Interpreter, PaddingCountsAsRealZeroAndTiesRoundUpwards) {
  const Conv2d op{.output_channels = 2, .window = square_window(3, 1, 1), .bias = true};
  Bytes filter(18, 7);
  std::fill(filter.begin() + 9, filter.end(), std::int8_t{-7});
  const auto graph = one_op({1, 1, 1}, {1, 2}, op, {{2, 0}, filter, {1, 1}, {0, 0}});
  EXPECT_EQ(interpret(graph, Bytes{5}).back(), (Bytes{11, -10}));  // 3 * 7 / 2 = 10.5, -10.5
}

TEST(Interpreter, StridesSkipOutputs) {
  const Conv2d op{.output_channels = 1, .window = {1, 1, 1, 2, {}}};
  const auto graph = one_op({1, 5, 1}, {1, 0}, op, {{1, 0}, {1}, {1}, {}});
  EXPECT_EQ(interpret(graph, Bytes{1, 2, 3, 4, 5}).back(), (Bytes{1, 3, 5}));
}

TEST(Interpreter, DepthwiseConv2dKeepsChannelsApart) {
  const DepthwiseConv2d op{.window = {1, 2, 1, 1, {}}, .bias = true};
  const auto graph = one_op({1, 2, 2}, {1, 0}, op, {{2, 0}, {1, 10, 2, 20}, {1, 2}, {1, -90}});
  EXPECT_EQ(interpret(graph, Bytes{1, 2, 3, 4}).back(), (Bytes{4, 10}));  // (1 + 6 + 1) / 2, 20 + 80 - 90
}

TEST(Interpreter, FullyConnectedWithMultipliersAboveOne) {
  FullyConnected op{.output_channels = 2, .bias = true};
  const QuantizedNode node{{0.5F, -1}, {1, 1, 5, -5}, {1.5F, 1.5F}, {0, 1}};
  EXPECT_EQ(interpret(one_op({1, 1, 2}, {1, 0}, op, node), Bytes{2, 3}).back(), (Bytes{14, -13}));
  op.activation = Activation::relu;
  EXPECT_EQ(interpret(one_op({1, 1, 2}, {1, 0}, op, node), Bytes{2, 3}).back(), (Bytes{14, -1}));
}

TEST(Interpreter, OutputsSaturateAndRelu6Clamps) {
  Conv2d op{.output_channels = 1, .window = square_window(1, 1, 0)};
  const QuantizedNode node{{0.1F, -128}, {127}, {0.1F}, {}};
  EXPECT_EQ(interpret(one_op({1, 3, 1}, {1, 0}, op, node), Bytes{-1, 0, 100}).back(),
            (Bytes{-128, -128, 127}));
  op.activation = Activation::relu6;
  EXPECT_EQ(interpret(one_op({1, 3, 1}, {1, 0}, op, node), Bytes{-1, 0, 100}).back(),
            (Bytes{-128, -128, -68}));
}

TEST(Interpreter, AddRescalesBothInputsAndRoundsTiesAwayFromZero) {
  QuantizedGraph graph;
  const Shape shape{1, 2, 1};
  const Conv2d conv{.output_channels = 1, .window = square_window(1, 1, 0)};
  graph.graph.nodes = {
      {Input{shape}, {}, shape, "input"}, {conv, {0}, shape, "twice"}, {Add{}, {1, 0}, shape, "add"}};
  // The convolution's scale is half the input's: it holds 2 * x for the same real value.
  graph.nodes = {{{1, 0}, {}, {}, {}}, {{0.5F, 0}, {1}, {1}, {}}, {{4, -4}, {}, {}, {}}};
  verify(graph);
  const auto values = interpret(graph, Bytes{5, -5});
  EXPECT_EQ(values[1], (Bytes{10, -10}));
  EXPECT_EQ(values[2], (Bytes{-1, -7}));  // (5 + 5) / 4 = 2.5 -> 3, -2.5 -> -3; zero point -4
}

TEST(Interpreter, AveragePoolRoundsTiesAwayFromZero) {
  const AveragePool2d op{{1, 2, 1, 2, {}}};
  const auto graph = one_op({1, 6, 1}, {1, 7}, op, {{1, 7}, {}, {}, {}});
  EXPECT_EQ(interpret(graph, Bytes{-3, -4, 3, 4, -128, -128}).back(), (Bytes{-4, 4, -128}));
}

TEST(Interpreter, AveragePoolCountsOnlyTapsInside) {
  const AveragePool2d op{{2, 2, 2, 2, {1, 0, 1, 0}}};
  const auto graph = one_op({1, 3, 1}, {1, 100}, op, {{1, 100}, {}, {}, {}});
  EXPECT_EQ(interpret(graph, Bytes{10, 20, 31}).back(), (Bytes{10, 26}));  // 10 / 1, 51 / 2
}

TEST(Interpreter, MaxPoolIgnoresPadding) {
  const MaxPool2d op{square_window(3, 2, 1)};
  const auto graph = one_op({2, 2, 1}, {1, 0}, op, {{1, 0}, {}, {}, {}});
  EXPECT_EQ(interpret(graph, Bytes{-100, -90, -128, -95}).back(), (Bytes{-90}));
}

// The fixed-point exponential and reciprocal against the real ones, over scales from nearly flat to one-hot.
TEST(Interpreter, SoftmaxStaysWithinOneStepOfFloat) {
  const std::uint64_t seed = testing::test_seed();
  for (int i = 0; i < 500; ++i) {
    SCOPED_TRACE(testing::case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const auto channels = static_cast<std::int32_t>(random.between(1, 511));
    const float beta = i % 2 == 0 ? 1.0F : 0.25F;
    const QuantizedGraph graph = testing::single_op_graph(random, {1, 1, channels}, Softmax{beta});
    const Bytes input = testing::random_bytes(random, channels);
    const Bytes output = interpret(graph, input).back();
    const double scale = double{beta} * double{graph.node(0).output.scale};
    double sum = 0;
    for (const std::int8_t x : input) sum += std::exp(scale * x);
    for (std::size_t c = 0; c < input.size(); ++c) {
      const double expected = std::min(256 * std::exp(scale * input[c]) / sum - 128, 127.0);
      ASSERT_NEAR(output[c], expected, 0.51) << c;
    }
  }
}

TEST(Interpreter, SoftmaxOfOneChannelIsTheLargestOutput) {
  EXPECT_EQ(interpret(one_op({1, 1, 1}, {1, 0}, Softmax{}, {kUnitOutput, {}, {}, {}}), Bytes{-128}).back(),
            (Bytes{127}));
}

// Real values of a tensor.
std::vector<float> dequantized(const Bytes& bytes, const Quantization& q) {
  std::vector<float> real;
  for (const std::int8_t value : bytes) real.push_back(q.scale * static_cast<float>(value - q.zero_point));
  return real;
}

// The last node in integers against the same op in float on the same inputs: within `steps` of the output's
// scale wherever the real value can be expressed; two roundings may be .75 off.
void expect_near_float(const QuantizedGraph& graph, const Bytes& input, double steps) {
  const auto integers = interpret(graph, input);
  const auto reals =
      interpret(graph.graph, zero_weights(graph.graph), dequantized(input, graph.node(0).output));
  const Quantization& q = graph.nodes.back().output;
  for (std::size_t i = 0; i < integers.back().size(); ++i) {
    const double expected =
        std::clamp(double{reals.back()[i]} / double{q.scale} + q.zero_point, -128.0, 127.0);
    ASSERT_NEAR(integers.back()[i], expected, steps) << op_name(graph.graph.nodes.back().op) << " " << i;
  }
}

TEST(Interpreter, OpsWithoutWeightsStayNearFloat) {
  const std::uint64_t seed = testing::test_seed();
  for (int i = 0; i < 500 && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(testing::case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const Shape shape = testing::random_shape(random, 5, 6);
    const Bytes input = testing::random_bytes(random, shape.elements());
    for (const Activation a : {Activation::none, Activation::relu, Activation::relu6, Activation::sigmoid,
                               Activation::hard_sigmoid})
      expect_near_float(testing::single_op_graph(random, shape, Activate{a}), input, 0.76);
    expect_near_float(testing::single_op_graph(random, shape, Mean{i % 3 != 0, i % 2 != 0}), input, 0.76);
    expect_near_float(testing::single_op_graph(random, shape, ResizeNearestNeighbor{7, 3, i % 2 == 0}), input,
                      0.01);
    expect_near_float(testing::single_op_graph(random, shape, Pad{{1, 2, 0, 1}, 1, 2, 0.25F}), input, 0.76);
    expect_near_float(
        testing::single_op_graph(random, shape, Reshape{{1, 1, static_cast<std::int32_t>(shape.elements())}}),
        input, 0.01);
    expect_near_float(testing::concatenation_graph(random, shape, Axis::width), input, 0.01);
  }
}

// Its 16-bit arithmetic is coarser, by design of TensorFlow Lite: an error in proportion to the input's
// range.
TEST(Interpreter, HardSwishStaysNearFloat) {
  const std::uint64_t seed = testing::test_seed();
  for (int i = 0; i < 500 && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(testing::case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    auto graph = testing::single_op_graph(random, {1, 1, 64}, Activate{Activation::hard_swish});
    const double ratio = double{graph.node(0).output.scale} / double{graph.node(1).output.scale};
    expect_near_float(graph, testing::random_bytes(random, 64), 1 + ratio / 50);
  }
}

TEST(Interpreter, MulOfTwoIntegers) {
  QuantizedGraph graph;
  const Shape shape{1, 3, 1};
  graph.graph.nodes = {{Input{shape}, {}, shape, "input"},
                       {Activate{Activation::none}, {0}, shape, "doubled"},
                       {Mul{Activation::relu}, {0, 1}, shape, "square"}};
  graph.nodes = {{{1, 2}, {}, {}, {}}, {{0.5F, -4}, {}, {}, {}}, {{2, -100}, {}, {}, {}}};
  verify(graph);
  // x - 2 is -3, 0, 8: twice that minus 4; squares 9, 0, 64 in steps of 2 from -100.
  EXPECT_EQ(interpret(graph, Bytes{-1, 2, 10})[1], (Bytes{-10, -4, 12}));
  EXPECT_EQ(interpret(graph, Bytes{-1, 2, 10})[2], (Bytes{-95, -100, -68}));
}

TEST(Interpreter, MeanChangesScaleAndZeroPoint) {
  const auto graph = one_op({2, 2, 1}, {1, 10}, Mean{}, {{0.25F, -3}, {}, {}, {}});
  EXPECT_EQ(interpret(graph, Bytes{11, 12, 13, 15}).back(), (Bytes{8}));  // 11 / 4 in steps of 1/4, minus 3
  const auto rows = one_op({2, 2, 1}, {1, 0}, Mean{true, false}, {{1, 0}, {}, {}, {}});
  EXPECT_EQ(interpret(rows, Bytes{1, 2, 3, 5}).back(), (Bytes{2, 4}));  // 3.5 rounds up
}

TEST(Interpreter, ManySamplesGiveWhatEachGivesAlone) {
  Random random(testing::test_seed());
  const auto graph = testing::add_graph(random, {5, 4, 3}, Activation::relu);
  std::vector<Bytes> inputs;
  for (int i = 0; i < 100; ++i) inputs.push_back(testing::random_bytes(random, 60));
  const auto outputs = interpret_all(graph, inputs);
  ASSERT_EQ(outputs.size(), inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i)
    EXPECT_EQ(outputs[i], interpret(graph, inputs[i]).back()) << i;
}

}  // namespace
}  // namespace mcufit
