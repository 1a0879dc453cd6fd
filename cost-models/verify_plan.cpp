// SPDX-License-Identifier: Apache-2.0
// The judge of every plan: it knows nothing of how plans are made.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "blocks/foundation/error.h"
#include "cost-models/group_tiles.h"
#include "cost-models/plan.h"
#include "cost-models/row_schedule.h"

namespace mcufit {
namespace {

// Bytes of the arena that one owner needs during steps [first_step, last_step].
struct Extent {
  NodeId node;
  enum { output, sums, scratch } what;  // scratch of all nodes of the step that begins with `node`
  std::int64_t offset, bytes;
  std::int32_t first_step, last_step;
};

class PlanVerification {
 public:
  PlanVerification(const MemoryPlan& plan, const Graph& lowered)
      : plan_(plan), lowered_(lowered), rows_(lowered, plan.isa), step_of_(lowered.nodes.size()) {}

  void run() {
    steps();
    for (NodeId id = 0; id < rows_.size(); ++id) placement(id);
    for (std::size_t step = 0; step < plan_.steps.size(); ++step) {
      if (plan_.steps[step].by_rows) group(plan_.steps[step]);
      if (in_tiles(plan_.steps[step])) columns(plan_.steps[step]);
    }
    overlaps();
  }

 private:
  void require(bool holds, NodeId id, std::string_view what) const {
    if (holds) return;
    throw Error(ExitCode::internal,
                fmt::format("memory plan of {}: {} {}", lowered_.name, lowered_.node(id).name, what));
  }

  // Every node runs once, in node order, and groups can run by rows.
  void steps() {
    NodeId next = 0;
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      const Step& step = plan_.steps[i];
      for (const NodeId id : step.nodes) {
        if (id != next || id >= rows_.size()) wrong_order();
        step_of_[static_cast<std::size_t>(next++)] = static_cast<std::int32_t>(i);
      }
      if (step.nodes.empty()) wrong_order();
      require(step.by_rows || step.nodes.size() == 1, step.nodes[0],
              "starts a group that does not run by rows");
      require(!step.by_rows || may_group(rows_, step.nodes.front(), step.nodes.back()), step.nodes[0],
              "starts a group that cannot run by rows");
      require(!in_tiles(step) ||
                  (step.by_rows && may_tile(rows_, step.nodes.front(), step.nodes.back(), step.tile_cuts)),
              step.nodes[0], "starts a group that cannot run in its tiles");
      require(step.scratch_bytes == rows_.scratch_bytes(step.nodes.front(), step.nodes.back()), step.nodes[0],
              "starts a step with another number of bytes for its kernels");
      inside(step.nodes[0], step.scratch_offset, step.scratch_bytes);
    }
    if (next != rows_.size() || plan_.placements.size() != lowered_.nodes.size()) wrong_order();
  }

  [[noreturn]] void wrong_order() const {
    throw Error(
        ExitCode::internal,
        fmt::format("memory plan of {}: its steps are not the nodes in their order, or there is not one "
                    "placement per node",
                    lowered_.name));
  }

  std::int32_t step_of(NodeId id) const { return step_of_[static_cast<std::size_t>(id)]; }
  const Step& step_with(NodeId id) const { return plan_.steps[static_cast<std::size_t>(step_of(id))]; }

  static bool in_tiles(const Step& step) { return !step.tile_cuts.empty(); }

  // Bytes of one row of what the placement of node `id` holds.
  std::int64_t row_bytes(NodeId id) const {
    const Step& step = step_with(id);
    if (!in_tiles(step)) return rows_.row_bytes(id);
    return GroupTiles(rows_, step.nodes.front(), step.nodes.back(), step.tile_cuts).row_bytes(id);
  }

  // One placement by itself: size, place and life.
  void placement(NodeId id) const {
    const Placement& p = plan_.placement(id);
    const Step& step = step_with(id);
    require(p.node == id, id, "has the placement of another node");
    const bool ring = p.ring_rows > 0;
    const bool inside_tiles = in_tiles(step) && id != step.nodes.back();
    require(p.bytes == (ring ? p.ring_rows * row_bytes(id) : rows_.bytes(id)), id,
            "has a placement of another size");
    const bool fewer_rows = p.ring_rows < rows_.height(id) + (inside_tiles ? 1 : 0);
    require(!ring || (fewer_rows && step.nodes.size() > 1 && id != step.nodes.back()), id,
            "is a line buffer without a reason");
    require(ring || !inside_tiles, id, "is no line buffer and runs in tiles");
    inside(id, p.offset, p.bytes);
    const std::int64_t sums = step.nodes.size() > 1 ? rows_.sum_bytes(id, step.nodes.front()) : 0;
    require(p.sums_bytes == sums, id, "has room for another number of sums");
    inside(id, p.sums_offset, p.sums_bytes);
    const std::int32_t last = step_of(rows_.last_reader(id));
    require(p.first_step == step_of(id) && p.last_step >= last, id, "is not kept as long as it is needed");
    require(!ring || last == step_of(id), id, "is a line buffer and is read by a later step");
    if (rows_.reshapes(id)) {
      require(plan_.placement(rows_.inputs(id)[0].node).offset == p.offset, id,
              "is not where its input lies");
    }
  }

  void inside(NodeId id, std::int64_t offset, std::int64_t bytes) const {
    require(offset >= 0 && offset % kTensorAlignment == 0 && offset + bytes <= plan_.arena_bytes, id,
            "leaves the arena or is not aligned");
  }

  // No call reads a row of its group that is not there, and no row overwrites another of its ring that is
  // still read.
  void group(const Step& step) const {
    const NodeId first = step.nodes.front(), last = step.nodes.back();
    const std::vector<RowCall> schedule = row_schedule(rows_, first, last);
    RowProgress progress(rows_, first, last, schedule);
    for (const RowCall& call : schedule) {
      for (const RowGraph::Edge& input : rows_.inputs(call.node)) {
        if (input.node < first) continue;
        const RowRange read = rows_.reads(call.node, first, input.window, call.row_begin);
        require(read.end <= progress.rows_there(input.node), call.node, "reads a row before it is there");
      }
      const std::int32_t ring = plan_.placement(call.node).ring_rows;
      require(ring == 0 || call.row_end - progress.needed_from(call.node) <= ring, call.node,
              "has too few rows in its line buffer");
      progress.advance(call);
    }
    for (const NodeId id : step.nodes) {
      const bool whole = id == last || rows_.last_reader(id) > last;
      require(!whole || progress.rows_there(id) == rows_.height(id), id, "is not made whole");
    }
  }

  // In each tile, no node reads a column of its group that is not made, or more than its line buffer has; the
  // tiles make each column of the output once.
  void columns(const Step& step) const {
    const NodeId first = step.nodes.front(), last = step.nodes.back();
    const GroupTiles tiles(rows_, first, last, step.tile_cuts);
    std::int32_t end = 0;
    for (std::int32_t tile = 0; tile < tiles.tiles(); ++tile) {
      for (const NodeId id : step.nodes) {
        require(tiles.made(id, tile).width() <= tiles.width(id), id,
                "has too few columns in its line buffer");
        for (const RowGraph::Edge& input : rows_.inputs(id)) {
          const bool there =
              input.node < first || tiles.made(input.node, tile).contains(tiles.read(id, input, tile));
          require(there, id, "reads a column that is not made");
        }
      }
      require(tiles.made(last, tile).begin == end, last, "is not made column after column");
      end = tiles.made(last, tile).end;
    }
    require(end == rows_.width(last), last, "is not made whole");
  }

  // No two owners share bytes at the same time, unless one takes the other's place.
  void overlaps() const {
    std::vector<Extent> extents;
    for (const Placement& p : plan_.placements) {
      extents.push_back({p.node, Extent::output, p.offset, p.bytes, p.first_step, p.last_step});
      if (p.sums_bytes > 0) {
        const std::int32_t step = step_of(p.node);
        extents.push_back({p.node, Extent::sums, p.sums_offset, p.sums_bytes, step, step});
      }
    }
    for (const Step& s : plan_.steps) {
      const std::int32_t step = step_of(s.nodes[0]);
      if (s.scratch_bytes > 0)
        extents.push_back({s.nodes[0], Extent::scratch, s.scratch_offset, s.scratch_bytes, step, step});
    }
    for (std::size_t i = 0; i < extents.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const Extent &a = extents[i], &b = extents[j];
        const bool together = a.first_step <= b.last_step && b.first_step <= a.last_step;
        const bool shared = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
        if (together && shared && !may_share(b, a)) {
          require(false, a.node,
                  fmt::format("and {} share bytes while both are needed", lowered_.node(b.node).name));
        }
      }
    }
  }

  // The node whose bytes a node's value is: its own, or behind reshapes the one that computed them.
  NodeId bytes_of(NodeId id) const {
    while (rows_.reshapes(id)) id = rows_.inputs(id)[0].node;
    return id;
  }

  // Two line buffers of one group may share bytes when no call finds rows in both.
  bool take_turns(const Extent& a, const Extent& b) const {
    const bool rings = plan_.placement(a.node).ring_rows > 0 && plan_.placement(b.node).ring_rows > 0;
    if (!rings || step_of(a.node) != step_of(b.node)) return false;
    const NodeId first = step_with(a.node).nodes.front();
    const auto& busy = busy_in(step_of(a.node));
    return !busy_together(busy[static_cast<std::size_t>(a.node - first)],
                          busy[static_cast<std::size_t>(b.node - first)]);
  }

  // busy_calls() of a step, found once.
  const std::vector<std::vector<RowRange>>& busy_in(std::int32_t step) const {
    auto& busy = busy_[step];
    if (busy.empty()) {
      const std::vector<NodeId>& nodes = plan_.steps[static_cast<std::size_t>(step)].nodes;
      busy = busy_calls(rows_, nodes.front(), nodes.back(), row_schedule(rows_, nodes.front(), nodes.back()));
    }
    return busy;
  }

  // `later` may lie over `earlier` when it is the same value, takes turns with it, replaces it element by
  // element, or follows it row by row at a safe distance.
  bool may_share(const Extent& earlier, const Extent& later) const {
    if (earlier.what != Extent::output || later.what == Extent::scratch) return false;
    if (later.what == Extent::output) {
      if (bytes_of(earlier.node) == bytes_of(later.node)) return earlier.offset == later.offset;
      if (take_turns(earlier, later)) return true;
    }
    const Step& step = step_with(later.node);
    if (earlier.last_step != later.first_step || earlier.first_step == later.first_step) return false;
    if (step.nodes.size() == 1 && in_place(plan_, lowered_, later.node, earlier.node)) return true;
    if (!step.by_rows || in_tiles(step)) return false;  // the last tile still reads each row of the inputs
    const NodeId first = step.nodes.front(), last = step.nodes.back();
    const std::int32_t ring = plan_.placement(later.node).ring_rows;
    const Follower follower{earlier.node, later.node,
                            later.what == Extent::sums ? Written::sums : Written::output,
                            ring > 0 ? ring : rows_.height(later.node)};
    const std::int64_t distance =
        diagonal_distance(rows_, first, last, row_schedule(rows_, first, last), follower);
    return later.offset + distance <= earlier.offset;
  }

  const MemoryPlan& plan_;
  const Graph& lowered_;
  RowGraph rows_;
  mutable std::map<std::int32_t, std::vector<std::vector<RowRange>>> busy_;  // by step
  std::vector<std::int32_t> step_of_;
};

}  // namespace

void verify(const MemoryPlan& plan, const Graph& lowered) { PlanVerification(plan, lowered).run(); }

}  // namespace mcufit
