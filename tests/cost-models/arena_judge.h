// SPDX-License-Identifier: Apache-2.0
// The slow judge of plans: an arena in which every byte knows who wrote it. Before each call and behind it,
// its step's scratch is scribbled over.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "blocks/foundation/error.h"
#include "blocks/foundation/random.h"
#include "cost-models/group_tiles.h"
#include "cost-models/plan.h"
#include "cost-models/row_schedule.h"

namespace mcufit::testing {

class ArenaJudge {
 public:
  ArenaJudge(const MemoryPlan& plan, const Graph& lowered)
      : plan_(plan), graph_(lowered, plan.isa), arena_(static_cast<std::size_t>(plan.arena_bytes)) {}

  // Runs the plan; the first node that reads a byte which is not what it should be, if any.
  std::optional<NodeId> first_wrong_reader() {
    for (const Step& step : plan_.steps) {
      first_ = step.nodes.front();
      last_ = step.nodes.back();
      step_ = &step;
      if (step.by_rows) {
        run_tiles(step);
      } else {
        run_whole(first_);
      }
    }
    first_ = last_ = graph_.size();
    read(graph_.size() - 1, {0, graph_.height(graph_.size() - 1)}, all(graph_.size() - 1), graph_.size() - 1);
    return wrong_;
  }

 private:
  struct Byte {
    NodeId node = -1;
    std::int64_t index = 0;  // in its tensor; of sums, -1 - index
    bool operator==(const Byte&) const = default;
  };

  // The node whose bytes they are, behind reshapes.
  NodeId maker(NodeId id) const {
    while (graph_.reshapes(id)) id = graph_.inputs(id)[0].node;
    return id;
  }

  ColumnRange all(NodeId id) const { return {0, graph_.width(id)}; }

  // Columns that the current tile makes of a node of its group.
  ColumnRange made(NodeId id) const { return tiles_ ? tiles_->made(id, tile_) : all(id); }

  std::size_t at(NodeId id, std::int32_t row, std::int32_t column) const {
    const Placement& p = plan_.placement(id);
    const bool part = tiles_ && id >= first_ && id < last_;  // of a row
    const std::int64_t row_bytes = part ? tiles_->row_bytes(id) : graph_.row_bytes(id);
    const std::int32_t slot = p.ring_rows > 0 ? row % p.ring_rows : row;
    const std::int32_t from = part ? made(id).begin : 0;
    return static_cast<std::size_t>(p.offset + slot * row_bytes + (column - from) * graph_.pixel_bytes(id));
  }

  // Bytes of these columns of a row: their places in the arena, and in the tensor.
  template <typename Visit>
  void each_byte(NodeId id, std::int32_t row, const ColumnRange& columns, const Visit& visit) {
    for (std::int32_t column = columns.begin; column < columns.end; ++column) {
      for (std::int64_t i = 0; i < graph_.pixel_bytes(id); ++i) {
        visit(arena_.at(at(id, row, column) + static_cast<std::size_t>(i)),
              row * graph_.row_bytes(id) + column * graph_.pixel_bytes(id) + i);
      }
    }
  }

  void read(NodeId id, RowRange rows, const ColumnRange& columns, NodeId reader) {
    for (std::int32_t row = rows.begin; row < rows.end; ++row) {
      each_byte(id, row, columns, [&](const Byte& byte, std::int64_t index) {
        if (byte != Byte{maker(id), index} && !wrong_) wrong_ = reader;
      });
    }
  }

  void write(NodeId id, std::int32_t row) {
    each_byte(id, row, made(id), [&](Byte& byte, std::int64_t index) { byte = {id, index}; });
  }

  void run_tiles(const Step& step) {
    if (!step.tile_cuts.empty()) tiles_.emplace(graph_, first_, last_, step.tile_cuts);
    const auto tiles = static_cast<std::int32_t>(step.tile_cuts.size()) + 1;
    for (tile_ = 0; tile_ < tiles; ++tile_) {
      for (const RowCall& call : row_schedule(graph_, first_, last_)) run(call);
    }
    tiles_.reset();
  }

  void scribble() {
    for (std::int64_t i = 0; i < step_->scratch_bytes; ++i)
      arena_[static_cast<std::size_t>(step_->scratch_offset + i)] = {};
  }

  void run(const RowCall& call) {
    scribble();
    compute(call);
    scribble();
  }

  void compute(const RowCall& call) {
    const NodeId id = call.node;
    const bool element_wise = graph_.in_place(id) && !graph_.sums(id, first_);
    const auto read_all = [&] {
      for (const RowGraph::Edge& input : graph_.inputs(id)) {
        read(input.node, graph_.reads(id, first_, input.window, call.row_begin),
             tiles_ ? input.columns.columns(made(id)) : all(input.node), id);
      }
    };
    read_all();
    if (graph_.sums(id, first_)) sum(call);
    if (graph_.rows_after(id, first_, call.row_end) > 0)
      write(id, graph_.sums(id, first_) ? 0 : call.row_begin);
    if (!element_wise) read_all();  // a kernel may write its first byte before it reads its last
  }

  void sum(const RowCall& call) {
    const Placement& p = plan_.placement(call.node);
    for (std::int64_t i = 0; i < p.sums_bytes; ++i) {
      Byte& byte = arena_[static_cast<std::size_t>(p.sums_offset + i)];
      const Byte expected{call.node, -1 - i};
      if (call.row_begin > 0 && byte != expected && !wrong_) wrong_ = call.node;
      byte = expected;
    }
  }

  void run_whole(NodeId id) {
    if (graph_.reshapes(id)) return;
    scribble();
    compute_whole(id);
    scribble();
  }

  void compute_whole(NodeId id) {
    for (std::int32_t row = 0; row < graph_.height(id); ++row) {
      if (graph_.in_place(id)) {
        for (const RowGraph::Edge& input : graph_.inputs(id))
          read(input.node, input.window.rows(row), all(input.node), id);
      }
      write(id, row);
    }
    if (graph_.in_place(id)) return;
    for (const RowGraph::Edge& input : graph_.inputs(id))
      read(input.node, {0, graph_.height(input.node)}, all(input.node), id);
  }

  const MemoryPlan& plan_;
  RowGraph graph_;
  std::vector<Byte> arena_;
  std::optional<NodeId> wrong_;
  NodeId first_ = 0, last_ = 0;  // of the step that runs
  const Step* step_ = nullptr;
  std::optional<GroupTiles> tiles_;
  std::int32_t tile_ = 0;
};

inline bool refused(const MemoryPlan& plan, const Graph& graph) {
  try {
    verify(plan, graph);
    return false;
  } catch (const Error&) {
    return true;
  }
}

// Moves a tensor of the plan, or the scratch of a step, by up to three words: verify() refuses what the judge
// refuses. True where the judge did.
inline bool moved_placement_is_wrong(Random& random, MemoryPlan plan, const Graph& graph) {
  const std::size_t which = random.below(plan.placements.size() + plan.steps.size());
  const bool scratch = which >= plan.placements.size();
  Step* step = scratch ? &plan.steps[which - plan.placements.size()] : nullptr;
  Placement* tensor = scratch ? nullptr : &plan.placements[which];
  std::int64_t& offset = scratch ? step->scratch_offset : tensor->offset;
  offset += kTensorAlignment * random.between(-3, 3);
  if (offset < 0 || offset + (scratch ? step->scratch_bytes : tensor->bytes) > plan.arena_bytes) {
    EXPECT_TRUE(refused(plan, graph));
    return false;
  }
  if (!ArenaJudge(plan, graph).first_wrong_reader()) return false;
  EXPECT_TRUE(refused(plan, graph)) << to_json(graph).dump() << to_json(plan).dump();
  return true;
}

}  // namespace mcufit::testing
