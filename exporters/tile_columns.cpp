// SPDX-License-Identifier: Apache-2.0
#include "exporters/tile_columns.h"

#include <algorithm>

#include "cost-models/group_tiles.h"

namespace mcufit {
namespace {

TileColumns::Part whole(const Graph& lowered, NodeId id) {
  const Shape& shape = lowered.node(id).shape;
  return {.node = id,
          .columns = {0, shape.width},
          .start = 0,
          .row_bytes = std::int64_t{shape.width} * shape.channels};
}

// The group in tiles that the node is of; null where it is of none.
const Step* tiled_step(const MemoryPlan& plan, NodeId id) {
  const auto step = std::find_if(plan.steps.begin(), plan.steps.end(), [&](const Step& s) {
    return !s.tile_cuts.empty() && s.nodes.front() <= id && id <= s.nodes.back();
  });
  return step != plan.steps.end() ? &*step : nullptr;
}

}  // namespace

TileColumns::TileColumns(const Graph& lowered, const MemoryPlan& plan, NodeId id, std::int32_t tile) {
  parts_.push_back(whole(lowered, id));
  for (const NodeId input : lowered.node(id).inputs) parts_.push_back(whole(lowered, input));
  const Step* step = tiled_step(plan, id);
  if (step == nullptr) return;
  const RowGraph rows(lowered);
  const NodeId first = step->nodes.front(), last = step->nodes.back();
  const GroupTiles tiles(rows, first, last, step->tile_cuts);
  const auto lay = [&](Part& part, const ColumnRange& columns) {
    const bool buffer = part.node >= first && part.node != last;
    const std::int32_t from = buffer ? tiles.made(part.node, tile).begin : 0;
    part.columns = columns;
    part.start = (columns.begin - from) * rows.pixel_bytes(part.node);
    if (buffer) part.row_bytes = tiles.row_bytes(part.node);
  };
  lay(parts_[0], tiles.made(id, tile));
  for (std::size_t i = 0; i < rows.inputs(id).size(); ++i)
    lay(parts_[i + 1], tiles.read(id, rows.inputs(id)[i], tile));
}

const TileColumns::Part& TileColumns::part(NodeId id) const {
  return *std::find_if(parts_.begin(), parts_.end() - 1, [&](const Part& part) { return part.node == id; });
}

TileColumns::Part made_part(const Graph& lowered, const MemoryPlan& plan, const KernelCall& call) {
  return TileColumns(lowered, plan, call.node, call.tile).part(call.node);
}

}  // namespace mcufit
