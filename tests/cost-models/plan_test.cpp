// SPDX-License-Identifier: Apache-2.0
#include "cost-models/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "blocks/builder.h"
#include "blocks/family.h"
#include "blocks/foundation/error.h"
#include "blocks/foundation/random.h"
#include "blocks/lower.h"
#include "cost-models/count.h"
#include "tests/cost-models/random_nets.h"
#include "tests/random_seed.h"

namespace mcufit {
namespace {

// A random chain with forks that are added again later, of one shape so that any two may be added.
Graph random_graph(Random& random) {
  GraphBuilder b("random", {5, 7, 3});
  std::vector<NodeId> values{b.input()};
  const std::int64_t nodes = random.between(1, 25);
  std::vector<bool> used{false};
  for (int i = 0; i < nodes; ++i) {
    const NodeId a = values[random.below(values.size())];
    NodeId made = 0;
    if (random.below(2) == 0) {
      const NodeId c = values[random.below(values.size())];
      made = b.add("n" + std::to_string(i), a, c);
    } else {
      made = b.pointwise("n" + std::to_string(i), a, 3);
    }
    values.push_back(made);
  }
  // Whatever nobody reads is summed up, so that the graph has one output.
  NodeId sum = values.back();
  for (std::size_t i = 0; i + 1 < values.size(); ++i) sum = b.add("s" + std::to_string(i), sum, values[i]);
  return lower(b.finish());
}

// Every op, so that tensors of all lives lie beside each other; plan() verifies.
TEST(Plan, HoldsOnRandomNets) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed(), {1});
  for (int i = 0; i < 2000; ++i) {
    const Graph graph = testing::RandomNet(random).build();
    ASSERT_NO_THROW(plan(graph, testing::random_isa(random))) << to_json(graph).dump();
  }
  Random known(148, {3});  // its 26th net has neighbours of which a lower one reaches higher
  for (int i = 0; i < 26; ++i) ASSERT_NO_THROW(plan(testing::RandomNet(known).build()));
}

TEST(Plan, HoldsOnRandomGraphsAndRespectsTheBound) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  for (int i = 0; i < 300; ++i) {
    const Graph graph = random_graph(random);
    const MemoryPlan p = plan(graph);
    EXPECT_NO_THROW(verify(p, graph));
    EXPECT_GE(p.arena_bytes, p.lower_bound_bytes);
  }
}

TEST(Plan, FamiliesReachTheirBound) {
  for (const Family* f : families()) {
    const Architecture a{f, default_hyperparameters(*f), {{28, 28, 1}, 10}};
    const Graph graph = lower(a.build());
    for (const Isa isa : isas()) {
      const MemoryPlan p = plan(graph, isa);
      EXPECT_GE(p.arena_bytes, a.footprint().peak_activation_bytes);
      EXPECT_EQ(p.arena_bytes, p.lower_bound_bytes) << f->name() << " " << to_string(isa);
    }
  }
}

TEST(Plan, AddIsInPlace) {
  GraphBuilder b("residual", {4, 4, 4});
  const NodeId x = b.pointwise("x", b.input(), 4);
  const NodeId y = b.pointwise("y", x, 4);
  const NodeId sum = b.add("sum", x, y);
  const Graph graph = lower(b.finish());
  const MemoryPlan p = plan(graph);
  EXPECT_EQ(p.arena_bytes, 2 * 64);
  EXPECT_TRUE(in_place(p, graph, sum, x) || in_place(p, graph, sum, y));
}

TEST(Plan, VerifyFindsOverlapsAndEarlyDeaths) {
  GraphBuilder b("residual", {4, 4, 4});
  const NodeId x = b.pointwise("x", b.input(), 4);
  const NodeId y = b.pointwise("y", x, 4);
  b.add("sum", x, y);
  const Graph graph = lower(b.finish());
  const MemoryPlan good = plan(graph);
  MemoryPlan overlap = good;
  overlap.placements[static_cast<std::size_t>(y)].offset = overlap.placement(x).offset;
  EXPECT_THROW(verify(overlap, graph), Error);
  MemoryPlan early = good;
  early.placements[static_cast<std::size_t>(x)].last_step = y;
  EXPECT_THROW(verify(early, graph), Error);
  MemoryPlan outside = good;
  outside.arena_bytes -= 4;
  EXPECT_THROW(verify(outside, graph), Error);
  MemoryPlan misaligned = good;
  misaligned.arena_bytes += 4;
  misaligned.placements[0].offset += 2;
  EXPECT_THROW(verify(misaligned, graph), Error);
}

TEST(Plan, PictureShowsEveryStep) {
  const Family& f = family("phinet");
  const Graph graph = lower(f.build(default_hyperparameters(f), {{28, 28, 1}, 10}));
  const std::string text = picture(plan(graph), graph);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), graph.size() + 1);
  EXPECT_THAT(text, ::testing::HasSubstr("block1/expand"));
}

}  // namespace
}  // namespace mcufit
