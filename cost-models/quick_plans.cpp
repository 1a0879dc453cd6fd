// SPDX-License-Identifier: Apache-2.0
#include "cost-models/quick_plans.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "cost-models/count.h"
#include "cost-models/plan_groups.h"

namespace mcufit {
namespace {

constexpr int kQuickAttempts = 3;  // groupings that are placed to meet a limit

MemoryPlan place(const RowGraph& graph, const Grouping& grouping) {
  return place_groups(graph, grouping, 0, grouping.bytes);
}

}  // namespace

QuickPlans::QuickPlans(const Graph& lowered, MemoryPlan layers, bool input_streamed)
    : lowered_(lowered),
      graph_(lowered, layers.isa),
      input_streamed_(input_streamed),
      layers_(std::move(layers)),
      groupings_(pareto_groupings(graph_, {.input_streamed = input_streamed,
                                           .longest = kQuickGroup,
                                           .limit = layers_.arena_bytes,
                                           .narrow_ends = true})) {}

MemoryPlan QuickPlans::smallest() const {
  if (groupings_.empty()) return layers_;
  MemoryPlan grouped = place(graph_, groupings_.front());
  return grouped.arena_bytes < layers_.arena_bytes ? grouped : layers_;
}

std::optional<MemoryPlan> QuickPlans::within(std::int64_t bytes, double most_mac_factor) const {
  if (layers_.arena_bytes <= bytes) return layers_;
  auto fitting = std::find_if(groupings_.rbegin(), groupings_.rend(),
                              [&](const Grouping& grouping) { return grouping.bytes <= bytes; });
  for (int i = 0; i < kQuickAttempts && fitting != groupings_.rend(); ++i, ++fitting) {
    MemoryPlan grouped = place(graph_, *fitting);
    if (grouped.arena_bytes <= bytes) return grouped;
  }
  if (smallest().arena_bytes <= bytes) return smallest();
  return in_tiles(bytes, most_mac_factor);
}

std::optional<MemoryPlan> QuickPlans::in_tiles(std::int64_t bytes, double most_mac_factor) const {
  const TilingLimits limits{bytes, most_extra_macs(lowered_, most_mac_factor)};
  if (limits.extra_macs <= 0) return std::nullopt;
  std::vector<Grouping> groupings = pareto_tilings(graph_, input_streamed_, limits);
  std::stable_sort(groupings.begin(), groupings.end(), [](const Grouping& a, const Grouping& b) {
    return std::tuple(a.extra_macs, a.calls) < std::tuple(b.extra_macs, b.calls);
  });
  for (std::size_t i = 0; i < std::min<std::size_t>(kQuickAttempts, groupings.size()); ++i) {
    MemoryPlan tiled = place(graph_, groupings[i]);
    if (tiled.arena_bytes <= bytes) return tiled;
  }
  return std::nullopt;
}

std::int64_t most_extra_macs(const Graph& lowered, double most_mac_factor) {
  const auto macs = static_cast<double>(count(lowered).macs);
  return static_cast<std::int64_t>(macs * (std::min(most_mac_factor, kMostMacFactor) - 1.0));
}

}  // namespace mcufit
