// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "exporters/interpreter.h"
#include "exporters/tflite/export.h"
#include "exporters/tflite/import.h"
#include "exporters/tflite/model_file.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/random_nets.h"
#include "tests/exporters/sample_network.h"

namespace mcufit::testing {
namespace {

using ::testing::HasSubstr;

// What an export cannot keep: which real value a pad's int8 stood for.
QuantizedGraph canonical(QuantizedGraph graph) {
  for (NodeId id = 0; id < graph.graph.size(); ++id) {
    Node& node = graph.graph.nodes[static_cast<std::size_t>(id)];
    const QuantizedNode& q = graph.node(id);
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

// Without our metadata it is a file like any other: perhaps other nodes, the same bytes.
TEST(TfliteExport, WhoeverReadsItComputesTheSame) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < 100 && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i), 2});
    const QuantizedGraph graph = sample_network(seed + static_cast<std::uint64_t>(i));
    std::string content = export_tflite(graph);
    const std::size_t key = content.find(std::string("mcufit\0", 7));  // the entry's name, not the JSON
    ASSERT_NE(key, std::string::npos);
    content[key] = 'n';
    const QuantizedGraph read = import_tflite(content, "foreign");
    EXPECT_EQ(read.graph.node(1).name, "conv_2d_0");
    const auto input = random_bytes(random, graph.graph.input_shape().elements());
    ASSERT_EQ(interpret(read, input).back(), interpret(graph, input).back());
  }
}

std::vector<std::string> operators_of(const QuantizedGraph& graph) {
  const tflite::ModelFile file = tflite::read_model_file(export_tflite(graph), "written");
  const auto* codes = tflite::schema::GetModel(file.storage.data())->operator_codes();
  std::vector<std::string> names;
  for (const tflite::Operator& op : file.operators)
    names.push_back(op.name + " " + std::to_string(codes->Get(op.table->opcode_index())->version()));
  return names;
}

QuantizedGraph single(const Op& op) {
  Random random(3);
  return single_op_graph(random, {6, 6, 2}, op);
}

// Versions are those of TensorFlow's op_version.cc.
TEST(TfliteExport, PaddingsWithoutAWordStandBefore) {
  using Names = std::vector<std::string>;
  Window w = square_window(3, 2, 1);  // SAME has 0 before and 1 after
  EXPECT_EQ(operators_of(single(Conv2d{4, w, true})), (Names{"PAD 2", "CONV_2D 3"}));
  EXPECT_EQ(operators_of(single(DepthwiseConv2d{w, true})), (Names{"PAD 2", "DEPTHWISE_CONV_2D 3"}));
  QuantizedGraph pool = single(MaxPool2d{w});
  pool.nodes[0].output.zero_point = pool.nodes[1].output.zero_point = 5;
  EXPECT_EQ(operators_of(pool), (Names{"PADV2 2", "MAX_POOL_2D 2"}));
  w.padding = {0, 1, 0, 1};
  EXPECT_EQ(operators_of(single(Conv2d{4, w, true})), (Names{"CONV_2D 3"}));
  EXPECT_EQ(operators_of(single(AveragePool2d{w})), (Names{"AVERAGE_POOL_2D 2"}));
}

TEST(TfliteExport, LayersOfSeveralScalesAreConvolutions) {
  using Names = std::vector<std::string>;
  QuantizedGraph layer = single(FullyConnected{4, false});
  EXPECT_EQ(operators_of(layer), (Names{"CONV_2D 3"}));
  for (const std::int32_t outputs : {1, 4}) expect_round_trip(single(FullyConnected{outputs, true}));
  layer.nodes[1].filter_scales.assign(4, 0.01F);
  layer.nodes[1].one_filter_scale = true;
  EXPECT_EQ(operators_of(layer), (Names{"FULLY_CONNECTED 6"}));
}

TEST(TfliteExport, TellsWhatItIs) {
  const tflite::ModelFile file = tflite::read_model_file(export_tflite(sample_network(1)), "written");
  const auto& model = *tflite::schema::GetModel(file.storage.data());
  EXPECT_THAT(model.description()->str(), HasSubstr("mcufit"));
  EXPECT_EQ(file.name, "sample");
  EXPECT_EQ(file.tensor(file.output).name, "softmax");
  EXPECT_EQ(model.metadata()->Get(0)->name()->str(), "min_runtime_version");
  const auto* runtime = model.buffers()->Get(model.metadata()->Get(0)->buffer())->data();
  EXPECT_STREQ(reinterpret_cast<const char*>(runtime->data()), "1.15.0") << "for HARD_SWISH";
  for (const tflite::schema::OperatorCode* code : *model.operator_codes())
    EXPECT_EQ(code->deprecated_builtin_code(), static_cast<int>(code->builtin_code()));
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
