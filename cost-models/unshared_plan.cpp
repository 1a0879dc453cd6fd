// SPDX-License-Identifier: Apache-2.0
#include "cost-models/unshared_plan.h"

#include <utility>

#include "cost-models/group_tiles.h"
#include "cost-models/row_schedule.h"

namespace mcufit {
namespace {

std::int64_t aligned(std::int64_t bytes) {
  return (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

std::vector<std::int32_t> rings_of(const RowGraph& rows, const Step& step) {
  if (step.nodes.size() == 1) return {rows.height(step.nodes[0])};
  const NodeId first = step.nodes.front(), last = step.nodes.back();
  return ring_rows(rows, first, last, row_schedule(rows, first, last));
}

std::int64_t row_bytes(const RowGraph& rows, const Step& step, NodeId id) {
  if (step.tile_cuts.empty()) return rows.row_bytes(id);
  return GroupTiles(rows, step.nodes.front(), step.nodes.back(), step.tile_cuts).row_bytes(id);
}

// Without an offset.
Placement placement_of(const RowGraph& rows, const Step& step, NodeId id, std::int32_t ring) {
  Placement place{.node = id, .bytes = ring * row_bytes(rows, step, id)};
  const bool buffer = !step.tile_cuts.empty() && id != step.nodes.back();
  if (ring < rows.height(id) || buffer) place.ring_rows = ring;
  if (step.nodes.size() > 1) place.sums_bytes = rows.sum_bytes(id, step.nodes.front());
  return place;
}

}  // namespace

MemoryPlan unshared_plan(const Graph& lowered, std::vector<Step> steps, Isa isa) {
  const RowGraph rows(lowered, isa);
  MemoryPlan plan;
  plan.isa = isa;
  for (Step& step : steps) {
    const std::vector<std::int32_t> rings = rings_of(rows, step);
    for (std::size_t i = 0; i < step.nodes.size(); ++i) {
      Placement place = placement_of(rows, step, step.nodes[i], rings[i]);
      const bool reshape = rows.reshapes(place.node);
      place.offset = reshape ? plan.placement(rows.inputs(place.node)[0].node).offset : plan.arena_bytes;
      if (!reshape) plan.arena_bytes += aligned(place.bytes);
      place.sums_offset = place.sums_bytes > 0 ? plan.arena_bytes : 0;
      plan.arena_bytes += aligned(place.sums_bytes);
      place.first_step = static_cast<std::int32_t>(&step - steps.data());
      place.last_step = static_cast<std::int32_t>(steps.size()) - 1;
      plan.placements.push_back(place);
    }
    step.scratch_bytes = rows.scratch_bytes(step.nodes.front(), step.nodes.back());
    step.scratch_offset = step.scratch_bytes > 0 ? plan.arena_bytes : 0;
    plan.arena_bytes += step.scratch_bytes;
  }
  for (Placement& place : plan.placements)
    if (place.ring_rows > 0) place.last_step = place.first_step;
  plan.lower_bound_bytes = plan.arena_bytes;
  plan.steps = std::move(steps);
  verify(plan, lowered);
  return plan;
}

}  // namespace mcufit
