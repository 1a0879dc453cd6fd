// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "exporters/interpreter.h"
#include "exporters/tflite/export.h"
#include "exporters/tflite/import.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/random_nets.h"
#include "tests/exporters/sample_network.h"

namespace mcufit::testing {
namespace {

using ::testing::HasSubstr;

// What an export cannot keep: whether a bias was there, and which real value a pad's int8 stood for.
QuantizedGraph canonical(QuantizedGraph graph) {
  for (NodeId id = 0; id < graph.graph.size(); ++id) {
    Node& node = graph.graph.nodes[static_cast<std::size_t>(id)];
    QuantizedNode& q = graph.nodes[static_cast<std::size_t>(id)];
    const auto give_bias = [&](auto& op) {
      op.bias = true;
      q.bias.resize(static_cast<std::size_t>(node.shape.channels));
    };
    if (auto* conv = std::get_if<Conv2d>(&node.op)) give_bias(*conv);
    if (auto* depthwise = std::get_if<DepthwiseConv2d>(&node.op)) give_bias(*depthwise);
    if (auto* dense = std::get_if<FullyConnected>(&node.op)) give_bias(*dense);
    if (auto* pad = std::get_if<Pad>(&node.op))
      pad->value = q.output.scale * static_cast<float>(pad_value(graph, id) - q.output.zero_point);
  }
  return graph;
}

void expect_round_trip(const QuantizedGraph& graph) {
  const QuantizedGraph expected = canonical(graph);
  const QuantizedGraph found = import_tflite(export_tflite(graph), graph.graph.name);
  ASSERT_EQ(to_json(expected.graph).dump(1), to_json(found.graph).dump(1));
  ASSERT_EQ(expected.graph, found.graph);
  for (NodeId id = 0; id < expected.graph.size(); ++id) {
    const std::string& name = expected.graph.node(id).name;
    EXPECT_EQ(expected.node(id).output, found.node(id).output) << name;
    EXPECT_EQ(expected.node(id).filter, found.node(id).filter) << name;
    EXPECT_EQ(expected.node(id).filter_scales, found.node(id).filter_scales) << name;
    EXPECT_EQ(expected.node(id).bias, found.node(id).bias) << name;
    EXPECT_EQ(expected.node(id).one_filter_scale, found.node(id).one_filter_scale) << name;
  }
}

Op random_op(Random& random, Shape shape, int kind) {
  const auto few = [&](std::int64_t most) { return static_cast<std::int32_t>(random.between(1, most)); };
  constexpr Activation kCurves[] = {Activation::none, Activation::relu, Activation::relu6,
                                    Activation::sigmoid, Activation::hard_swish};
  const Activation fused = random_activation(random);
  switch (kind) {
    case 0:
      return Conv2d{few(6), random_window(random, shape), random.below(4) != 0, fused};
    case 1:
      return DepthwiseConv2d{random_window(random, shape), random.below(4) != 0, fused, few(3)};
    case 2:
      return FullyConnected{few(9) + 1, random.below(4) != 0, fused};
    case 3:
      return MaxPool2d{random_window(random, shape), fused};
    case 4:
      return AveragePool2d{{few(shape.height), few(shape.width), few(2), few(2), {}}, fused};
    case 5:
      return Activate{kCurves[random.below(5)]};
    case 6:
      return Softmax{0.5F};
    case 7:
      return Mean{random.below(2) == 0, true};
    case 8:
      return Pad{{few(3), 0, 1, few(2)}, few(2), 0, random.below(2) == 0 ? 0.0F : 0.5F};
    case 9:
      return Reshape{{shape.width, shape.height, shape.channels}};
    default:
      return ResizeNearestNeighbor{few(9), few(9), random.below(2) == 0, false};
  }
}

constexpr int kKinds = 11;

TEST(TfliteExport, ImportGivesTheSameSingleOps) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < 50 * kKinds && !HasFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const Shape shape = random_shape(random, 9, 7);
    const Op op = random_op(random, shape, i % kKinds);
    if (const auto* reshape = std::get_if<Reshape>(&op); reshape != nullptr && reshape->shape == shape)
      continue;
    expect_round_trip(single_op_graph(random, shape, op));
  }
}

TEST(TfliteExport, ImportGivesTheSameNetworks) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < 60 && !HasFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    expect_round_trip(sample_network(seed + static_cast<std::uint64_t>(i)));
    const Shape shape = random_shape(random, 7, 6);
    expect_round_trip(add_graph(random, shape, random_activation(random)));
    if (shape.pixels() > 1) expect_round_trip(mul_graph(random, shape, true, random_activation(random)));
    expect_round_trip(concatenation_graph(random, shape, Axis::width));
  }
}

TEST(TfliteExport, ImportGivesTheSameRandomNets) {
  const std::uint64_t seed = test_seed();
  int exported = 0;
  for (int i = 0; i < 200 && !HasFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph net = random_net(random, 7);
    try {
      export_tflite(net);
    } catch (const Error&) {  // an average pool's padding, hard_sigmoid
      continue;
    }
    ++exported;
    const QuantizedGraph found = import_tflite(export_tflite(net), net.graph.name);
    const auto input = random_bytes(random, net.graph.input_shape().elements());
    ASSERT_EQ(interpret(net, input).back(), interpret(found, input).back());
    expect_round_trip(net);
  }
  EXPECT_GT(exported, 100);
}

TEST(TfliteExport, TheSameGraphGivesTheSameBytes) {
  EXPECT_EQ(export_tflite(sample_network(5)), export_tflite(sample_network(5)));
}

TEST(TfliteExport, SaysWhatTheFormatCannot) {
  Random random(1);
  const auto refusal = [&](const Op& op) -> std::string {
    try {
      export_tflite(single_op_graph(random, {5, 5, 2}, op));
      return "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::input);
      return error.what();
    }
  };
  EXPECT_THAT(refusal(Activate{Activation::hard_sigmoid}), HasSubstr("op is hard_sigmoid"));
  EXPECT_THAT(refusal(Mean{false, false}), HasSubstr("neither height nor width"));
  EXPECT_THAT(refusal(AveragePool2d{{3, 3, 1, 1, {2, 0, 0, 0}}}), HasSubstr("not TensorFlow's SAME"));
}

}  // namespace
}  // namespace mcufit::testing
