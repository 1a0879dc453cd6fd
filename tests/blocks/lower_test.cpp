// SPDX-License-Identifier: Apache-2.0
#include "blocks/lower.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "blocks/builder.h"
#include "blocks/family.h"
#include "blocks/float_interpreter.h"
#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/random.h"
#include "tests/random_seed.h"

namespace mcufit {
namespace {

void randomize(std::vector<float>& values, Random& random, double low, double high) {
  for (float& v : values) v = static_cast<float>(low + random.unit() * (high - low));
}

Weights random_weights(const Graph& graph, Random& random) {
  Weights w = zero_weights(graph);
  for (NodeWeights& n : w.nodes) {
    randomize(n.filter, random, -0.5, 0.5);
    randomize(n.bias, random, -0.5, 0.5);
    randomize(n.gamma, random, 0.5, 1.5);
    randomize(n.beta, random, -0.5, 0.5);
    randomize(n.mean, random, -0.5, 0.5);
    randomize(n.variance, random, 0.1, 2);
  }
  return w;
}

TEST(Lower, ComputesWhatTheGraphComputes) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  for (const Family* f : families()) {
    const Graph graph = f->build(default_hyperparameters(*f), {{20, 17, 2}, 4});
    const Weights weights = random_weights(graph, random);
    const Lowered lowered = lower(graph, weights);
    std::vector<float> input(static_cast<std::size_t>(graph.input_shape().elements()));
    randomize(input, random, 0, 1);
    const auto expected = interpret(graph, weights, input).back();
    const auto found = interpret(lowered.graph, lowered.weights, input).back();
    ASSERT_EQ(expected.size(), found.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(expected[i], found[i], 1e-3 * (1 + std::abs(expected[i]))) << f->name();
    }
    for (const Node& node : lowered.graph.nodes) {
      EXPECT_FALSE(std::holds_alternative<BatchNorm>(node.op)) << node.name;
      const auto* left = std::get_if<Activate>(&node.op);  // what no kernel can clamp
      EXPECT_FALSE(left != nullptr &&
                   (left->activation == Activation::relu || left->activation == Activation::relu6))
          << node.name;
    }
    EXPECT_EQ(lower(graph).nodes.size(), lowered.graph.nodes.size());
  }
}

TEST(Lower, KeepsWhatSomebodyElseReads) {
  GraphBuilder b("fork", {4, 4, 2});
  const NodeId x = b.pointwise("conv", b.input(), 2);
  const NodeId act = b.activate("act", x, Activation::relu);
  b.add("sum", x, act);  // reads the convolution before its activation
  const Graph lowered = lower(b.finish());
  EXPECT_EQ(op_name(lowered.node(2).op), "relu");
  EXPECT_EQ(std::get<Conv2d>(lowered.node(1).op).activation, Activation::none);
}

TEST(Lower, BatchNormWithoutAConvolutionIsRefused) {
  GraphBuilder b("bad", {4, 4, 2});
  b.pointwise("conv", b.batch_norm("norm", b.input()), 2);
  EXPECT_THROW(lower(b.finish()), Error);
}

TEST(Interpreter, HandComputedValues) {
  GraphBuilder b("hand", {2, 2, 1});
  NodeId x = b.conv2d("conv", b.input(), 1, square_window(3, 1, 1));
  x = b.activate("act", x, Activation::relu);
  b.global_average_pool("pool", x);
  const Graph graph = b.finish();
  Weights w = zero_weights(graph);
  w.nodes[1].filter = {1, 0, 0, 0, 2, 0, 0, 0, -1};  // up-left + 2 centre - down-right
  const auto values = interpret(graph, w, std::vector<float>{1, 2, 3, 4});
  EXPECT_EQ(values[1], (std::vector<float>{2 - 4, 4, 6, 1 + 8}));
  EXPECT_EQ(values[2], (std::vector<float>{0, 4, 6, 9}));
  EXPECT_EQ(values[3], (std::vector<float>{19.0F / 4}));
}

class WeightsFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("mcufit_weights_" + std::to_string(::getpid()));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(WeightsFile, RoundTrip) {
  Random random(testing::seed());
  const Graph graph = family("phinet").build(default_hyperparameters(family("phinet")), {{16, 16, 1}, 3});
  const Weights weights = random_weights(graph, random);
  write_weights(folder_ / "w.safetensors", weights, graph);
  const Weights read = read_weights(folder_ / "w.safetensors", graph);
  for (std::size_t i = 0; i < weights.nodes.size(); ++i) {
    EXPECT_EQ(weights.nodes[i].filter, read.nodes[i].filter);
    EXPECT_EQ(weights.nodes[i].variance, read.nodes[i].variance);
  }
}

TEST_F(WeightsFile, DamagedFilesAreRefused) {
  GraphBuilder b("tiny", {1, 1, 2});
  b.fully_connected("fc", b.input(), 2);
  const Graph graph = b.finish();
  write_weights(folder_ / "w", zero_weights(graph), graph);
  const std::string good = read_file(folder_ / "w");
  for (std::size_t length = 0; length < good.size(); ++length) {
    write_file(folder_ / "cut", good.substr(0, length));
    EXPECT_THROW(read_weights(folder_ / "cut", graph), Error) << length;
  }
  std::string nan = good;
  nan.replace(nan.size() - 4, 4, std::string("\0\0\xc0\x7f", 4));
  write_file(folder_ / "nan", nan);
  EXPECT_THROW(read_weights(folder_ / "nan", graph), Error);
}

TEST_F(WeightsFile, EntriesOfAnotherJsonTypeAreRefused) {
  GraphBuilder b("tiny", {1, 1, 2});
  b.fully_connected("fc", b.input(), 2);
  const Graph graph = b.finish();
  const auto read = [&](const std::string& filter_entry) {
    std::string header =
        R"({"fc.bias":{"dtype":"F32","data_offsets":[16,24]},"fc.filter":)" + filter_entry + "}";
    const std::uint64_t length = header.size();
    write_file(folder_ / "w", std::string(reinterpret_cast<const char*>(&length), sizeof length) + header +
                                  std::string(24, '\0'));
    return read_weights(folder_ / "w", graph);
  };
  EXPECT_EQ(read(R"({"dtype":"F32","data_offsets":[0,16]})").nodes[1].filter, std::vector<float>(4));
  for (const char* entry :
       {"7", "null", "[]", "{}", R"({"dtype":[7],"data_offsets":[0,16]})", R"({"dtype":"F32"})",
        R"({"dtype":"F32","data_offsets":16})", R"({"dtype":"F32","data_offsets":["0","16"]})",
        R"({"dtype":"F32","data_offsets":[0.0,16.5]})", R"({"dtype":"F32","data_offsets":[-16,0]})",
        R"({"dtype":"F32","data_offsets":[0,16,16]})", R"({"dtype":"F32","data_offsets":[16,0]})",
        R"({"dtype":"F32","data_offsets":[0,18446744073709551615]})"}) {
    EXPECT_THROW(read(entry), Error) << entry;
  }
}

}  // namespace
}  // namespace mcufit
