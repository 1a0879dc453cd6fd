// SPDX-License-Identifier: Apache-2.0
// Plans that run groups of nodes row by row, on the host's kernels: every byte of the output is the
// interpreter's, whatever the arena held before.
#include "tests/exporters/streamed_plans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <span>
#include <string>

#include "cost-models/grouping.h"
#include "exporters/checksums.h"
#include "exporters/interpreter.h"
#include "exporters/plan_runner.h"
#include "tests/cost-models/published_nets.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/random_nets.h"
#include "tests/exporters/sample_network.h"
#include "tests/random_seed.h"

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

// An arena between guard zones.
class GuardedArena {
 public:
  explicit GuardedArena(std::int64_t bytes) : all_(static_cast<std::size_t>(bytes + 2 * kGuard)) {}

  std::span<std::int8_t> paint(std::int8_t colour) {
    std::fill(all_.begin(), all_.end(), colour);
    return std::span(all_).subspan(kGuard, all_.size() - 2 * kGuard);
  }

  // The bytes that kept a paint, guard zones included.
  std::vector<bool> kept(std::int8_t colour) const {
    std::vector<bool> kept;
    for (const std::int8_t byte : all_) kept.push_back(byte == colour);
    return kept;
  }

  static constexpr std::int64_t kGuard = 256;

 private:
  std::vector<std::int8_t> all_;
};

// The output is right, the bytes that are touched are those of the plan's tensors, and the guard zones stay.
void expect_planned_bytes(const QuantizedGraph& graph, const MemoryPlan& plan,
                          std::span<const std::int8_t> input, const std::vector<std::int8_t>& output) {
  constexpr std::int8_t kFirst = 0x5A, kSecond = -0x5B;
  const PlanRunner runner(graph, plan);
  GuardedArena arena(plan.arena_bytes);
  ASSERT_EQ(output, runner.run(input, arena.paint(kFirst)));
  const std::vector<bool> first = arena.kept(kFirst);
  ASSERT_EQ(output, runner.run(input, arena.paint(kSecond)));
  const std::vector<bool> second = arena.kept(kSecond);
  std::int64_t touched = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (first[i] && second[i]) continue;
    ++touched;
    ASSERT_GE(i, GuardedArena::kGuard);
    ASSERT_LT(i, first.size() - GuardedArena::kGuard);
  }
  ASSERT_EQ(touched, covered_bytes(plan, graph.graph));
}

void expect_planned_bytes(Random& random, const QuantizedGraph& graph, const MemoryPlan& plan) {
  const auto input = random_bytes(random, graph.graph.input_shape().elements());
  expect_planned_bytes(graph, plan, input, interpret(graph, input).back());
}

bool is_fed(const MemoryPlan& plan) { return plan.steps.front().nodes.size() > 1; }

// The rows arrive when they are asked for and not before: their places hold other bytes until then.
TEST(StreamedPlans, RandomNetsFedRowByRowGiveTheInterpretersBytes) {
  const std::uint64_t seed = test_seed();
  int fed = 0;
  for (int i = 0; i < 300 && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_net(random, 10);
    for (const MemoryPlan& plan : {random_plan(random, graph.graph, 8, InputUse::streamed),
                                   packed_plan(random, graph.graph, 8, InputUse::streamed)}) {
      fed += is_fed(plan) ? 1 : 0;
      ASSERT_LE(least_live_bytes(RowGraph(graph.graph), {.input_streamed = true}), plan.arena_bytes);
      expect_interpreters_bytes(random, graph, plan);
      expect_planned_bytes(random, graph, plan);
    }
  }
  EXPECT_GT(fed, 300);
}

// The input piece by piece: in each tile the rows arrive again, of each the columns that the tile reads.
TEST(StreamedPlans, RandomTilesFedPieceByPieceGiveTheInterpretersBytes) {
  const std::uint64_t seed = test_seed();
  int fed = 0;
  for (int i = 0; i < 300 && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_column_net(random, 8);
    for (const MemoryPlan& plan : {random_tiled_plan(random, graph.graph, 6, InputUse::streamed),
                                   packed_tiled_plan(random, graph.graph, 6, InputUse::streamed)}) {
      fed += in_tiles(plan.steps.front()) ? 1 : 0;
      ASSERT_LE(plan.lower_bound_bytes, plan.arena_bytes);
      expect_interpreters_bytes(random, graph, plan);
      expect_planned_bytes(random, graph, plan);
    }
  }
  EXPECT_GT(fed, 100);
}

TEST(StreamedPlans, ThePlannersTilesFedPieceByPieceGiveTheInterpretersBytes) {
  const std::uint64_t seed = test_seed();
  int fed = 0;
  for (int i = 0; i < 60 && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_column_net(random, 8);
    for (const FrontPoint& p : plan_front(graph.graph, {.input_streamed = true, .most_mac_factor = 2.0})) {
      fed += in_tiles(p.plan.steps.front()) ? 1 : 0;
      expect_interpreters_bytes(random, graph, p.plan);
      expect_planned_bytes(random, graph, p.plan);
    }
  }
  EXPECT_GT(fed, 10);
}

TEST(StreamedPlans, ThePlannersFedPlansGiveTheInterpretersBytes) {
  const std::uint64_t seed = test_seed();
  int fed = 0;
  for (int i = 0; i < 100 && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_net(random, 10);
    for (const PlanMode mode : {PlanMode::quick, PlanMode::best}) {
      const MemoryPlan smallest = plan(graph.graph, {.mode = mode, .input_streamed = true});
      fed += is_fed(smallest) ? 1 : 0;
      ASSERT_LE(least_live_bytes(RowGraph(graph.graph), {.input_streamed = true}), smallest.arena_bytes);
      expect_interpreters_bytes(random, graph, smallest);
      expect_planned_bytes(random, graph, smallest);
    }
  }
  EXPECT_GT(fed, 10);
}

// The smallest plan of each published net at the largest MAC factor for which RAM was published.
TEST(StreamedPlans, PublishedNetsFedPieceByPieceGiveTheInterpretersBytes) {
  MCUFIT_TRACE_SEED();
  Random random(seed());
  for (const PublishedNet& net : published_nets()) {
    SCOPED_TRACE(net.name);
    const Graph graph = published_graph(net, false);
    const auto input = random_bytes(random, graph.input_shape().elements());
    const QuantizedGraph quantized = sized_network(random, graph, input);
    const MemoryPlan smallest =
        plan(graph, {.input_streamed = true, .most_mac_factor = net.published.back().mac_factor});
    EXPECT_TRUE(in_tiles(smallest.steps.front()));
    EXPECT_LE(smallest.arena_bytes, net.published.back().bytes);
    const std::vector<std::int8_t> expected = interpret(quantized, input).back();
    EXPECT_GT(std::set(expected.begin(), expected.end()).size(), 20U) << "the outputs tell nothing";
    expect_planned_bytes(quantized, smallest, input, expected);
    EXPECT_EQ(covered_bytes(smallest, graph), smallest.arena_bytes);
  }
}

// As a sender counts them, and what checksums are of.
TEST(StreamedPlans, BytesMadeAreThoseOfTheCalls) {
  const std::uint64_t seed = test_seed();
  int cut = 0;
  for (int i = 0; i < 200 && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_net(random, 10);
    const MemoryPlan plan = random_plan(random, graph.graph, 8, InputUse::streamed);
    const PlanRunner runner(graph, plan);
    const std::vector<std::int64_t> made = bytes_made(graph.graph, plan);
    for (std::size_t step = 0; step < runner.steps().size(); ++step) {
      for (const NodeId id : runner.steps()[step].nodes) {
        std::int64_t rows = graph.graph.node(id).shape.height;
        if (runner.steps()[step].by_rows && plan.placement(id).sums_bytes == 0) {
          const auto calls = runner.calls(step);
          rows = std::count_if(calls.begin(), calls.end(), [&](const RowCall& c) { return c.node == id; });
        }
        cut += rows < graph.graph.node(id).shape.height ? 1 : 0;
        ASSERT_EQ(made[static_cast<std::size_t>(id)],
                  rows * graph.graph.node(id).shape.width * graph.graph.node(id).shape.channels);
      }
    }
  }
  EXPECT_GT(cut, 0);
}

TEST(StreamedPlans, EveryOpInTheLongestGroupsGivesTheInterpretersBytes) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < 20 * RandomNet::kKinds && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_case(random, i % RandomNet::kKinds);
    for (const InputUse input : {InputUse::whole, InputUse::streamed})
      expect_interpreters_bytes(random, graph, longest_groups(graph.graph, input));
  }
}

}  // namespace
}  // namespace mcufit::testing
