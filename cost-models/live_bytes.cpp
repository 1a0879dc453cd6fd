// SPDX-License-Identifier: Apache-2.0
// The bound of all plans: what any grouping needs at once, followed row by row.
#include <algorithm>
#include <limits>
#include <utility>

#include "cost-models/group_tiles.h"
#include "cost-models/grouping.h"

namespace mcufit {
namespace {

// Bytes live during each call of a group, at most: tensors that lie there already and die row by row, what is
// made row by row, the sums, and the call's scratch.
class LiveRows {
 public:
  LiveRows(const RowGraph& graph, NodeId first, NodeId last)
      : graph_(graph),
        first_(first),
        schedule_(row_schedule(graph, first, last)),
        progress_(graph, first, last, schedule_),
        last_(last) {
    for (NodeId id = first; id <= last; ++id) {
      for (const RowGraph::Edge& input : graph.inputs(id)) {
        if (input.node < first && graph.last_reader(input.node) <= last) read_until(input.node);
      }
    }
    for (const RowCall& call : schedule_) {
      for (const RowGraph::Edge& input : graph.inputs(call.node)) {
        if (input.node >= first || graph.last_reader(input.node) > last) continue;
        std::int32_t& until = read_until(input.node);
        until = std::max(until, graph.reads(call.node, first, input.window, call.row_begin).end);
      }
    }
  }

  // Where that is more than `limit`, of some of the calls.
  std::int64_t most(std::int64_t at_cut, std::int64_t limit) {
    std::int64_t live = at_cut - never_read(), most = at_cut;
    for (const RowCall& call : schedule_) {
      if (most > limit) break;
      const std::int64_t made = written(call), freed = freed_by(call);
      if (call.row_begin == 0) live += graph_.sum_bytes(call.node, first_);
      const bool replaces = graph_.in_place(call.node) && call.node != 0;
      most = std::max(most, live + (replaces ? std::max<std::int64_t>(made - freed, 0) : made) +
                                graph_.scratch_bytes(call.node));
      live += made - freed;
      if (progress_.finished(call.node)) live -= graph_.sum_bytes(call.node, first_);
    }
    return most;
  }

 private:
  // A whole input that nobody reads after the group, and the end of the rows of it that the group reads.
  struct Dying {
    NodeId node;
    std::int32_t until;
  };

  std::int32_t& read_until(NodeId id) {
    for (Dying& d : dying_) {
      if (d.node == id) return d.until;
    }
    return dying_.emplace_back(Dying{id, 0}).until;
  }

  // Bytes of whole inputs that the group does not read and nobody after it.
  std::int64_t never_read() const {
    std::int64_t bytes = 0;
    for (const Dying& d : dying_) {
      bytes += (std::min(progress_.needed_from(d.node), d.until) + graph_.height(d.node) - d.until) *
               graph_.row_bytes(d.node);
    }
    return bytes;
  }

  std::int64_t written(const RowCall& call) const {
    const std::int32_t rows = graph_.rows_after(call.node, first_, call.row_end) -
                              graph_.rows_after(call.node, first_, call.row_begin);
    return rows * graph_.row_bytes(call.node);
  }

  // Rows of the call's inputs that nobody reads later, and its own if nobody does; the call is then done.
  std::int64_t freed_by(const RowCall& call) {
    std::vector<std::pair<NodeId, std::int32_t>> before;
    const auto note = [&](NodeId id) {
      if (graph_.last_reader(id) <= last_ && id != last_) before.push_back({id, dead_rows(id)});
    };
    for (const RowGraph::Edge& input : graph_.inputs(call.node)) {
      const auto noted = [&](const auto& b) { return b.first == input.node; };
      if (std::none_of(before.begin(), before.end(), noted)) note(input.node);
    }
    note(call.node);
    progress_.advance(call);
    std::int64_t freed = 0;
    for (const auto& [id, rows] : before) freed += (dead_rows(id) - rows) * graph_.row_bytes(id);
    return freed;
  }

  // Rows that were there and are not needed any more.
  std::int32_t dead_rows(NodeId id) {
    const std::int32_t there = id < first_ ? read_until(id) : progress_.rows_there(id);
    return std::min(there, progress_.needed_from(id));
  }

  const RowGraph& graph_;
  NodeId first_;
  std::vector<RowCall> schedule_;
  RowProgress progress_;
  NodeId last_;
  std::vector<Dying> dying_;
};

// A step that may be part of the best path; its bytes are a lower estimate until they are followed row by
// row.
struct Candidate {
  NodeId first, last;
  std::int64_t bytes;
  bool exact;
};

std::vector<Candidate> candidates(const RowGraph& graph, bool input_streamed, NodeId longest,
                                  const std::vector<std::int64_t>& cuts) {
  std::vector<Candidate> all;
  for (NodeId last = 0; last < graph.size(); ++last) {
    const std::int64_t after = cuts[static_cast<std::size_t>(last) + 1];
    const NodeId first = std::min(earliest_first(graph, last, longest, input_streamed), last);
    for (NodeId from = first; from <= last; ++from) {
      const std::int64_t before = cuts[static_cast<std::size_t>(from)];
      const bool exact = graph.reshapes(last);
      all.push_back({from, last, std::max(before, after), exact});
    }
  }
  return all;
}

// The least bytes of a step before which `at_cut` bytes are there; with `tiles` it may run in tiles, which
// keep their inputs whole until the last and make the output whole, whatever their line buffers need.
std::int64_t least_of_step(const RowGraph& graph, const Candidate& step, std::int64_t at_cut,
                           const LiveBytesSearch& search) {
  const bool may_tile = search.tiles && step.first < step.last && graph.width(step.last) > 1 &&
                        earliest_tiled(graph, step.last, step.first) == step.first;
  const std::int64_t in_tiles = at_cut + graph.bytes(step.last);
  if (may_tile && in_tiles <= step.bytes) return in_tiles;  // by rows it is not less than its estimate
  const std::int64_t by_rows = LiveRows(graph, step.first, step.last).most(at_cut, search.reached);
  return may_tile ? std::min(by_rows, in_tiles) : by_rows;
}

}  // namespace

std::int64_t least_live_bytes(const RowGraph& graph, const LiveBytesSearch& search) {
  const std::vector<std::int64_t> cuts = bytes_at_cuts(graph, 1);
  std::vector<Candidate> steps =
      candidates(graph, search.input_streamed, search.longest.value_or(graph.size()), cuts);
  const auto n = static_cast<std::size_t>(graph.size());
  while (true) {
    std::vector<std::int64_t> least(n + 1, std::numeric_limits<std::int64_t>::max());
    std::vector<Candidate*> by(n + 1, nullptr);
    least[0] = 0;
    for (Candidate& c : steps) {  // ordered by last node: every earlier cut is settled
      const std::int64_t bytes = std::max(least[static_cast<std::size_t>(c.first)], c.bytes);
      const std::size_t cut = static_cast<std::size_t>(c.last) + 1;
      if (bytes < least[cut]) {
        least[cut] = bytes;
        by[cut] = &c;
      }
    }
    bool exact = true;
    for (std::size_t cut = n; cut > 0; cut = static_cast<std::size_t>(by[cut]->first)) {
      Candidate& c = *by[cut];
      if (c.exact) continue;
      const std::int64_t at_cut = cuts[static_cast<std::size_t>(c.first)];
      c.bytes = std::max(c.bytes, least_of_step(graph, c, at_cut, search));
      c.exact = true;
      exact = false;
    }
    if (exact) return least[n];
  }
}

// Goes from cut to cut by steps that need no more, short ones first, until one path is through.
bool live_bytes_within(const RowGraph& graph, NodeId longest, std::int64_t limit) {
  const std::vector<std::int64_t> cuts = bytes_at_cuts(graph, 1);
  const NodeId size = graph.size();
  std::vector<bool> reached(cuts.size());
  struct Cut {
    NodeId first;  // the node behind it
    NodeId last;   // of the next step to try
  };
  std::vector<Cut> path{{0, 0}};
  while (!path.empty()) {
    Cut& cut = path.back();
    if (cut.first == size) return true;
    if (cut.last == size || cut.last >= cut.first + longest) {
      path.pop_back();
      continue;
    }
    const NodeId first = cut.first, last = cut.last++;
    const auto after = static_cast<std::size_t>(last) + 1;
    const std::int64_t at_cut = cuts[static_cast<std::size_t>(first)];
    if (reached[after] || std::max(at_cut, cuts[after]) > limit) continue;
    if (first < last && earliest_first(graph, last, longest, false) > first) continue;
    if (!graph.reshapes(last) && LiveRows(graph, first, last).most(at_cut, limit) > limit) continue;
    reached[after] = true;
    path.push_back({last + 1, last + 1});
  }
  return false;
}

}  // namespace mcufit
