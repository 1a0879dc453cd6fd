// SPDX-License-Identifier: Apache-2.0
// Plans with groups in tiles.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cost-models/count.h"
#include "cost-models/plan.h"
#include "cost-models/plan_groups.h"
#include "tests/cost-models/arena_judge.h"
#include "tests/cost-models/published_nets.h"
#include "tests/cost-models/random_nets.h"
#include "tests/cost-models/random_tiles.h"
#include "tests/random_seed.h"

namespace mcufit {
namespace {

using testing::ArenaJudge;
using testing::ColumnNet;
using testing::refused;

// Any cuts of the node order with groups in tiles among them, as many as there may be.
Grouping random_tiled_grouping(Random& random, const RowGraph& graph) {
  Grouping grouping;
  for (NodeId first = 0; first < graph.size();) {
    GroupRange group{first, first, false};
    for (NodeId end = std::min(first + 7, graph.size()) - 1; end > first && group.last == first; --end) {
      if (random.below(2) == 0) continue;
      std::vector<std::int32_t> cuts = testing::random_cuts(random, graph, first, end);
      if (!cuts.empty() || may_group(graph, first, end)) group = {first, end, true, std::move(cuts)};
    }
    first = group.last + 1;
    grouping.groups.push_back(std::move(group));
  }
  return grouping;
}

bool in_tiles(const Step& step) { return !step.tile_cuts.empty(); }

bool has_tiles(const MemoryPlan& plan) { return std::any_of(plan.steps.begin(), plan.steps.end(), in_tiles); }

TEST(TiledPlan, AnyTilingHoldsAndNeedsItsBound) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed(), {1});
  int tiled = 0;
  for (int i = 0; i < 300; ++i) {
    const Graph graph = ColumnNet(random).build();
    const RowGraph rows(graph, testing::random_isa(random));
    const MemoryPlan plan = place_groups(rows, random_tiled_grouping(random, rows), 5, 0);
    tiled += has_tiles(plan) ? 1 : 0;
    ASSERT_NO_THROW(verify(plan, graph)) << to_json(graph).dump() << to_json(plan).dump();
    ASSERT_EQ(ArenaJudge(plan, graph).first_wrong_reader(), std::nullopt)
        << to_json(graph).dump() << to_json(plan).dump();
    ASSERT_LE(least_live_bytes(rows, {.input_streamed = true, .tiles = true}), plan.arena_bytes)
        << to_json(graph).dump();
  }
  EXPECT_GT(tiled, 50);
}

TEST(TiledPlan, VerifyRefusesWhatTheJudgeRefuses) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed(), {2});
  int damaged = 0;
  for (int i = 0; i < 600; ++i) {
    const Graph graph = ColumnNet(random).build();
    const RowGraph rows(graph, testing::random_isa(random));
    const MemoryPlan plan = place_groups(rows, random_tiled_grouping(random, rows), 5, 0);
    if (!has_tiles(plan)) continue;
    damaged += testing::moved_placement_is_wrong(random, plan, graph) ? 1 : 0;
  }
  EXPECT_GT(damaged, 10);
}

TEST(TiledPlan, VerifyRefusesALineBufferThatIsARowOrAColumnShort) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed(), {3});
  int damaged = 0;
  for (int i = 0; i < 200; ++i) {
    const Graph graph = ColumnNet(random).build();
    const RowGraph rows(graph, testing::random_isa(random));
    const MemoryPlan plan = place_groups(rows, random_tiled_grouping(random, rows), 5, 0);
    for (const Step& step : plan.steps) {
      if (!in_tiles(step)) continue;
      const Placement& p = plan.placement(step.nodes.front());
      MemoryPlan narrow = plan, low = plan;
      narrow.placements[static_cast<std::size_t>(p.node)].bytes -= p.ring_rows * rows.pixel_bytes(p.node);
      EXPECT_TRUE(refused(narrow, graph));
      low.placements[static_cast<std::size_t>(p.node)].ring_rows -= 1;
      low.placements[static_cast<std::size_t>(p.node)].bytes -= p.bytes / p.ring_rows;
      EXPECT_TRUE(refused(low, graph)) << to_json(graph).dump() << to_json(low).dump();
      ++damaged;
    }
  }
  EXPECT_GT(damaged, 30);
}

TEST(TiledPlan, VerifyRefusesTilesThatCannotRun) {
  GraphBuilder b("refused", {4, 4, 2});
  const NodeId x = b.pointwise("x", b.input(), 2);
  b.global_average_pool("pool", b.pointwise("y", x, 2));
  const Graph graph = lower(b.finish());
  const MemoryPlan plan =
      place_groups(RowGraph(graph), {{{0, 0, false}, {1, 2, true, {2}}, {3, 3, false}}, 0, 0}, 0, 0);
  verify(plan, graph);
  for (const std::vector<std::int32_t>& cuts :
       std::vector<std::vector<std::int32_t>>{{}, {1}, {0}, {4}, {2, 2}, {3, 1}}) {
    MemoryPlan other = plan;
    other.steps[1].tile_cuts = cuts;
    EXPECT_TRUE(refused(other, graph)) << cuts.size();
  }
  MemoryPlan pool = plan;
  pool.steps[2].tile_cuts = {1};
  EXPECT_TRUE(refused(pool, graph));
}

// No point of a front is as good as another in all three; the limit on MACs holds.
TEST(TiledPlan, AFrontTradesBytesAgainstMacsAndCalls) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed(), {4});
  int tiled = 0;
  for (int i = 0; i < 60; ++i) {
    const Graph graph = ColumnNet(random).build();
    const bool streamed = random.below(2) == 0;
    const double factor = 1.0 + random.unit();
    const std::int64_t least = plan(graph, {.input_streamed = streamed}).arena_bytes;
    const auto front = plan_front(graph, {.input_streamed = streamed, .most_mac_factor = factor});
    EXPECT_LE(front[0].plan.arena_bytes, least);
    for (std::size_t j = 0; j < front.size(); ++j) {
      const FrontPoint& p = front[j];
      tiled += has_tiles(p.plan) ? 1 : 0;
      EXPECT_LE(static_cast<double>(p.macs), factor * static_cast<double>(count(graph).macs));
      EXPECT_LE(p.plan.lower_bound_bytes, p.plan.arena_bytes);
      EXPECT_EQ(ArenaJudge(p.plan, graph).first_wrong_reader(), std::nullopt) << to_json(graph).dump();
      for (std::size_t k = 0; k < j; ++k)
        EXPECT_TRUE(front[k].macs > p.macs || front[k].calls > p.calls) << to_json(graph).dump();
    }
    const std::int64_t limit = front[0].plan.arena_bytes;
    const PlanOptions fits{.ram_limit = limit, .input_streamed = streamed, .most_mac_factor = factor};
    EXPECT_EQ(plan(graph, fits).arena_bytes, limit);
  }
  EXPECT_GT(tiled, 20);
}

// Input delivered in tiles, pooling in the group, no residual adds, at each factor no more RAM than
// published.
TEST(TiledPlan, PublishedNetsNeedNoMoreThanPublishedAtEachMacFactor) {
  for (const testing::PublishedNet& net : testing::published_nets()) {
    const Graph graph = testing::published_graph(net, false);
    const auto macs = static_cast<double>(count(graph).macs);
    const std::vector<FrontPoint> front =
        plan_front(graph, {.input_streamed = true, .most_mac_factor = net.published.back().mac_factor});
    for (const testing::PublishedPoint& published : net.published) {
      const auto least = std::find_if(front.begin(), front.end(), [&](const FrontPoint& p) {
        return static_cast<double>(p.macs) <= published.mac_factor * macs;
      });
      ASSERT_NE(least, front.end());
      EXPECT_LE(least->plan.arena_bytes, published.bytes) << net.name << " at " << published.mac_factor;
    }
    EXPECT_EQ(ArenaJudge(front[0].plan, graph).first_wrong_reader(), std::nullopt) << net.name;
  }
}

}  // namespace
}  // namespace mcufit
