// SPDX-License-Identifier: Apache-2.0
#include "blocks/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "blocks/builder.h"
#include "blocks/foundation/error.h"

namespace mcufit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Graph small_graph() {
  GraphBuilder b("small", {8, 6, 3});
  NodeId x = b.conv2d("conv", b.input(), 4, square_window(3, 2, 1));
  const NodeId y = b.norm_act("conv", x, Activation::relu6);
  x = b.pointwise("again", y, 4);
  b.fully_connected("head", b.global_average_pool("pool", b.add("sum", y, x)), 5);
  return b.finish();
}

TEST(Graph, BuilderInfersShapes) {
  const Graph g = small_graph();
  EXPECT_EQ(g.node(1).shape, (Shape{4, 3, 4}));
  EXPECT_EQ(g.node(1).name, "conv");
  EXPECT_EQ(g.output_shape(), (Shape{1, 1, 5}));
  EXPECT_EQ(op_name(g.node(3).op), "relu6");
}

TEST(Graph, LastUsesKeepTheSkipAlive) {
  EXPECT_THAT(last_uses(small_graph()), ElementsAre(1, 2, 3, 5, 5, 6, 7, 7));
}

TEST(Graph, ShapesThatDoNotAgreeAreRefusedByName) {
  GraphBuilder b("bad", {4, 4, 2});
  const NodeId x = b.pointwise("wide", b.input(), 3);
  try {
    b.add("sum", b.input(), x);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("sum"), HasSubstr("4x4x2"), HasSubstr("4x4x3")));
  }
}

TEST(Graph, ExtentsAreBounded) {
  EXPECT_THROW(GraphBuilder("zero", {0, 4, 2}), Error);
  EXPECT_THROW(GraphBuilder("wide", {1, 1, 40000}), Error);
  EXPECT_THROW(GraphBuilder("large", {32767, 32767, 2}), Error);
  GraphBuilder b("small", {2, 2, 1});
  EXPECT_THROW(b.conv2d("big kernel", b.input(), 1, square_window(5, 1, 0)), Error);
  EXPECT_THROW(b.conv2d("no stride", b.input(), 1, square_window(1, 0, 0)), Error);
  EXPECT_THROW(b.conv2d("more padding than kernel", b.input(), 1, square_window(3, 1, 3)), Error);
}

TEST(Graph, VerifyFindsBrokenInvariants) {
  Graph unused = small_graph();
  unused.nodes.back().inputs = {0};
  unused.nodes.back().shape = {1, 1, 5};
  EXPECT_THROW(verify(unused), Error);
  Graph forward = small_graph();
  forward.nodes[1].inputs = {3};
  EXPECT_THROW(verify(forward), Error);
  Graph shape = small_graph();
  shape.nodes[2].shape.channels = 9;
  EXPECT_THROW(verify(shape), Error);
  Graph twice = small_graph();
  twice.nodes[2].name = twice.nodes[1].name;
  EXPECT_THROW(verify(twice), Error);
  EXPECT_NO_THROW(verify(small_graph()));
}

TEST(Graph, JsonTellsOpsAndShapes) {
  const auto j = to_json(small_graph());
  EXPECT_EQ(j["nodes"][1]["op"], "conv2d");
  EXPECT_EQ(j["nodes"][1]["stride"][0], 2);
  EXPECT_EQ(j["nodes"][7]["shape"][2], 5);
}

}  // namespace
}  // namespace mcufit
