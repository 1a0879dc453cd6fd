// SPDX-License-Identifier: Apache-2.0
#include "tests/exporters/streamed_plans.h"

#include <algorithm>
#include <utility>

#include "cost-models/group_tiles.h"
#include "cost-models/grouping.h"
#include "cost-models/kernel_scratch.h"
#include "cost-models/plan_groups.h"
#include "cost-models/row_schedule.h"
#include "cost-models/unshared_plan.h"
#include "exporters/c_scratch.h"
#include "exporters/checksums.h"
#include "tests/cost-models/random_tiles.h"

namespace mcufit::testing {
namespace {

// The longest group from `first` on that may run by rows and has at most `longest` nodes; 1 where none may.
NodeId group_length(const RowGraph& rows, NodeId first, NodeId longest) {
  NodeId length = std::min(longest, rows.size() - first);
  while (length > 1 && !may_group(rows, first, first + length - 1)) --length;
  return length;
}

Step step_of(NodeId first, NodeId length, bool by_rows) {
  Step step{.nodes = {}, .by_rows = by_rows};
  for (NodeId id = first; id < first + length; ++id) step.nodes.push_back(id);
  return step;
}

// Groups in node order, each as long as `wanted` says and may be. The input is in the first one where it is
// streamed, else alone.
template <typename Wanted>
std::vector<GroupRange> groups_of(const RowGraph& rows, InputUse input, const Wanted& wanted) {
  std::vector<GroupRange> groups;
  NodeId first = 0;
  if (input == InputUse::whole) groups.push_back({0, first++, false});
  while (first < rows.size()) {
    const NodeId length = group_length(rows, first, std::max<NodeId>(wanted(), first == 0 ? 2 : 1));
    groups.push_back({first, first + length - 1, length > 1});
    first += length;
  }
  return groups;
}

MemoryPlan plan_of(const Graph& lowered, const std::vector<GroupRange>& groups) {
  std::vector<Step> steps;
  steps.reserve(groups.size());
  for (const GroupRange& g : groups) {
    steps.push_back(step_of(g.first, g.last - g.first + 1, g.by_rows));
    steps.back().tile_cuts = g.tile_cuts;
  }
  return unshared_plan(lowered, std::move(steps));
}

MemoryPlan packed(const RowGraph& rows, std::vector<GroupRange> groups, InputUse input,
                  const Graph& lowered) {
  const bool tiles =
      std::any_of(groups.begin(), groups.end(), [](const GroupRange& g) { return !g.tile_cuts.empty(); });
  MemoryPlan plan = place_groups(rows, {.groups = std::move(groups)}, 20, 0);
  plan.lower_bound_bytes =
      least_live_bytes(rows, {.input_streamed = input == InputUse::streamed, .tiles = tiles});
  verify(plan, lowered);
  return plan;
}

// The first node of what is grouped: an input that is whole stands alone.
NodeId first_of(InputUse input) { return input == InputUse::whole ? 1 : 0; }

// Random groups of at most `longest` nodes; those that may run in tiles do so, cut at random columns.
std::vector<GroupRange> random_tiled_groups(Random& random, const RowGraph& rows, NodeId longest,
                                            InputUse input) {
  std::vector<GroupRange> groups;
  if (input == InputUse::whole) groups.push_back({0, 0, false});
  for (NodeId first = first_of(input); first < rows.size();) {
    const NodeId wanted = std::max(static_cast<NodeId>(random.between(1, longest)), first == 0 ? 2 : 1);
    const NodeId most = std::min(wanted, rows.size() - first);
    NodeId length = most;
    std::vector<std::int32_t> cuts;
    for (; length > 1 && cuts.empty(); --length) cuts = random_cuts(random, rows, first, first + length - 1);
    length = cuts.empty() ? group_length(rows, first, most) : length + 1;
    groups.push_back({first, first + length - 1, length > 1, std::move(cuts)});
    first += length;
  }
  return groups;
}

}  // namespace

MemoryPlan random_tiled_plan(Random& random, const Graph& lowered, NodeId longest, InputUse input) {
  return plan_of(lowered, random_tiled_groups(random, RowGraph(lowered), longest, input));
}

MemoryPlan packed_tiled_plan(Random& random, const Graph& lowered, NodeId longest, InputUse input) {
  const RowGraph rows(lowered);
  return packed(rows, random_tiled_groups(random, rows, longest, input), input, lowered);
}

MemoryPlan tiled_groups(const Graph& lowered, InputUse input) {
  const RowGraph rows(lowered);
  std::vector<Step> steps;
  if (input == InputUse::whole) steps.push_back({.nodes = {0}});
  for (NodeId first = first_of(input); first < lowered.size();) {
    Step step = step_of(first, 1, false);
    for (NodeId last = lowered.size() - 1; last > first && step.tile_cuts.empty(); --last) {
      std::vector<std::int32_t> cuts = even_cuts(rows.width(last), (rows.width(last) + 2) / 3);
      if (cuts.empty() || !may_tile(rows, first, last, cuts)) continue;
      step = step_of(first, last - first + 1, true);
      step.tile_cuts = std::move(cuts);
    }
    first += static_cast<NodeId>(step.nodes.size());
    steps.push_back(std::move(step));
  }
  return unshared_plan(lowered, std::move(steps));
}

MemoryPlan random_plan(Random& random, const Graph& lowered, NodeId longest, InputUse input) {
  const RowGraph rows(lowered);
  auto groups = groups_of(rows, input, [&] { return static_cast<NodeId>(random.between(1, longest)); });
  for (GroupRange& g : groups) {
    if (g.first == g.last && g.first > 0 && !rows.reshapes(g.first)) g.by_rows = random.below(2) == 0;
  }
  return plan_of(lowered, groups);
}

MemoryPlan longest_groups(const Graph& lowered, InputUse input) {
  const RowGraph rows(lowered);
  return plan_of(lowered, groups_of(rows, input, [&] { return lowered.size(); }));
}

MemoryPlan with_scratch(MemoryPlan plan, const Graph& lowered, Isa isa) {
  const std::int64_t offset = plan.arena_bytes;
  plan.isa = isa;
  for (Step& step : plan.steps) {
    for (const NodeId id : step.nodes)
      step.scratch_bytes = std::max(step.scratch_bytes, kernel_scratch_bytes(lowered, id, isa));
    if (step.scratch_bytes > 0) step.scratch_offset = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, offset + step.scratch_bytes);
  }
  verify(plan, lowered);
  return plan;
}

namespace {

// Which bytes of the arena lie in a tensor.
std::vector<bool> covered(const MemoryPlan& plan, const Graph& lowered) {
  const std::vector<std::int64_t> made = bytes_made(lowered, plan);
  std::vector<bool> covered(static_cast<std::size_t>(plan.arena_bytes));
  for (const Placement& p : plan.placements) {
    if (made[static_cast<std::size_t>(p.node)] == 0) continue;
    std::fill_n(covered.begin() + p.offset, p.bytes, true);
    std::fill_n(covered.begin() + p.sums_offset, p.sums_bytes, true);
  }
  return covered;
}

}  // namespace

std::int64_t covered_bytes(const MemoryPlan& plan, const Graph& lowered) {
  const std::vector<bool> bytes = covered(plan, lowered);
  return std::count(bytes.begin(), bytes.end(), true);
}

std::int64_t covered_bytes(const MemoryPlan& plan, const Graph& lowered, Isa isa) {
  std::vector<bool> bytes = covered(plan, lowered);
  for (const Step& step : plan.steps) {
    if (isa == plan.isa) std::fill_n(bytes.begin() + step.scratch_offset, step.scratch_bytes, true);
  }
  return std::count(bytes.begin(), bytes.end(), true) + scratch_bytes_behind(lowered, plan, isa);
}

MemoryPlan packed_plan(Random& random, const Graph& lowered, NodeId longest, InputUse input) {
  const RowGraph rows(lowered);
  return packed(rows, groups_of(rows, input, [&] { return static_cast<NodeId>(random.between(1, longest)); }),
                input, lowered);
}

}  // namespace mcufit::testing
