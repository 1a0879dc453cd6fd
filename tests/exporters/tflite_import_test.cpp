// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "exporters/interpreter.h"
#include "exporters/tflite/export.h"
#include "exporters/tflite/import.h"
#include "tests/exporters/sample_network.h"
#include "tests/exporters/tflite_model.h"

namespace mcufit::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// The message with which the small model is refused after `harm`, "accepted" when it is not.
std::string refusal(const std::function<void(TfliteModel&)>& harm) {
  TfliteModel model = small_tflite_model();
  harm(model);
  try {
    import_tflite(serialized(model), "small.tflite");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(TfliteImport, ReadsEveryOperator) {
  const QuantizedGraph q = import_tflite(serialized(small_tflite_model()), "small");
  const Graph& g = q.graph;
  ASSERT_EQ(g.size(), 8);  // the reshape changes nothing that we see
  // 5 rows with stride 2 miss 2, 6 columns 1: the odd one goes to the end.
  const Window stem{3, 3, 2, 2, {1, 1, 0, 1}};
  EXPECT_EQ(g.node(1).op, Op(Conv2d{4, stem, true, Activation::relu6}));
  EXPECT_EQ(g.node(1).name, "conv_2d_0");
  EXPECT_EQ(g.node(2).op, Op(DepthwiseConv2d{square_window(3, 1, 1), true}));
  EXPECT_EQ(g.node(3).op, Op(Add{Activation::relu}));
  EXPECT_EQ(g.node(3).inputs, (std::vector<NodeId>{1, 2}));
  EXPECT_EQ(g.node(4).op, Op(MaxPool2d{square_window(2, 1, 0)}));
  EXPECT_EQ(g.node(5).op, Op(AveragePool2d{square_window(2, 1, 0)}));
  EXPECT_EQ(g.node(6).op, Op(FullyConnected{3, true}));
  EXPECT_EQ(g.node(7).op, Op(Softmax{1.0F}));
  EXPECT_EQ(q.node(0).output, (Quantization{0.5F, -3}));
  EXPECT_EQ(q.node(1).bias, (std::vector<std::int32_t>{256, 306, 356, 406}));
  EXPECT_EQ(q.node(1).filter_scales, (std::vector<float>{0.002F, 0.003F, 0.004F, 0.005F}));
  EXPECT_FALSE(q.node(1).one_filter_scale);
  EXPECT_TRUE(q.node(6).one_filter_scale);
  EXPECT_EQ(q.node(6).filter[1], -90);
}

TEST(TfliteImport, ABiasMayBeLeftOut) {
  TfliteModel model = small_tflite_model();
  model.operators[0].inputs[2] = -1;
  model.operators[6].inputs.pop_back();
  const QuantizedGraph q = import_tflite(serialized(model), "small");
  EXPECT_EQ(q.node(1).bias, std::vector<std::int32_t>(4, 0));
  EXPECT_EQ(q.node(6).bias, std::vector<std::int32_t>(3, 0));
}

TEST(TfliteImport, AReshapeThatChangesTheShapeIsANode) {
  TfliteModel model = small_tflite_model();
  model.tensors.push_back({{1, 60}, schema::TensorType::INT8, {0.5F}, {-3}, 0, {}});
  model.operators.insert(model.operators.begin(), {22, {15}, {0}, schema::BuiltinOptions::NONE, {}});
  model.inputs = {15};
  const Graph graph = import_tflite(serialized(model), "small").graph;
  EXPECT_EQ(graph.input_shape(), (Shape{1, 1, 60}));
  EXPECT_EQ(graph.node(1).op, Op(Reshape{{5, 6, 2}}));
  EXPECT_EQ(graph.node(2).inputs, std::vector<NodeId>{1});
}

TEST(TfliteImport, NamesOperatorReasonAndWhatIsSupported) {
  const std::string message = refusal([](TfliteModel& m) { m.operators[2].code = 41; });
  EXPECT_THAT(message, AllOf(HasSubstr("small.tflite: operator 2 (SUB, 'tensor3')"),
                             HasSubstr("supported: ADD, AVERAGE_POOL_2D, CONCATENATION, CONV_2D")));
  EXPECT_THAT(refusal([](TfliteModel& m) { m.operators[2].code = 32; }), HasSubstr("CUSTOM"));
  EXPECT_THAT(refusal([](TfliteModel& m) { m.operators[2].code = 200; }), HasSubstr("builtin 200"));
}

TEST(TfliteImport, RefusesWhatItWouldComputeOtherwise) {
  using M = TfliteModel;
  const auto conv = [](std::int32_t stride, schema::ActivationFunctionType activation,
                       std::int32_t dilation) {
    return [=](M& m) {
      m.operators[0].options = [=](Builder& b) {
        return schema::CreateConv2DOptions(b, schema::Padding::SAME, stride, stride, activation, dilation, 1)
            .Union();
      };
    };
  };
  using schema::ActivationFunctionType;
  EXPECT_THAT(refusal(conv(2, ActivationFunctionType::NONE, -2)), HasSubstr("dilation 1x-2"));
  EXPECT_THAT(refusal(conv(0, ActivationFunctionType::NONE, 1)), HasSubstr("strides 0x0"));
  EXPECT_THAT(refusal(conv(-1, ActivationFunctionType::NONE, 1)), HasSubstr("strides"));
  EXPECT_THAT(refusal(conv(1, ActivationFunctionType::NONE, 1)), HasSubstr("output is said to be 3x3x4"));
  EXPECT_THAT(refusal(conv(2, static_cast<ActivationFunctionType>(4), 1)), HasSubstr("fused activation 4"));
  EXPECT_THAT(refusal([](M& m) { m.operators[0].kind = schema::BuiltinOptions::SoftmaxOptions; }),
              HasSubstr("options"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[4].scales = {0.07F}; }), HasSubstr("max_pool_2d_3"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[6].scales = {0.07F}; }), HasSubstr("changes scale"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[8].scales = {0.004F}; }), HasSubstr("softmax"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[9].zero_points[1] = 1; }), HasSubstr("zero point other than 0"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[9].dimension = 3; }), HasSubstr("dimension 3"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[9].data[5] = 128; }), HasSubstr("-128"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[9].shape = {4, 3, 6, 1}; }), HasSubstr("one group"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[11].shape = {2, 3, 3, 2}; }), HasSubstr("channel multiplier"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[10].scales = {0.1F}; }), HasSubstr("bias's scale"));
}

TEST(TfliteImport, RefusesWrongTensors) {
  using M = TfliteModel;
  EXPECT_THAT(refusal([](M& m) { m.tensors[1].type = schema::TensorType::FLOAT32; }), HasSubstr("int8"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[1].scales = {std::nanf("")}; }), HasSubstr("int8"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[1].zero_points = {128}; }), HasSubstr("zero point"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[0].shape = {2, 5, 6, 2}; }), HasSubstr("one sample"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[0].shape = {1, -5, 6, 2}; }), HasSubstr("extent of -5"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[0].shape = {1, 65536, 65536, 2}; }), HasSubstr("product"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[9].data.pop_back(); }), HasSubstr("71 bytes of data"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[9].data.clear(); }), HasSubstr("constant int8"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[10].shape = {2, 2}; }), "accepted");
  EXPECT_THAT(refusal([](M& m) { m.tensors[10].type = schema::TensorType::INT64; }),
              HasSubstr("16 bytes of data"));
  EXPECT_THAT(refusal([](M& m) { m.tensors[10].type = schema::TensorType::FLOAT32; }), HasSubstr("int32"));
}

TEST(TfliteImport, RefusesWrongWiring) {
  using M = TfliteModel;
  EXPECT_THAT(refusal([](M& m) { m.operators[0].inputs[0] = 15; }), HasSubstr("index 15"));
  EXPECT_THAT(refusal([](M& m) { m.operators[0].inputs[0] = -2; }), HasSubstr("index -2"));
  EXPECT_THAT(refusal([](M& m) { m.operators[0].inputs[0] = -1; }), HasSubstr("left out"));
  EXPECT_THAT(refusal([](M& m) { m.operators[0].inputs[0] = 2; }), HasSubstr("no operator before"));
  EXPECT_THAT(refusal([](M& m) { m.operators[0].inputs = {}; }), HasSubstr("found 0 inputs"));
  EXPECT_THAT(refusal([](M& m) { m.operators[0].outputs = {1, 2}; }), HasSubstr("found 2 outputs"));
  EXPECT_THAT(refusal([](M& m) { m.operators[1].outputs = {1}; }), HasSubstr("computed twice"));
  EXPECT_THAT(refusal([](M& m) { m.outputs = {7}; }), HasSubstr("of no use"));
  EXPECT_THAT(refusal([](M& m) { m.outputs = {0}; }), HasSubstr("of no use"));
  EXPECT_THAT(refusal([](M& m) { m.outputs = {9}; }), HasSubstr("no operator"));
  EXPECT_THAT(refusal([](M& m) { m.inputs = {0, 1}; }), HasSubstr("found 2 inputs"));
  EXPECT_THAT(refusal([](M& m) { m.operators[2].inputs = {1, 6}; }), HasSubstr("no operator before"));
  EXPECT_THAT(refusal([](M& m) { m.operators.clear(); }), HasSubstr("found 0 operators"));
  EXPECT_THAT(refusal([](M& m) { m.version = 2; }), HasSubstr("version 2"));
}

// Whatever was done to the file: an Error, or a graph that verifies and runs.
void import_damaged(const std::string& content) {
  try {
    const QuantizedGraph graph = import_tflite(content, "damaged");
    if (graph.graph.input_shape().elements() > 10000) return;
    const std::vector<std::int8_t> input(static_cast<std::size_t>(graph.graph.input_shape().elements()));
    interpret(graph, input);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input) << error.what();
  }
}

TEST(TfliteImport, TruncatedFilesAreRefused) {
  const std::string whole = serialized(small_tflite_model());
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_THROW(import_tflite(whole.substr(0, size), "truncated"), Error) << size;
}

TEST(TfliteImport, DamagedFilesDoNoHarm) {
  const std::string whole = serialized(small_tflite_model());
  ASSERT_LT(whole.size(), 8192U);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {0xff, 0x01, 0x80, 0x10}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      import_damaged(damaged);
    }
  }
}

// Names of tensors become names of nodes in files that we wrote, so they must differ.
TEST(TfliteImport, TwoTensorsOfOneNameAreRefused) {
  QuantizedGraph graph = sample_network(1);
  graph.graph.nodes[2].name = "twin_one";
  graph.graph.nodes[3].name = "twin_two";
  std::string file = export_tflite(graph);
  for (std::size_t at = file.find("twin_two"); at != std::string::npos; at = file.find("twin_two"))
    file.replace(at, 8, "twin_one");
  try {
    import_tflite(file, "twins");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input);
    EXPECT_THAT(error.what(), HasSubstr("named 'twin_one' too"));
  }
}

TEST(TfliteImport, WhatFuzzingFoundDoesNoHarm) {
  const auto corpus = std::filesystem::path(MCUFIT_SOURCE_DIR) / "tests/fuzz/corpus/fuzz_tflite";
  for (const auto& entry : std::filesystem::directory_iterator(corpus))
    import_damaged(read_file(entry.path()));
}

// MCUFIT_UPDATE_GOLDEN=1 writes it.
TEST(TfliteImport, TheFuzzingCorpusHasAnExport) {
  const auto path =
      std::filesystem::path(MCUFIT_SOURCE_DIR) / "tests/fuzz/corpus/fuzz_tflite/every_op.tflite";
  const QuantizedGraph graph = sample_network(1);
  if (std::getenv("MCUFIT_UPDATE_GOLDEN") != nullptr) write_file(path, export_tflite(graph));
  EXPECT_EQ(import_tflite(read_file(path), graph.graph.name).graph, graph.graph);
}

// MCUFIT_UPDATE_GOLDEN=1 writes it. The command line's tests use it too.
TEST(TfliteImport, TheFuzzingCorpusHasTheSmallModel) {
  const auto path = std::filesystem::path(MCUFIT_SOURCE_DIR) / "tests/fuzz/corpus/fuzz_tflite/small.tflite";
  const std::string whole = serialized(small_tflite_model());
  if (std::getenv("MCUFIT_UPDATE_GOLDEN") != nullptr) write_file(path, whole);
  EXPECT_EQ(read_file(path), whole);
}

}  // namespace
}  // namespace mcufit::testing
