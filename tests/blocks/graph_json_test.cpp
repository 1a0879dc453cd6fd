// SPDX-License-Identifier: Apache-2.0
#include "blocks/graph_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "blocks/builder.h"
#include "blocks/foundation/random.h"
#include "tests/random_seed.h"

namespace mcufit::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Graph again(const Graph& graph) {
  return read_graph(JsonDocument::parse(to_json(graph).dump(2), "graph.json"));
}

std::int32_t draw(Random& random, std::int64_t low, std::int64_t high) {
  return static_cast<std::int32_t>(random.between(low, high));
}

// An op on a tensor of `in`, drawn from all that have one input.
Op random_op(Random& random, Shape in) {
  const auto activation = static_cast<Activation>(random.below(6));
  Window w = square_window(draw(random, 1, std::min({3, in.height, in.width})), draw(random, 1, 2), 0);
  if (w.kernel_height > 1) w.padding = {draw(random, 0, 1), 0, 1, draw(random, 0, 1)};
  const bool flag = random.below(2) == 0;
  switch (random.below(12)) {
    case 0:
      return Conv2d{draw(random, 1, 9), w, flag, activation};
    case 1:
      return DepthwiseConv2d{w, flag, activation, draw(random, 1, 3)};
    case 2:
      return FullyConnected{draw(random, 1, 9), flag, activation};
    case 3:
      return BatchNorm{static_cast<float>(random.unit())};
    case 4:
      return Activate{activation};
    case 5:
      return AveragePool2d{w, activation};
    case 6:
      return MaxPool2d{w, activation};
    case 7:
      return Softmax{static_cast<float>(random.unit())};
    case 8:
      return Mean{flag, !flag};
    case 9:
      return Pad{{1, 2, draw(random, 0, 3), 0}, draw(random, 0, 2), 1, -static_cast<float>(random.unit())};
    case 10:
      return Reshape{{in.channels, in.height, in.width}};
    default:
      return ResizeNearestNeighbor{draw(random, 1, 9), draw(random, 1, 9), flag, !flag};
  }
}

// A chain of random ops in which some outputs are joined with themselves or their predecessor.
Graph random_graph(Random& random) {
  Graph graph{"net \"1\"", {}};
  const Shape input{draw(random, 1, 9), draw(random, 1, 9), draw(random, 1, 4)};
  graph.nodes.push_back({Input{input}, {}, input, "input"});
  for (int i = 0; i < 12; ++i) {
    const NodeId last = graph.size() - 1;
    const Shape in = graph.node(last).shape;
    std::vector<NodeId> inputs{last};
    Op op = random_op(random, in);
    const auto join = random.below(6);
    if (join == 0) op = Add{Activation::relu};
    if (join == 1) op = Mul{};
    if (join == 2) op = Concatenation{static_cast<Axis>(random.below(3))};
    if (join < 3) inputs.push_back(last);
    std::vector<Shape> shapes(inputs.size(), in);
    const Shape shape = infer_shape(op, shapes, "random");
    if (shape.elements() > 100000) break;
    graph.nodes.push_back({op, inputs, shape, "node/" + std::to_string(i)});
  }
  return graph;
}

TEST(GraphJson, WhatWasWrittenIsRead) {
  for (std::uint64_t i = 0; i < 300; ++i) {
    SCOPED_TRACE(i);
    Random random(seed(), {i});
    const Graph graph = random_graph(random);
    verify(graph);
    ASSERT_EQ(again(graph), graph);
  }
}

// The message for the small graph with something changed in its JSON.
std::string refusal(const std::function<void(nlohmann::json&)>& change) {
  GraphBuilder b("small", {4, 4, 2});
  NodeId x = b.conv2d("conv", b.input(), 3, square_window(3, 1, 1));
  x = b.activate("relu", x, Activation::relu);
  b.concatenation("both", {x, b.input()}, Axis::channels);
  nlohmann::json json = to_json(b.finish());
  change(json);
  try {
    read_graph(JsonDocument::parse(json.dump(2), "graph.json"));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input);
    return error.what();
  }
  return "accepted";
}

TEST(GraphJson, FaultsAreNamedWithLineAndColumn) {
  using J = nlohmann::json;
  EXPECT_EQ(refusal([](J&) {}), "accepted");
  const std::string two = refusal([](J& j) {
    j["nodes"][1]["stride"] = {0, 1};
    j["nodes"][2]["op"] = "relu7";
  });
  EXPECT_THAT(two, AllOf(::testing::ContainsRegex("graph.json:[0-9]+:[0-9]+: /nodes/1/stride"),
                         ::testing::ContainsRegex("graph.json:[0-9]+:[0-9]+: /nodes/2/op"),
                         HasSubstr("did you mean 'relu")));
  EXPECT_THAT(refusal([](J& j) { j["nodes"][1]["strides"] = 1; }), HasSubstr("strides"));
  EXPECT_THAT(refusal([](J& j) { j["nodes"][1].erase("padding"); }), HasSubstr("'padding' is missing"));
  EXPECT_THAT(refusal([](J& j) { j["nodes"][3]["axis"] = "batch"; }), HasSubstr("axis"));
  EXPECT_THAT(refusal([](J& j) { j["nodes"][1]["shape"] = {4, 4}; }), HasSubstr("shape"));
  EXPECT_THAT(refusal([](J& j) { j["nodes"] = J::array(); }), HasSubstr("nodes"));
}

TEST(GraphJson, WiringAndShapesAreChecked) {
  using J = nlohmann::json;
  EXPECT_THAT(refusal([](J& j) { j["nodes"][1]["inputs"] = {3}; }), HasSubstr("not before it"));
  EXPECT_THAT(refusal([](J& j) { j["nodes"][2]["inputs"] = {0}; }), HasSubstr("relu has a wrong shape"));
  EXPECT_THAT(refusal([](J& j) { j["nodes"][3]["inputs"] = {2}; }), HasSubstr("wrong shape"));
  EXPECT_THAT(refusal([](J& j) { j["nodes"][1]["kernel"] = {9, 9}; }), HasSubstr("does not fit"));
  EXPECT_THAT(refusal([](J& j) { j["nodes"][1]["name"] = "input"; }), HasSubstr("named 'input'"));
  EXPECT_THAT(refusal([](J& j) { j["nodes"][0]["op"] = "relu"; }), HasSubstr("activation"));
}

}  // namespace
}  // namespace mcufit::testing
