// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>

#include <cstdlib>
#include <filesystem>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/version.h"
#include "exporters/interpreter.h"
#include "exporters/onnx/export.h"
#include "tests/exporters/every_op.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/sample_network.h"

namespace mcufit::testing {
namespace {

using ::testing::HasSubstr;

// ONNX's own checker, with its inference of types and shapes.
::onnx::ModelProto checked(const std::string& bytes) {
  ::onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(bytes));
  EXPECT_NO_THROW(::onnx::checker::check_model(model));
  return model;
}

void expect_equal(const QuantizedGraph& found, const QuantizedGraph& expected) {
  ASSERT_EQ(found.graph.size(), expected.graph.size());
  for (NodeId id = 0; id < expected.graph.size(); ++id) {
    SCOPED_TRACE(expected.graph.node(id).name);
    EXPECT_EQ(found.graph.node(id).op, expected.graph.node(id).op);
    EXPECT_EQ(found.graph.node(id).inputs, expected.graph.node(id).inputs);
    EXPECT_EQ(found.graph.node(id).shape, expected.graph.node(id).shape);
    EXPECT_EQ(found.node(id).output, expected.node(id).output);
    EXPECT_EQ(found.node(id).filter, expected.node(id).filter);
    EXPECT_EQ(found.node(id).filter_scales, expected.node(id).filter_scales);
    EXPECT_EQ(found.node(id).bias, expected.node(id).bias);
    EXPECT_EQ(found.node(id).one_filter_scale, expected.node(id).one_filter_scale);
  }
}

class OnnxExport : public ::testing::TestWithParam<int> {};

TEST_P(OnnxExport, ReadBackItIsTheSameGraph) {
  for (int i = 0; i < 40; ++i) {
    SCOPED_TRACE(case_name(test_seed(), i));
    Random random(test_seed(), {static_cast<std::uint64_t>(GetParam()), static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = every_op_graph(random, GetParam());
    const std::string bytes = export_onnx(graph);
    checked(bytes);
    expect_equal(import_onnx_qdq(bytes, "again"), graph);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(EveryOp, OnnxExport, ::testing::Range(0, kOpKinds));

TEST(OnnxExportNetwork, ReadBackItIsTheSameGraph) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const QuantizedGraph graph = sample_network(seed);
    const QuantizedGraph again = import_onnx_qdq(export_onnx(graph), "sample");
    expect_equal(again, graph);
    for (NodeId id = 0; id < graph.graph.size(); ++id)
      EXPECT_EQ(again.graph.node(id).name, graph.graph.node(id).name);
    const auto vector = sample_vectors(graph, 1, seed).front();
    EXPECT_EQ(interpret(again, vector.input).back(), vector.output);
  }
}

TEST(OnnxExportNetwork, SaysWhoWroteIt) {
  const auto model = checked(export_onnx(sample_network(1)));
  EXPECT_EQ(model.producer_name(), "mcufit");
  EXPECT_EQ(model.producer_version(), version());
  EXPECT_EQ(model.metadata_props(0).key(), "mcufit_version");
  EXPECT_EQ(model.graph().name(), "sample");
  EXPECT_EQ(model.graph().input(0).type().tensor_type().shape().dim(1).dim_value(), 3);
}

TEST(OnnxExportNetwork, RefusesWhatOnnxCannotSay) {
  Random random(1);
  QuantizedGraph graph = every_op_graph(random, 7);
  std::get<Softmax>(graph.graph.nodes[1].op).beta = 2;
  try {
    export_onnx(graph);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input);
    EXPECT_THAT(error.what(), HasSubstr("op (softmax): beta 2"));
  }
}

// MCUFIT_UPDATE_GOLDEN=1 writes it.
TEST(OnnxExportNetwork, TheFuzzingCorpusHasAnInt8Model) {
  const auto path = std::filesystem::path(MCUFIT_SOURCE_DIR) / "tests/fuzz/corpus/fuzz_onnx/int8.onnx";
  if (std::getenv("MCUFIT_UPDATE_GOLDEN") != nullptr) write_file(path, export_onnx(sample_network(1)));
  expect_equal(import_onnx_qdq(read_file(path), "int8"), sample_network(1));
}

// Whatever was done to the file: an Error, or a graph that verifies and runs.
TEST(OnnxExportNetwork, DamagedFilesDoNoHarm) {
  Random random(3);
  const QuantizedGraph graph = every_op_graph(random, 2);
  const std::string whole = export_onnx(graph);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {0xff, 0x01, 0x80}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      try {
        const QuantizedGraph read = import_onnx_qdq(damaged, "damaged");
        if (read.graph.input_shape().elements() > 10000) continue;
        interpret(read,
                  std::vector<std::int8_t>(static_cast<std::size_t>(read.graph.input_shape().elements())));
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::input) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace mcufit::testing
