// SPDX-License-Identifier: Apache-2.0
#include "trainers/trainer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "blocks/builder.h"
#include "blocks/family.h"
#include "blocks/float_interpreter.h"
#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/random.h"
#include "tests/random_seed.h"
#include "trainers/checkpoint.h"
#include "trainers/graph_module.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;

// Every op and every activation once.
Graph every_op() {
  GraphBuilder b("every_op", {9, 8, 2});
  NodeId x =
      b.norm_act("conv", b.conv2d("conv", b.input(), 6, Window{3, 3, 2, 2, {0, 1, 1, 1}}), Activation::relu);
  const NodeId skip = x;
  x = b.norm_act("dw", b.depthwise_conv2d("dw", x, square_window(3, 1, 1)), Activation::hard_swish);
  x = b.add("add", skip, x);
  NodeId gate = b.global_average_pool("pool", x);
  gate = b.activate("gate", b.pointwise("squeeze", gate, 6), Activation::hard_sigmoid);
  x = b.mul("scale", x, gate);
  x = b.activate("relu6", x, Activation::relu6);
  x = b.max_pool2d("max", x, square_window(2, 2, 0));
  x = b.activate("sigmoid", x, Activation::sigmoid);
  b.fully_connected("fc", x, 3);  // over 2x2x6: the order of the flattening matters
  return b.finish();
}

// Windows of every kind, and what lower() makes: biases and fused activations.
Graph windows() {
  Graph g{"windows", {{Input{{9, 8, 2}}, {}, {9, 8, 2}, "input"}}};
  const auto put = [&](Op op, std::vector<NodeId> from) {
    std::vector<Shape> shapes;
    for (const NodeId id : from) shapes.push_back(g.node(id).shape);
    const std::string name = fmt::format("node{}", g.size());
    g.nodes.push_back({op, std::move(from), infer_shape(op, shapes, name), name});
    return g.size() - 1;
  };
  NodeId x = put(Conv2d{4, {3, 2, 1, 1, {2, 0, 1, 1}}, true, Activation::relu6}, {0});
  x = put(AveragePool2d{{3, 3, 1, 1, {1, 1, 1, 1}}}, {x});  // symmetric
  x = put(DepthwiseConv2d{{2, 3, 1, 1, {1, 0, 0, 2}}, true, Activation::hard_sigmoid}, {x});
  x = put(AveragePool2d{{2, 3, 2, 1, {1, 0, 0, 1}}}, {x});  // asymmetric
  x = put(MaxPool2d{{3, 2, 1, 2, {2, 1, 0, 1}}}, {x});
  x = put(AveragePool2d{{3, 1, 1, 1, {2, 2, 0, 0}}}, {x});  // beyond half a kernel
  x = put(Mul{}, {x, put(Activate{Activation::sigmoid}, {x})});
  x = put(Add{Activation::hard_swish}, {x, put(Activate{Activation::relu}, {x})});
  put(FullyConnected{5, true, Activation::sigmoid}, {x});
  return g;
}

class GraphModuleOf : public ::testing::TestWithParam<Graph (*)()> {};
INSTANTIATE_TEST_SUITE_P(, GraphModuleOf, ::testing::Values(every_op, windows));

TEST_P(GraphModuleOf, EqualsTheFloatInterpreter) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  const Graph graph = GetParam()();
  verify(graph);
  GraphModule module(graph, random);
  Weights weights = module.weights();
  for (NodeWeights& w : weights.nodes) {
    for (float& v : w.variance) v = static_cast<float>(0.5 + random.unit());
    for (float& v : w.mean) v = static_cast<float>(random.unit() - 0.5);
    for (float& v : w.bias) v = static_cast<float>(random.unit() - 0.5);
  }
  module.set_weights(weights);
  const Weights back = module.weights();
  for (std::size_t i = 0; i < weights.nodes.size(); ++i) {
    EXPECT_EQ(back.nodes[i].filter, weights.nodes[i].filter);
    EXPECT_EQ(back.nodes[i].bias, weights.nodes[i].bias);
    EXPECT_EQ(back.nodes[i].mean, weights.nodes[i].mean);
  }
  std::vector<float> input(static_cast<std::size_t>(graph.input_shape().elements()));
  for (float& v : input) v = static_cast<float>(random.unit());
  const at::Tensor image = at::tensor(input).reshape({1, 9, 8, 2}).permute({0, 3, 1, 2});
  const at::NoGradGuard no_gradients;
  const at::Tensor found = module.forward(image, false).contiguous();
  const auto expected = interpret(graph, weights, input).back();
  ASSERT_EQ(found.numel(), static_cast<std::int64_t>(expected.size()));
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found.data_ptr<float>()[i], expected[i], 1e-4);
}

// Two classes told apart by where the light is.
Samples synthetic(std::int64_t count, std::uint64_t seed) {
  Random random(seed);
  Samples s;
  s.shape = {8, 8, 1};
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(random.below(2));
    for (int p = 0; p < 64; ++p) {
      const bool lit = (p / 8 < 4) == (label == 0);
      s.values.push_back(static_cast<std::uint8_t>(random.below(100) + (lit ? 100U : 0U)));
    }
    s.labels.push_back(label);
  }
  return s;
}

class Training : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mcufit_training_" + std::to_string(::getpid()));
  }
  void TearDown() override { fs::remove_all(folder_); }

  static TrainOptions options() {
    TrainOptions o;
    o.epochs = 4;
    o.batch_size = 16;
    o.learning_rate = 0.05;
    o.shift_pixels = 1;
    o.label_smoothing = 0.05;
    return o;
  }

  static void expect_equal(const Weights& a, const Weights& b) {
    for (std::size_t i = 0; i < a.nodes.size(); ++i) {
      EXPECT_EQ(a.nodes[i].filter, b.nodes[i].filter);
      EXPECT_EQ(a.nodes[i].gamma, b.nodes[i].gamma);
      EXPECT_EQ(a.nodes[i].variance, b.nodes[i].variance);
    }
  }

  const Graph graph_ = family("phinet").build(default_hyperparameters(family("phinet")), {{8, 8, 1}, 2});
  const Samples train_ = synthetic(200, 1);
  const Samples validation_ = synthetic(100, 2);
  fs::path folder_;
};

TEST_F(Training, LearnsAndRepeatsExactly) {
  std::vector<double> losses;
  const Trained a = train(graph_, train_, validation_, options(), "",
                          [&](const EpochReport& e) { losses.push_back(e.train_loss); });
  EXPECT_EQ(losses.size(), 4U);
  EXPECT_LT(losses.back(), losses.front());
  EXPECT_GT(a.validation_accuracy, 0.8);
  EXPECT_EQ(accuracy(graph_, a.weights, validation_), a.validation_accuracy);
  expect_equal(a.weights, train(graph_, train_, validation_, options(), "", {}).weights);
  TrainOptions other = options();
  other.seed = 2;
  EXPECT_NE(a.weights.nodes[1].filter,
            train(graph_, train_, validation_, other, "", {}).weights.nodes[1].filter);
}

TEST_F(Training, GoesOnFromItsCheckpointToTheSameWeights) {
  struct Stop {};
  const auto stop_after_two = [](const EpochReport& e) {
    if (e.epoch == 2) throw Stop{};
  };
  EXPECT_THROW(train(graph_, train_, validation_, options(), folder_ / "checkpoint", stop_after_two), Stop);
  int epochs = 0;
  const Trained resumed = train(graph_, train_, validation_, options(), folder_ / "checkpoint",
                                [&](const EpochReport&) { ++epochs; });
  EXPECT_EQ(epochs, 2);
  const Trained whole = train(graph_, train_, validation_, options(), "", {});
  expect_equal(resumed.weights, whole.weights);
  EXPECT_EQ(resumed.validation_accuracy, whole.validation_accuracy);
  // A checkpoint of other options is not taken.
  TrainOptions other = options();
  other.learning_rate = 0.01;
  epochs = 0;
  train(graph_, train_, validation_, other, folder_ / "checkpoint", [&](const EpochReport&) { ++epochs; });
  EXPECT_EQ(epochs, 4);
}

TEST_F(Training, ADamagedCheckpointIsNotTaken) {
  const fs::path path = folder_ / "checkpoint";
  const std::vector<at::Tensor> saved{at::ones({3})};
  write_checkpoint(path, "fingerprint", 2, saved);
  const std::string good = read_file(path);
  const std::vector<at::Tensor> found{at::zeros({3})};
  const auto refused = [&](const std::string& content) {
    write_file(path, content);
    EXPECT_EQ(read_checkpoint(path, "fingerprint", found), 0) << content;
    EXPECT_EQ(found[0].sum().item<float>(), 0);
  };
  for (std::size_t length = 0; length < good.size(); length += 7) refused(good.substr(0, length));
  const auto line = good.find('\n');
  for (const char* key : {"epoch", "fingerprint", "sha256"}) {
    for (const nlohmann::json& wrong :
         {nlohmann::json(7), nlohmann::json("7"), nlohmann::json(-2.5), nlohmann::json()}) {
      auto header = nlohmann::json::parse(good.substr(0, line));
      header[key] = wrong;
      refused(header.dump() + good.substr(line));
    }
  }
  write_file(path, good);
  EXPECT_EQ(read_checkpoint(path, "fingerprint", found), 2);
  EXPECT_EQ(found[0].sum().item<float>(), 3);
}

TEST_F(Training, SamplesMustFitTheGraph) {
  Samples wrong = train_;
  wrong.shape = {4, 16, 1};
  EXPECT_THAT([&] { train(graph_, wrong, validation_, options(), "", {}); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("found 4x16x1; accepted: 8x8x1")));
  wrong = validation_;
  wrong.labels[3] = 2;
  EXPECT_THAT([&] { train(graph_, train_, wrong, options(), "", {}); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("found label 2; accepted: 0 to 1")));
  EXPECT_THROW(accuracy(graph_, zero_weights(graph_), wrong), Error);
}

TEST_F(Training, DivergenceIsAnError) {
  TrainOptions wild = options();
  wild.learning_rate = 1e30;
  EXPECT_THAT([&] { train(graph_, train_, validation_, wild, "", {}); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("diverged")));
  TrainOptions large = options();
  large.batch_size = 1000;
  EXPECT_THROW(train(graph_, train_, validation_, large, "", {}), Error);
}

}  // namespace
}  // namespace mcufit
