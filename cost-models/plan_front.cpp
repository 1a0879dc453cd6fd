// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cost-models/count.h"
#include "cost-models/grouping.h"
#include "cost-models/layout.h"
#include "cost-models/plan.h"
#include "cost-models/plan_groups.h"

namespace mcufit {
namespace {

constexpr int kAttempts = 30;       // changed placements of each grouping of a front
constexpr int kMostAttempts = 300;  // of the smallest one
constexpr int kQuickAttempts = 3;   // groupings that the quick mode places to meet a limit

std::int64_t calls_of(const RowGraph& graph, const MemoryPlan& plan) {
  std::int64_t calls = 0;
  for (const Step& step : plan.steps) {
    for (const NodeId id : step.nodes) {
      if (step.by_rows)
        calls += graph.calls(id, step.nodes.front());
      else if (id != 0 && !graph.reshapes(id))
        ++calls;
    }
  }
  return calls;
}

FrontPoint point(const Graph& lowered, const RowGraph& graph, MemoryPlan plan) {
  FrontPoint p;
  for (NodeId id = 0; id < lowered.size(); ++id) p.macs += count_macs(lowered, id);
  p.calls = calls_of(graph, plan);
  for (const Step& step : plan.steps) {
    if (!step.by_rows) continue;
    for (const NodeId id : step.nodes)
      p.extra_weight_bytes +=
          (graph.calls(id, step.nodes.front()) - 1) * node_layout(lowered, id).filter_bytes;
  }
  p.plan = std::move(plan);
  return p;
}

MemoryPlan quick_plan(const Graph& lowered, const RowGraph& graph, const PlanOptions& options) {
  MemoryPlan layers = plan(lowered);
  if (options.ram_limit && layers.arena_bytes <= *options.ram_limit) return layers;
  const std::vector<Grouping> groupings = pareto_groupings(graph, {.input_streamed = options.input_streamed,
                                                                   .longest = kQuickGroup,
                                                                   .limit = layers.arena_bytes,
                                                                   .narrow_ends = true});
  if (groupings.empty()) return layers;
  if (options.ram_limit) {
    auto fitting = std::find_if(groupings.rbegin(), groupings.rend(), [&](const Grouping& grouping) {
      return grouping.bytes <= *options.ram_limit;
    });
    for (int i = 0; i < kQuickAttempts && fitting != groupings.rend(); ++i, ++fitting) {
      MemoryPlan grouped = place_groups(graph, *fitting, 0, fitting->bytes);
      if (grouped.arena_bytes <= *options.ram_limit) return grouped;
    }
  }
  MemoryPlan grouped = place_groups(graph, groupings.front(), 0, groupings.front().bytes);
  return grouped.arena_bytes < layers.arena_bytes ? grouped : layers;
}

// The plan of each grouping that is worth it, and layer by layer.
std::vector<MemoryPlan> all_plans(const Graph& lowered, const RowGraph& graph, const PlanOptions& options,
                                  std::int64_t bound) {
  std::vector<MemoryPlan> plans{
      plan(lowered),
      quick_plan(lowered, graph, {.mode = PlanMode::quick, .input_streamed = options.input_streamed})};
  int attempts = kMostAttempts;  // for the smallest
  for (const Grouping& grouping : pareto_groupings(graph, {.input_streamed = options.input_streamed,
                                                          .longest = graph.size(),
                                                          .limit = plans[0].arena_bytes})) {
    plans.push_back(place_groups(graph, grouping, attempts, bound));
    attempts = kAttempts;
  }
  return plans;
}

}  // namespace

std::vector<FrontPoint> plan_front(const Graph& lowered, const PlanOptions& options) {
  const RowGraph graph(lowered);
  const std::int64_t bound = least_live_bytes(graph, options.input_streamed);
  std::vector<FrontPoint> points;
  for (MemoryPlan& plan : all_plans(lowered, graph, options, bound)) {
    plan.lower_bound_bytes = bound;
    points.push_back(point(lowered, graph, std::move(plan)));
  }
  std::stable_sort(points.begin(), points.end(), [](const FrontPoint& a, const FrontPoint& b) {
    return a.plan.arena_bytes != b.plan.arena_bytes ? a.plan.arena_bytes < b.plan.arena_bytes
                                                    : a.calls < b.calls;
  });
  std::vector<FrontPoint> front;
  for (FrontPoint& p : points) {
    if (front.empty() || p.calls < front.back().calls) front.push_back(std::move(p));
  }
  for (const FrontPoint& p : front) verify(p.plan, lowered);
  return front;
}

MemoryPlan plan(const Graph& lowered, const PlanOptions& options) {
  if (options.mode == PlanMode::layer_by_layer) return plan(lowered);
  if (options.mode == PlanMode::quick) {
    MemoryPlan quick = quick_plan(lowered, RowGraph(lowered), options);
    verify(quick, lowered);
    return quick;
  }
  std::vector<FrontPoint> front = plan_front(lowered, options);
  std::size_t chosen = 0;
  for (std::size_t i = 0; i < front.size(); ++i) {
    if (options.ram_limit && front[i].plan.arena_bytes <= *options.ram_limit) chosen = i;
  }
  return std::move(front[chosen].plan);
}

}  // namespace mcufit
