// SPDX-License-Identifier: Apache-2.0
#include "tests/exporters/streamed_plans.h"

#include <algorithm>
#include <utility>

#include "cost-models/group_tiles.h"
#include "cost-models/row_schedule.h"
#include "cost-models/unshared_plan.h"
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

}  // namespace

MemoryPlan random_plan(Random& random, const Graph& lowered, NodeId longest) {
  const RowGraph rows(lowered);
  std::vector<Step> steps{{.nodes = {0}}};
  for (NodeId first = 1; first < lowered.size();) {
    const auto wanted = static_cast<NodeId>(random.between(1, longest));
    const NodeId length = group_length(rows, first, wanted);
    const bool by_rows = length > 1 || (!rows.reshapes(first) && random.below(2) == 0);
    steps.push_back(step_of(first, length, by_rows));
    first += length;
  }
  return unshared_plan(lowered, std::move(steps));
}

MemoryPlan random_tiled_plan(Random& random, const Graph& lowered, NodeId longest) {
  const RowGraph rows(lowered);
  std::vector<Step> steps{{.nodes = {0}}};
  for (NodeId first = 1; first < lowered.size();) {
    const NodeId most = std::min(static_cast<NodeId>(random.between(1, longest)), lowered.size() - first);
    NodeId length = most;
    std::vector<std::int32_t> cuts;
    for (; length > 1 && cuts.empty(); --length) cuts = random_cuts(random, rows, first, first + length - 1);
    length = cuts.empty() ? group_length(rows, first, most) : length + 1;
    steps.push_back(step_of(first, length, length > 1));
    steps.back().tile_cuts = std::move(cuts);
    first += length;
  }
  return unshared_plan(lowered, std::move(steps));
}

MemoryPlan tiled_groups(const Graph& lowered) {
  const RowGraph rows(lowered);
  std::vector<Step> steps{{.nodes = {0}}};
  for (NodeId first = 1; first < lowered.size();) {
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

MemoryPlan longest_groups(const Graph& lowered) {
  const RowGraph rows(lowered);
  std::vector<Step> steps{{.nodes = {0}}};
  for (NodeId first = 1; first < lowered.size();) {
    const NodeId length = group_length(rows, first, lowered.size());
    steps.push_back(step_of(first, length, length > 1));
    first += length;
  }
  return unshared_plan(lowered, std::move(steps));
}

}  // namespace mcufit::testing
