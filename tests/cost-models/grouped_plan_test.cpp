// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cost-models/grouping.h"
#include "cost-models/plan.h"
#include "cost-models/plan_groups.h"
#include "tests/cost-models/arena_judge.h"
#include "tests/cost-models/published_nets.h"
#include "tests/cost-models/random_nets.h"
#include "tests/random_seed.h"

namespace mcufit {
namespace {

using testing::ArenaJudge;
using testing::random_isa;
using testing::RandomNet;
using testing::refused;

// Any cuts, whether they are good or not.
Grouping random_grouping(Random& random, const RowGraph& graph) {
  Grouping grouping;
  for (NodeId first = 0; first < graph.size();) {
    NodeId last = first;
    for (NodeId end = first; end < graph.size(); ++end) {
      if (may_group(graph, first, end) && random.below(3) > 0) last = end;
    }
    const bool single = first == last;
    grouping.groups.push_back(
        {first, last, !graph.reshapes(first) && (!single || (first > 0 && random.below(2) == 0))});
    first = last + 1;
  }
  return grouping;
}

TEST(GroupedPlan, AnyGroupingHoldsAndNeedsItsBound) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed(), {1});
  for (int i = 0; i < 300; ++i) {
    const Graph graph = RandomNet(random).build();
    const RowGraph rows(graph, random_isa(random));
    const MemoryPlan plan = place_groups(rows, random_grouping(random, rows), 5, 0);
    ASSERT_NO_THROW(verify(plan, graph)) << to_json(graph).dump() << to_json(plan).dump();
    ASSERT_EQ(ArenaJudge(plan, graph).first_wrong_reader(), std::nullopt) << to_json(graph).dump();
    ASSERT_LE(least_live_bytes(rows, {.input_streamed = true}), plan.arena_bytes) << to_json(graph).dump();
  }
}

TEST(GroupedPlan, BestIsNotAboveQuickNorQuickAboveLayerByLayer) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed(), {2});
  for (int i = 0; i < 150; ++i) {
    const Graph graph = RandomNet(random).build();
    const bool streamed = random.below(2) == 0;
    const Isa isa = random_isa(random);
    const MemoryPlan best = plan(graph, {.mode = PlanMode::best, .input_streamed = streamed, .isa = isa});
    const MemoryPlan quick = plan(graph, {.mode = PlanMode::quick, .input_streamed = streamed, .isa = isa});
    const MemoryPlan layers = plan(graph, {.mode = PlanMode::layer_by_layer, .isa = isa});
    ASSERT_EQ(best.isa, isa);
    ASSERT_LE(best.lower_bound_bytes, best.arena_bytes) << to_json(graph).dump() << to_json(best).dump();
    ASSERT_LE(best.arena_bytes, quick.arena_bytes);
    ASSERT_LE(quick.arena_bytes, layers.arena_bytes);
    ASSERT_EQ(ArenaJudge(best, graph).first_wrong_reader(), std::nullopt);
    ASSERT_TRUE(streamed || best.steps[0].nodes.size() == 1);
  }
}

TEST(GroupedPlan, AFrontIsOrderedAndTheLimitPicksTheFewestCallsThatFit) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed(), {3});
  for (int i = 0; i < 50; ++i) {
    const Graph graph = RandomNet(random).build();
    const std::vector<FrontPoint> front = plan_front(graph, {});
    for (std::size_t j = 0; j < front.size(); ++j) {
      const std::int64_t limit = front[j].plan.arena_bytes;
      EXPECT_EQ(plan(graph, {.ram_limit = limit}).arena_bytes, limit);
      if (j > 0) {
        EXPECT_GT(limit, front[j - 1].plan.arena_bytes);
        EXPECT_LT(front[j].calls, front[j - 1].calls);
        EXPECT_EQ(front[j].macs, front[0].macs);
      }
    }
    EXPECT_EQ(front.back().extra_weight_bytes, 0);
    EXPECT_EQ(plan(graph, {.ram_limit = 0}).arena_bytes, front[0].plan.arena_bytes);
  }
}

TEST(GroupedPlan, VerifyRefusesWhatTheJudgeRefuses) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed(), {4});
  int damaged = 0;
  for (int i = 0; i < 300; ++i) {
    const Graph graph = RandomNet(random).build();
    const RowGraph rows(graph, random_isa(random));
    const MemoryPlan plan = place_groups(rows, random_grouping(random, rows), 5, 0);
    damaged += testing::moved_placement_is_wrong(random, plan, graph) ? 1 : 0;
  }
  EXPECT_GT(damaged, 10);
}

TEST(GroupedPlan, VerifyRefusesALineBufferThatIsOneRowShort) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed(), {5});
  int damaged = 0;
  for (int i = 0; i < 100; ++i) {
    const Graph graph = RandomNet(random).build();
    const RowGraph rows(graph, random_isa(random));
    const MemoryPlan plan = place_groups(rows, random_grouping(random, rows), 5, 0);
    for (std::size_t id = 0; id < plan.placements.size(); ++id) {
      if (plan.placements[id].ring_rows < 2) continue;
      MemoryPlan less = plan;
      less.placements[id].ring_rows -= 1;
      less.placements[id].bytes -= rows.row_bytes(static_cast<NodeId>(id));
      EXPECT_TRUE(refused(less, graph));
      ++damaged;
    }
  }
  EXPECT_GT(damaged, 10);
}

// Input streamed, pooling in the group, no residual adds, no MAC more than layer by layer.
TEST(GroupedPlan, PublishedNetsNeedNoMoreThanThis) {
  const std::int64_t most[] = {23'000, 16'500, 62'000};
  for (std::size_t i = 0; i < 3; ++i) {
    const Graph graph = testing::published_graph(testing::published_nets()[i], false);
    const MemoryPlan best = plan(graph, {.input_streamed = true});
    EXPECT_LE(best.arena_bytes, most[i]) << graph.name;
    EXPECT_EQ(ArenaJudge(best, graph).first_wrong_reader(), std::nullopt) << graph.name;
  }
}

TEST(GroupedPlan, VerifyRefusesStepsThatCannotRun) {
  GraphBuilder b("fork", {4, 4, 2});
  const NodeId x = b.pointwise("x", b.input(), 2);
  b.add("sum", x, b.pointwise("y", b.input(), 2));
  const Graph graph = lower(b.finish());
  MemoryPlan plan = place_groups(RowGraph(graph), {{{0, 0, false}, {1, 3, true}}, 0, 0}, 0, 0);
  verify(plan, graph);
  MemoryPlan whole = plan;
  whole.steps[1].by_rows = false;
  EXPECT_TRUE(refused(whole, graph));
  MemoryPlan apart = plan;
  apart.steps = {{{0}, false}, {{1, 2}, true}, {{3}, false}};
  EXPECT_TRUE(refused(apart, graph));
  MemoryPlan missing = plan;
  missing.steps.pop_back();
  EXPECT_TRUE(refused(missing, graph));
}

}  // namespace
}  // namespace mcufit
