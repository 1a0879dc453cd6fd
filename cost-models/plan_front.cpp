// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <optional>
#include <tuple>
#include <utility>

#include "cost-models/count.h"
#include "cost-models/group_tiles.h"
#include "cost-models/grouping.h"
#include "cost-models/layout.h"
#include "cost-models/plan.h"
#include "cost-models/plan_groups.h"
#include "cost-models/quick_plans.h"

namespace mcufit {
namespace {

constexpr int kAttempts = 30;       // changed placements of each grouping of a front
constexpr int kMostAttempts = 300;  // of the smallest one

std::int64_t tiles_of(const Step& step) { return std::ssize(step.tile_cuts) + 1; }

std::int64_t calls_of(const RowGraph& graph, const MemoryPlan& plan) {
  std::int64_t calls = 0;
  for (const Step& step : plan.steps) {
    for (const NodeId id : step.nodes) {
      if (step.by_rows)
        calls += graph.calls(id, step.nodes.front()) * tiles_of(step);
      else if (id != 0 && !graph.reshapes(id))
        ++calls;
    }
  }
  return calls;
}

// MACs that tiles make more than the network once.
std::int64_t extra_macs(const RowGraph& graph, const MemoryPlan& plan) {
  std::int64_t extra = 0;
  for (const Step& step : plan.steps) {
    if (step.tile_cuts.empty()) continue;
    const GroupTiles tiles(graph, step.nodes.front(), step.nodes.back(), step.tile_cuts);
    for (const NodeId id : step.nodes) extra += tiles.extra_macs(id);
  }
  return extra;
}

FrontPoint point(const Graph& lowered, const RowGraph& graph, MemoryPlan plan) {
  FrontPoint p{.plan = {}, .macs = count(lowered).macs + extra_macs(graph, plan)};
  p.calls = calls_of(graph, plan);
  for (const Step& step : plan.steps) {
    if (!step.by_rows) continue;
    for (const NodeId id : step.nodes)
      p.extra_weight_bytes +=
          (graph.calls(id, step.nodes.front()) * tiles_of(step) - 1) * node_layout(lowered, id).filter_bytes;
  }
  p.plan = std::move(plan);
  return p;
}

// The plan of each grouping that is worth it and needs less than `limit`.
std::vector<MemoryPlan> grouped_plans(const RowGraph& graph, bool input_streamed, std::int64_t limit,
                                      std::int64_t bound) {
  std::vector<MemoryPlan> plans;
  int attempts = kMostAttempts;  // for the smallest
  for (const Grouping& grouping :
       pareto_groupings(graph, {.input_streamed = input_streamed, .longest = graph.size(), .limit = limit})) {
    plans.push_back(place_groups(graph, grouping, attempts, bound));
    attempts = kAttempts;
  }
  return plans;
}

std::int64_t least_arena(const std::vector<MemoryPlan>& plans) {
  return std::min_element(
             plans.begin(), plans.end(),
             [](const MemoryPlan& a, const MemoryPlan& b) { return a.arena_bytes < b.arena_bytes; })
      ->arena_bytes;
}

void append(std::vector<MemoryPlan>& plans, std::vector<MemoryPlan> more) {
  std::move(more.begin(), more.end(), std::back_inserter(plans));
}

// The plans of groupings in tiles that need less than `least`, which those without tiles reach.
std::vector<MemoryPlan> tiled_plans(const Graph& lowered, const RowGraph& graph, const PlanOptions& options,
                                    std::int64_t least) {
  const TilingLimits limits{least - kTensorAlignment, most_extra_macs(lowered, options.most_mac_factor)};
  std::vector<MemoryPlan> plans;
  if (limits.extra_macs <= 0) return plans;
  for (const Grouping& grouping : pareto_tilings(graph, options.input_streamed, limits))
    plans.push_back(place_groups(graph, grouping, kAttempts, 0));
  return plans;
}

// Of points by arena bytes, calls and MACs those that no other undercuts.
std::vector<FrontPoint> not_undercut(std::vector<FrontPoint> points) {
  std::stable_sort(points.begin(), points.end(), [](const FrontPoint& a, const FrontPoint& b) {
    return std::tuple(a.plan.arena_bytes, a.calls, a.macs) < std::tuple(b.plan.arena_bytes, b.calls, b.macs);
  });
  std::vector<FrontPoint> front;
  for (FrontPoint& p : points) {
    const bool undercut = std::any_of(front.begin(), front.end(), [&](const FrontPoint& other) {
      return other.calls <= p.calls && other.macs <= p.macs;
    });
    if (!undercut) front.push_back(std::move(p));
  }
  return front;
}

}  // namespace

std::vector<FrontPoint> plan_front(const Graph& lowered, const PlanOptions& options) {
  const RowGraph graph(lowered, options.isa);
  const bool streamed = options.input_streamed;
  std::vector<MemoryPlan> plans{plan(lowered, options.isa)};
  plans.push_back(QuickPlans(lowered, plans[0], streamed).smallest());
  std::int64_t bound = least_live_bytes(graph, {.input_streamed = streamed, .reached = least_arena(plans)});
  append(plans, grouped_plans(graph, streamed, plans[0].arena_bytes, bound));
  const std::int64_t least = least_arena(plans);
  std::vector<MemoryPlan> tiled = tiled_plans(lowered, graph, options, least);
  if (!tiled.empty())
    bound = least_live_bytes(graph, {.input_streamed = streamed, .tiles = true, .reached = least});
  append(plans, std::move(tiled));
  std::vector<FrontPoint> points;
  for (MemoryPlan& plan : plans) {
    plan.lower_bound_bytes = bound;
    points.push_back(point(lowered, graph, std::move(plan)));
  }
  std::vector<FrontPoint> front = not_undercut(std::move(points));
  for (const FrontPoint& p : front) verify(p.plan, lowered);
  return front;
}

MemoryPlan plan(const Graph& lowered, const PlanOptions& options) {
  if (options.mode == PlanMode::layer_by_layer) return plan(lowered, options.isa);
  if (options.mode == PlanMode::quick) {
    const QuickPlans plans(lowered, plan(lowered, options.isa), options.input_streamed);
    std::optional<MemoryPlan> fitting;
    if (options.ram_limit) fitting = plans.within(*options.ram_limit, options.most_mac_factor);
    MemoryPlan quick = fitting ? std::move(*fitting) : plans.smallest();
    verify(quick, lowered);
    return quick;
  }
  std::vector<FrontPoint> front = plan_front(lowered, options);
  std::size_t chosen = 0;
  const auto work = [&](std::size_t i) { return std::tuple(front[i].macs, front[i].calls); };
  for (std::size_t i = 1; i < front.size(); ++i) {
    const bool fits = options.ram_limit && front[i].plan.arena_bytes <= *options.ram_limit;
    if (fits && work(i) < work(chosen)) chosen = i;
  }
  return std::move(front[chosen].plan);
}

}  // namespace mcufit
