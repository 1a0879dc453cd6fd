// SPDX-License-Identifier: Apache-2.0
// Plans that run groups of nodes row by row, on the host's kernels: every byte of the output is the
// interpreter's, whatever the arena held before.
#include "tests/exporters/streamed_plans.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "exporters/interpreter.h"
#include "exporters/plan_runner.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/random_nets.h"

namespace mcufit::testing {
namespace {

void expect_interpreters_bytes(Random& random, const QuantizedGraph& graph, const MemoryPlan& plan) {
  const PlanRunner runner(graph, plan);
  for (std::size_t i = 0; i < runner.steps().size(); ++i) {
    const ExecutedStep& step = runner.steps()[i];
    if (step.by_rows) {  // each tile
      ASSERT_EQ(runner.calls(i), row_schedule(step.nodes, graph.graph));
    }
  }
  const auto input = random_bytes(random, graph.graph.input_shape().elements());
  auto arena = random_bytes(random, plan.arena_bytes);
  ASSERT_EQ(runner.run(input, arena), interpret(graph, input).back());
}

TEST(StreamedPlans, RandomNetsInRandomGroupsGiveTheInterpretersBytes) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < 400 && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_net(random, 10);
    expect_interpreters_bytes(random, graph, random_plan(random, graph.graph, 8));
  }
}

bool in_tiles(const Step& step) { return !step.tile_cuts.empty(); }

TEST(StreamedPlans, RandomNetsInRandomTilesGiveTheInterpretersBytes) {
  const std::uint64_t seed = test_seed();
  std::int64_t tiled = 0;
  for (int i = 0; i < 400 && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_column_net(random, 8);
    const MemoryPlan plan = random_tiled_plan(random, graph.graph, 6);
    tiled += std::count_if(plan.steps.begin(), plan.steps.end(), in_tiles);
    expect_interpreters_bytes(random, graph, plan);
  }
  EXPECT_GT(tiled, 100);
}

// Plans in tiles with line buffers that share bytes.
TEST(StreamedPlans, ThePlannersTilesGiveTheInterpretersBytes) {
  const std::uint64_t seed = test_seed();
  std::int64_t tiled = 0;
  for (int i = 0; i < 60 && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_column_net(random, 8);
    for (const FrontPoint& p : plan_front(graph.graph, {.most_mac_factor = 2.0})) {
      tiled += std::count_if(p.plan.steps.begin(), p.plan.steps.end(), in_tiles);
      expect_interpreters_bytes(random, graph, p.plan);
    }
  }
  EXPECT_GT(tiled, 0);
}

// With line buffers that share bytes, and outputs that follow their inputs row by row.
TEST(StreamedPlans, ThePlannersPlansGiveTheInterpretersBytes) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < 100 && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_net(random, 10);
    for (const PlanMode mode : {PlanMode::layer_by_layer, PlanMode::quick, PlanMode::best})
      expect_interpreters_bytes(random, graph, plan(graph.graph, {.mode = mode}));
  }
}

TEST(StreamedPlans, EveryOpInTheLongestGroupsGivesTheInterpretersBytes) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < 20 * RandomNet::kKinds && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_case(random, i % RandomNet::kKinds);
    expect_interpreters_bytes(random, graph, longest_groups(graph.graph));
  }
}

}  // namespace
}  // namespace mcufit::testing
