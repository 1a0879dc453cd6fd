// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "cost-models/row_schedule.h"

namespace mcufit {

// A group that runs once for each tile, one tile after the other. A tile is a range of columns of the last
// node's output, over all rows; every other node of the group makes those columns that the tile needs of it,
// so that its line buffer is no wider than the widest tile asks for. Columns that two tiles need are made
// twice. What the group reads from outside, and the output, are whole tensors, of which a tile sees its part;
// of the network's input, if that is of the group, the sender delivers each tile's columns.
class GroupTiles {
 public:
  // `cuts` are the columns of the last node's output at which a tile ends and the next begins.
  GroupTiles(const RowGraph& graph, NodeId first, NodeId last, const std::vector<std::int32_t>& cuts);

  std::int32_t tiles() const { return tiles_; }

  // Columns that a tile makes of node `id`.
  const ColumnRange& made(NodeId id, std::int32_t tile) const { return made_[at(id, tile)]; }

  // Columns of its input `edge` that node `id` reads in a tile.
  ColumnRange read(NodeId id, const RowGraph::Edge& edge, std::int32_t tile) const {
    return edge.columns.columns(made(id, tile));
  }

  // Columns of the line buffer of node `id`: those of the widest tile; of the last node the tensor's.
  std::int32_t width(NodeId id) const { return width_[static_cast<std::size_t>(id - first_)]; }
  std::int64_t row_bytes(NodeId id) const { return width(id) * graph_.pixel_bytes(id); }

  // MACs of one node over all tiles, and how many of these its whole output, made once, would not cost; below
  // 0 where columns are made that no tile needs.
  std::int64_t macs(NodeId id) const;
  std::int64_t extra_macs(NodeId id) const { return macs(id) - graph_.width(id) * graph_.column_macs(id); }

 private:
  std::size_t at(NodeId id, std::int32_t tile) const {
    return static_cast<std::size_t>(id - first_) * static_cast<std::size_t>(tiles_) +
           static_cast<std::size_t>(tile);
  }

  const RowGraph& graph_;
  NodeId first_;
  std::int32_t tiles_;
  std::vector<ColumnRange> made_;  // by node, then by tile
  std::vector<std::int32_t> width_;
};

// True when nodes [first, last] may run in these tiles: a group of at least two nodes that all make columns
// apart and of which only the last is read outside, cut at rising columns inside of its output, where no node
// reads nothing but padding in a tile.
bool may_tile(const RowGraph& graph, NodeId first, NodeId last, const std::vector<std::int32_t>& cuts);

// The first node from which a group up to `last` may run in tiles, not before `earliest`; `last` where none
// may.
NodeId earliest_tiled(const RowGraph& graph, NodeId last, NodeId earliest);

// Cuts of `width` columns into so many tiles, at most `width`, of nearly the same width.
std::vector<std::int32_t> even_cuts(std::int32_t width, std::int32_t tiles);

}  // namespace mcufit
