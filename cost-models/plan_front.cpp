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

namespace mcufit {
namespace {

constexpr int kAttempts = 30;       // changed placements of each grouping of a front
constexpr int kMostAttempts = 300;  // of the smallest one
constexpr int kQuickAttempts = 3;   // groupings that the quick mode places to meet a limit

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

TilingLimits tiling_limits(const Graph& lowered, double most_mac_factor, std::int64_t bytes) {
  const auto macs = static_cast<double>(count(lowered).macs);
  return {bytes, static_cast<std::int64_t>(macs * (std::min(most_mac_factor, kMostMacFactor) - 1.0))};
}

// A plan in tiles that keeps to the limit: one of those with the fewest extra MACs and calls. Nothing where
// none is found.
std::optional<MemoryPlan> quick_tiled_plan(const Graph& lowered, const RowGraph& graph,
                                           const PlanOptions& options) {
  const TilingLimits limits = tiling_limits(lowered, options.most_mac_factor, *options.ram_limit);
  if (limits.extra_macs <= 0) return std::nullopt;
  std::vector<Grouping> groupings = pareto_tilings(graph, options.input_streamed, limits);
  std::stable_sort(groupings.begin(), groupings.end(), [](const Grouping& a, const Grouping& b) {
    return std::tuple(a.extra_macs, a.calls) < std::tuple(b.extra_macs, b.calls);
  });
  for (std::size_t i = 0; i < std::min<std::size_t>(kQuickAttempts, groupings.size()); ++i) {
    MemoryPlan tiled = place_groups(graph, groupings[i], 0, groupings[i].bytes);
    if (tiled.arena_bytes <= *options.ram_limit) return tiled;
  }
  return std::nullopt;
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
    if (auto tiled = quick_tiled_plan(lowered, graph, options)) return std::move(*tiled);
  }
  MemoryPlan grouped = place_groups(graph, groupings.front(), 0, groupings.front().bytes);
  return grouped.arena_bytes < layers.arena_bytes ? grouped : layers;
}

// Layer by layer, and the smallest of the quick mode.
std::vector<MemoryPlan> simple_plans(const Graph& lowered, const RowGraph& graph, bool input_streamed) {
  return {plan(lowered),
          quick_plan(lowered, graph, {.mode = PlanMode::quick, .input_streamed = input_streamed})};
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
  const TilingLimits limits = tiling_limits(lowered, options.most_mac_factor, least - kTensorAlignment);
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
  const RowGraph graph(lowered);
  const bool streamed = options.input_streamed;
  std::vector<MemoryPlan> plans = simple_plans(lowered, graph, streamed);
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
  if (options.mode == PlanMode::layer_by_layer) return plan(lowered);
  if (options.mode == PlanMode::quick) {
    MemoryPlan quick = quick_plan(lowered, RowGraph(lowered), options);
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
