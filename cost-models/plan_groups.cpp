// SPDX-License-Identifier: Apache-2.0
#include "cost-models/plan_groups.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "cost-models/group_tiles.h"
#include "cost-models/placement.h"

namespace mcufit {
namespace {

std::int64_t align_up(std::int64_t bytes) {  // of negative ones too
  const std::int64_t above = bytes % kTensorAlignment;
  return above > 0 ? bytes + kTensorAlignment - above : bytes - above;
}

class GroupPlacement {
 public:
  GroupPlacement(const RowGraph& graph, const Grouping& grouping)
      : graph_(graph),
        grouping_(grouping),
        block_of_(static_cast<std::size_t>(graph.size())),
        sums_of_(block_of_.size(), kNone),
        step_of_(block_of_.size()) {
    plan_.isa = graph.isa();
    plan_.placements.resize(block_of_.size());
    plan_.lower_bound_bytes = grouping.bytes;
    for (const GroupRange& group : grouping.groups) {
      for (NodeId id = group.first; id <= group.last; ++id) step_of_[at(id)] = steps();
      plan_.steps.push_back({.nodes = {}, .by_rows = group.by_rows, .tile_cuts = group.tile_cuts});
      for (NodeId id = group.first; id <= group.last; ++id) plan_.steps.back().nodes.push_back(id);
    }
  }

  MemoryPlan run(int attempts, std::int64_t bound) {
    for (const GroupRange& group : grouping_.groups) {
      if (group.by_rows) {
        add_group(group);
      } else {
        add_whole(group.first);
      }
    }
    place_blocks({attempts, grouping_.bytes, bound});
    for (NodeId id = 0; id < graph_.size(); ++id) {
      Placement& p = plan_.placements[at(id)];
      p.offset = blocks_[block_of_[at(id)]].offset;
      if (sums_of_[at(id)] != kNone) p.sums_offset = blocks_[sums_of_[at(id)]].offset;
    }
    run_whole_where_apart();
    return std::move(plan_);
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};
  static constexpr std::int64_t kAnywhere = -(std::int64_t{1} << 40);  // a distance that no offset misses

  static std::size_t at(NodeId id) { return static_cast<std::size_t>(id); }
  std::int32_t steps() const { return static_cast<std::int32_t>(plan_.steps.size()); }

  std::size_t add_block(std::int64_t bytes, std::int32_t first_step, std::int32_t last_step) {
    blocks_.push_back({.bytes = align_up(bytes), .first_step = first_step, .last_step = last_step});
    return blocks_.size() - 1;
  }

  // Scratch that may decide the arena's size is placed with the rest, other where that leaves room; where it
  // leaves too little, all of it with the rest, if that is better.
  void place_blocks(const Effort& effort) {
    for (Step& step : plan_.steps)
      step.scratch_bytes = graph_.scratch_bytes(step.nodes.front(), step.nodes.back());
    const std::vector<Block> tensors = blocks_;
    if (place_blocks(effort, effort.expected)) return;
    const std::vector<Block> blocks = std::exchange(blocks_, tensors);
    const std::vector<Step> steps = plan_.steps;
    const std::int64_t arena = plan_.arena_bytes;
    place_blocks(effort, 0);
    if (plan_.arena_bytes < arena) return;
    blocks_ = blocks;
    plan_.steps = steps;
    plan_.arena_bytes = arena;
  }

  // With the rest goes scratch of steps that need more than `least` bytes; whether there is room for other.
  bool place_blocks(const Effort& effort, std::int64_t least) {
    const std::vector<std::int64_t> live = live_at_steps();
    std::vector<std::size_t> block_of(plan_.steps.size(), kNone);
    for (std::size_t i = 0; i < block_of.size(); ++i) {
      const std::int64_t bytes = plan_.steps[i].scratch_bytes;
      const auto number = static_cast<std::int32_t>(i);
      if (bytes > 0 && live[i] + bytes > least) block_of[i] = add_block(bytes, number, number);
    }
    const std::int64_t arena = plan_.arena_bytes = arrange(blocks_, follows_, effort);
    for (std::size_t i = 0; i < block_of.size(); ++i) {
      if (block_of[i] != kNone)
        plan_.steps[i].scratch_offset = blocks_[block_of[i]].offset;
      else if (plan_.steps[i].scratch_bytes > 0)
        place_scratch(plan_.steps[i], static_cast<std::int32_t>(i));
    }
    return plan_.arena_bytes == arena;
  }

  std::vector<std::int64_t> live_at_steps() const {
    std::vector<std::int64_t> live(plan_.steps.size());
    for (const Block& block : blocks_) {
      for (std::int32_t step = block.first_step; step <= block.last_step; ++step)
        live[static_cast<std::size_t>(step)] += block.bytes;
    }
    return live;
  }

  // In the lowest gap of what lies there.
  void place_scratch(Step& step, std::int32_t number) {
    step.scratch_offset = 0;
    std::vector<const Block*> there;
    for (const Block& block : blocks_) {
      if (block.first_step <= number && number <= block.last_step) there.push_back(&block);
    }
    std::ranges::sort(there, {}, &Block::offset);
    for (const Block* block : there) {
      if (step.scratch_offset + step.scratch_bytes <= block->offset) break;
      step.scratch_offset = std::max(step.scratch_offset, block->offset + block->bytes);
    }
    plan_.arena_bytes = std::max(plan_.arena_bytes, step.scratch_offset + step.scratch_bytes);
  }

  Placement& describe(NodeId id, std::int64_t bytes) {
    Placement& p = plan_.placements[at(id)];
    p.node = id;
    p.bytes = bytes;
    p.first_step = step_of_[at(id)];
    p.last_step = step_of_[at(graph_.last_reader(id))];
    return p;
  }

  // A node over whole tensors: in the block of an input that it replaces or whose bytes it is, else its own.
  void add_whole(NodeId id) {
    const Placement& p = describe(id, graph_.bytes(id));
    std::size_t block = kNone;
    for (const RowGraph::Edge& input : graph_.inputs(id)) {
      const std::size_t of_input = block_of_[at(input.node)];
      const bool dies = blocks_[of_input].last_step == p.first_step;
      const bool replaces = graph_.in_place(id) && dies && graph_.bytes(input.node) == graph_.bytes(id);
      if (replaces || graph_.reshapes(id)) block = of_input;
    }
    if (block == kNone) block = add_block(p.bytes, p.first_step, p.last_step);
    blocks_[block].last_step = std::max(blocks_[block].last_step, p.last_step);
    block_of_[at(id)] = block;
  }

  void add_group(const GroupRange& group) {
    const std::vector<RowCall> schedule = row_schedule(graph_, group.first, group.last);
    const std::vector<std::int32_t> rings = ring_rows(graph_, group.first, group.last, schedule);
    std::optional<GroupTiles> tiles;
    if (!group.tile_cuts.empty()) tiles.emplace(graph_, group.first, group.last, group.tile_cuts);
    for (NodeId id = group.first; id <= group.last; ++id) {
      const std::int32_t rows = rings[static_cast<std::size_t>(id - group.first)];
      Placement& p = describe(id, rows * (tiles ? tiles->row_bytes(id) : graph_.row_bytes(id)));
      if (rows < graph_.height(id) || (tiles && id < group.last)) p.ring_rows = rows;
      block_of_[at(id)] = add_block(p.bytes, p.first_step, p.last_step);
      p.sums_bytes = group.first < group.last ? graph_.sum_bytes(id, group.first) : 0;
      if (p.sums_bytes > 0) sums_of_[at(id)] = add_block(p.sums_bytes, p.first_step, p.first_step);
    }
    let_share(group, schedule);
    if (tiles) return;  // the last tile still reads each row of the inputs
    for (NodeId id = group.first; id <= group.last; ++id) {
      for (const RowGraph::Edge& input : graph_.inputs(id)) {
        if (input.node < group.first) let_follow(group, schedule, input.node);
      }
    }
  }

  // Line buffers may share bytes when no call finds rows in both.
  void let_share(const GroupRange& group, const std::vector<RowCall>& schedule) {
    const auto busy = busy_calls(graph_, group.first, group.last, schedule);
    const auto of = [&](NodeId id) { return static_cast<std::size_t>(id - group.first); };
    for (NodeId a = group.first; a < group.last; ++a) {
      if (plan_.placements[at(a)].ring_rows == 0 || busy[of(a)].size() < 2) continue;
      for (NodeId b = group.first; b < group.last; ++b) {
        if (b == a || plan_.placements[at(b)].ring_rows == 0 || busy_together(busy[of(a)], busy[of(b)]))
          continue;
        follows_.push_back({block_of_[at(a)], block_of_[at(b)], kAnywhere});
      }
    }
  }

  // What a group writes may follow the rows of an input that dies in it.
  void let_follow(const GroupRange& group, const std::vector<RowCall>& schedule, NodeId input) {
    const std::size_t from = block_of_[at(input)];
    if (blocks_[from].last_step != step_of_[at(group.first)]) return;
    for (NodeId id = group.first; id <= group.last; ++id) {
      const std::int32_t ring = plan_.placements[at(id)].ring_rows;
      const auto distance = [&](Written what) {
        return align_up(diagonal_distance(graph_, group.first, group.last, schedule,
                                          {input, id, what, ring > 0 ? ring : graph_.height(id)}));
      };
      keep_apart({from, block_of_[at(id)], distance(Written::output)});
      if (sums_of_[at(id)] != kNone) keep_apart({from, sums_of_[at(id)], distance(Written::sums)});
    }
  }

  // Of the distances of two blocks the largest holds: a block may be several inputs, of one's reshapes.
  void keep_apart(const Following& following) {
    const auto same = std::find_if(follows_.begin(), follows_.end(), [&](const Following& f) {
      return f.from == following.from && f.to == following.to;
    });
    if (same == follows_.end()) {
      follows_.push_back(following);
    } else {
      same->distance = std::max(same->distance, following.distance);
    }
  }

  // One node whose output does not overlap its inputs after all needs no calls by rows.
  void run_whole_where_apart() {
    for (Step& step : plan_.steps) {
      if (!step.by_rows || step.nodes.size() > 1) continue;
      const Placement& output = plan_.placement(step.nodes[0]);
      const auto& inputs = graph_.inputs(step.nodes[0]);
      step.by_rows = std::any_of(inputs.begin(), inputs.end(), [&](const RowGraph::Edge& input) {
        const Placement& p = plan_.placement(input.node);
        return p.offset < output.offset + output.bytes && output.offset < p.offset + p.bytes;
      });
    }
  }

  const RowGraph& graph_;
  const Grouping& grouping_;
  MemoryPlan plan_;
  std::vector<Block> blocks_;
  std::vector<Following> follows_;
  std::vector<std::size_t> block_of_, sums_of_;  // by node
  std::vector<std::int32_t> step_of_;
};

}  // namespace

MemoryPlan place_groups(const RowGraph& graph, const Grouping& grouping, int attempts, std::int64_t bound) {
  return GroupPlacement(graph, grouping).run(attempts, bound);
}

}  // namespace mcufit
