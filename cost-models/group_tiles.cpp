// SPDX-License-Identifier: Apache-2.0
#include "cost-models/group_tiles.h"

#include <algorithm>

namespace mcufit {
namespace {

// The columns from the first of both to the last of both.
ColumnRange hull(const ColumnRange& a, const ColumnRange& b) {
  if (a.width() == 0) return b;
  if (b.width() == 0) return a;
  return {std::min(a.begin, b.begin), std::max(a.end, b.end)};
}

bool read_outside(const RowGraph& graph, NodeId id, NodeId last) {
  return id < last && graph.last_reader(id) > last;
}

}  // namespace

GroupTiles::GroupTiles(const RowGraph& graph, NodeId first, NodeId last,
                       const std::vector<std::int32_t>& cuts)
    : graph_(graph),
      first_(first),
      tiles_(static_cast<std::int32_t>(cuts.size()) + 1),
      made_(at(last + 1, 0)),
      width_(static_cast<std::size_t>(last - first) + 1) {
  const auto made = [&](NodeId id, std::int32_t tile) -> ColumnRange& { return made_[at(id, tile)]; };
  for (std::int32_t tile = 0; tile < tiles_; ++tile) {
    const auto at = static_cast<std::size_t>(tile);
    made(last, tile) = {tile == 0 ? 0 : cuts[at - 1], tile + 1 == tiles_ ? graph.width(last) : cuts[at]};
    for (NodeId id = last; id >= first; --id) {
      if (made(id, tile).width() <= 0) continue;
      std::int32_t& widest = width_[static_cast<std::size_t>(id - first)];
      widest = std::max(widest, made(id, tile).width());
      for (const RowGraph::Edge& input : graph.inputs(id)) {
        if (input.node < first) continue;
        made(input.node, tile) = hull(made(input.node, tile), input.columns.columns(made(id, tile)));
      }
    }
  }
  width_.back() = graph.width(last);
}

std::int64_t GroupTiles::macs(NodeId id) const {
  std::int64_t columns = 0;
  for (std::int32_t tile = 0; tile < tiles_; ++tile) columns += made(id, tile).width();
  return columns * graph_.column_macs(id);
}

bool may_tile(const RowGraph& graph, NodeId first, NodeId last, const std::vector<std::int32_t>& cuts) {
  if (first >= last || earliest_tiled(graph, last, first) != first || !may_group(graph, first, last))
    return false;
  std::int32_t before = 0;
  for (const std::int32_t cut : cuts) {
    if (cut <= before || cut >= graph.width(last)) return false;
    before = cut;
  }
  const GroupTiles tiles(graph, first, last, cuts);
  for (NodeId id = first; id <= last; ++id) {
    for (const RowGraph::Edge& input : graph.inputs(id)) {
      for (std::int32_t tile = 0; tile < tiles.tiles(); ++tile) {
        if (tiles.read(id, input, tile).width() == 0) return false;
      }
    }
  }
  return true;
}

NodeId earliest_tiled(const RowGraph& graph, NodeId last, NodeId earliest) {
  NodeId first = last;
  for (NodeId id = last; id >= earliest; --id) {
    if (!graph.makes_columns(id) || read_outside(graph, id, last)) break;
    first = id;
  }
  return first;
}

std::vector<std::int32_t> even_cuts(std::int32_t width, std::int32_t tiles) {
  std::vector<std::int32_t> cuts;
  for (std::int32_t tile = 1; tile < tiles; ++tile) cuts.push_back(tile * width / tiles);
  return cuts;
}

}  // namespace mcufit
