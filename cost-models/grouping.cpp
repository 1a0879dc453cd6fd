// SPDX-License-Identifier: Apache-2.0
#include "cost-models/grouping.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <utility>

#include "cost-models/group_tiles.h"

namespace mcufit {
namespace {

std::int64_t align(std::int64_t bytes) {
  return (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

// What a step asks for beside the tensors that lie there already.
struct StepNeed {
  std::int64_t made = 0;   // bytes of its outputs, line buffers and sums, and of its kernels' scratch
  std::int64_t saved = 0;  // bytes in which the output overlaps a dying input
  std::int64_t calls = 0;
  std::int64_t extra_macs = 0;
};

// The rows of the longest group that ends at a node. The schedule of a shorter one is the part of it that
// concerns its nodes, since demand runs from the end to the front.
struct RowsOfGroups {
  RowsOfGroups(const RowGraph& graph, NodeId first_node, NodeId last_node)
      : first(first_node),
        last(last_node),
        schedule(row_schedule(graph, first, last)),
        rings(ring_rows(graph, first, last, schedule)) {}

  NodeId first, last;
  std::vector<RowCall> schedule;
  std::vector<std::int32_t> rings;
};

// The needs of all groups that end at one node; with `tiles`, which begin at the first of them and may be
// null, of those groups in tiles.
class NeedsOfGroups {
 public:
  NeedsOfGroups(const RowGraph& graph, const RowsOfGroups& rows, const GroupTiles* tiles)
      : graph_(graph),
        first_(rows.first),
        last_(rows.last),
        tiles_(tiles),
        needs_(static_cast<std::size_t>(last_ - first_) + 1) {
    const std::int64_t runs = tiles != nullptr ? tiles->tiles() : 1;
    StepNeed sum;
    for (NodeId id = last_; id >= first_; --id) {
      if (!passing(id, rows.rings)) sum.made += align(rows.rings[index(id)] * row_bytes(id));
      sum.made += graph.sum_bytes(id, first_);
      sum.calls += graph.calls(id, first_) * runs;
      if (tiles != nullptr) sum.extra_macs += tiles->extra_macs(id);
      needs_[index(id)] = sum;
    }
    add_passing_rows(rows.schedule, rows.rings);
    add_scratch();
    if (tiles == nullptr) overlaps(rows.schedule);  // the last tile still reads each row of an input
  }

  const StepNeed& from(NodeId id) const { return needs_[index(id)]; }

 private:
  // How far one reader keeps the output behind the rows of its input.
  struct Delay {
    NodeId input, reader;
    const RowWindow* window;
    std::int64_t distance;
  };

  std::size_t index(NodeId id) const { return static_cast<std::size_t>(id - first_); }

  std::int64_t row_bytes(NodeId id) const {
    return tiles_ != nullptr ? tiles_->row_bytes(id) : graph_.row_bytes(id);
  }

  // True for a buffer of one row, which others may use when the row is consumed.
  bool passing(NodeId id, const std::vector<std::int32_t>& rings) const {
    return rings[index(id)] == 1 && graph_.height(id) > 1;
  }

  // Of the passing rows those count that are there at once.
  void add_passing_rows(const std::vector<RowCall>& schedule, const std::vector<std::int32_t>& rings) {
    std::vector<std::int64_t> most(needs_.size());
    std::vector<NodeId> there;  // passing rows
    RowProgress progress(graph_, first_, last_, schedule);
    for (const RowCall& call : schedule) {
      const bool passes = passing(call.node, rings);
      if (passes && std::find(there.begin(), there.end(), call.node) == there.end()) {
        there.insert(std::upper_bound(there.begin(), there.end(), call.node), call.node);
        std::int64_t sum = 0;
        for (auto id = there.rbegin(); id != there.rend(); ++id) {
          sum += align(row_bytes(*id));
          most[index(*id)] = std::max(most[index(*id)], sum);
        }
      }
      progress.advance(call);
      std::erase_if(there, [&](NodeId id) { return progress.rows_there(id) <= progress.needed_from(id); });
    }
    for (std::size_t i = most.size(); i-- > 0;) {
      if (i + 1 < most.size()) most[i] = std::max(most[i], most[i + 1]);
      needs_[i].made += most[i];
    }
  }

  void add_scratch() {
    std::int64_t most = 0;
    for (NodeId id = last_; id >= first_; --id) {
      most = std::max(most, graph_.scratch_bytes(id));
      needs_[index(id)].made += most;
    }
  }

  void overlaps(const std::vector<RowCall>& schedule) {
    std::vector<Delay> delays;
    for (NodeId reader = first_; reader <= last_; ++reader) {
      for (const RowGraph::Edge& input : graph_.inputs(reader)) {
        if (graph_.last_reader(input.node) <= last_)
          delays.push_back({input.node, reader, &input.window, -graph_.bytes(input.node)});
      }
    }
    RowProgress progress(graph_, first_, last_, schedule);
    for (const RowCall& call : schedule) {
      const std::int32_t there = call.node == last_ ? graph_.rows_after(last_, first_, call.row_end) : 0;
      for (Delay& d : delays) {
        if (there == 0 || progress.finished(d.reader)) continue;
        const RowRange read = graph_.reads(d.reader, first_, *d.window, progress.done(d.reader));
        if (read.begin < graph_.height(d.input)) {
          d.distance =
              std::max(d.distance, there * graph_.row_bytes(last_) - read.begin * graph_.row_bytes(d.input));
        }
      }
      progress.advance(call);
    }
    for (NodeId first = first_; first <= last_; ++first)
      needs_[index(first)].saved = best_overlap(delays, first);
  }

  // Of the inputs that a group from `first` on reads last, the one that the output overlaps best.
  std::int64_t best_overlap(const std::vector<Delay>& delays, NodeId first) const {
    std::int64_t best = 0;
    for (const Delay& d : delays) {
      if (d.input >= first || d.reader < first) continue;
      std::int64_t distance = d.distance;
      for (const Delay& other : delays) {
        if (other.input == d.input && other.reader >= first) distance = std::max(distance, other.distance);
      }
      const std::int64_t in = align(graph_.bytes(d.input)), out = align(graph_.bytes(last_));
      best = std::max(best, in + out - std::max(in + std::max<std::int64_t>(align(distance), 0), out));
    }
    return best;
  }

  const RowGraph& graph_;
  NodeId first_, last_;
  const GroupTiles* tiles_;
  std::vector<StepNeed> needs_;
};

// One node over whole tensors: it may write over an input that it replaces element by element.
StepNeed need_of_whole(const RowGraph& graph, NodeId id) {
  if (graph.reshapes(id)) return {};
  StepNeed need{
      .made = align(graph.bytes(id)) + graph.scratch_bytes(id), .saved = 0, .calls = id == 0 ? 0 : 1};
  for (const RowGraph::Edge& input : graph.inputs(id)) {
    const bool replaces = graph.in_place(id) && graph.last_reader(input.node) == id &&
                          graph.bytes(input.node) == graph.bytes(id);
    if (replaces) need.saved = align(graph.bytes(id));
  }
  return need;
}

// The end of a path over the cuts: the steps up to a node, and where they came from.
struct Label {
  std::int64_t bytes = 0;
  std::int64_t calls = 0;
  std::int64_t extra_macs = 0;
  std::int32_t by_rows = 0;  // steps
  GroupRange group;
  std::size_t before = 0;  // label of the cut before the group
};

// Calls and MACs of labels met so far, those that no other one undercuts in both.
class Undercut {
 public:
  bool covers(const Label& label) const {
    const auto above = extra_of_.upper_bound(label.calls);
    return above != extra_of_.begin() && std::prev(above)->second <= label.extra_macs;
  }

  void add(const Label& label) {
    auto at = extra_of_.insert_or_assign(label.calls, label.extra_macs).first;
    for (++at; at != extra_of_.end() && at->second >= label.extra_macs;) at = extra_of_.erase(at);
  }

 private:
  std::map<std::int64_t, std::int64_t> extra_of_;  // MACs fall as calls rise
};

class Paths {
 public:
  Paths(const RowGraph& graph, const TilingLimits& limits)
      : limits_(limits),
        cuts_(bytes_at_cuts(graph, kTensorAlignment)),
        labels_(static_cast<std::size_t>(graph.size()) + 1) {
    labels_[0].push_back({});
  }

  void extend(const GroupRange& group, const StepNeed& need) {
    const std::int64_t bytes = cuts_[static_cast<std::size_t>(group.first)] + need.made - need.saved;
    if (bytes > limits_.bytes) return;
    const std::vector<Label>& before = labels_[static_cast<std::size_t>(group.first)];
    std::vector<Label>& after = labels_[static_cast<std::size_t>(group.last) + 1];
    for (std::size_t i = 0; i < before.size(); ++i) {
      const std::int64_t extra = before[i].extra_macs + need.extra_macs;
      if (extra > limits_.extra_macs) continue;
      after.push_back({std::max(before[i].bytes, bytes), before[i].calls + need.calls, extra,
                       before[i].by_rows + (group.by_rows ? 1 : 0), group, i});
    }
  }

  // Bytes that must lie in the arena before node `id` runs.
  std::int64_t at_cut(NodeId id) const { return cuts_[static_cast<std::size_t>(id)]; }

  // False where what is needed behind node `last` exceeds the limit by itself: then no group may end there.
  bool may_end(NodeId last) const { return at_cut(last + 1) <= limits_.bytes; }

  // The first node not before `first` that some path reaches, at most `last` + 1: no group begins earlier.
  NodeId reached_from(NodeId first, NodeId last) const {
    while (first <= last && labels_[static_cast<std::size_t>(first)].empty()) ++first;
    return first;
  }

  // Keeps the labels behind node `last` of which no other is as good, by bytes; of equals one with few
  // steps by rows, as tensors that follow each other row by row move on with each.
  void thin(NodeId last) {
    std::vector<Label>& labels = labels_[static_cast<std::size_t>(last) + 1];
    std::sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) {
      return std::tuple(a.bytes, a.calls, a.extra_macs, a.by_rows) <
             std::tuple(b.bytes, b.calls, b.extra_macs, b.by_rows);
    });
    std::size_t kept = 0;
    Undercut undercut;
    for (Label& label : labels) {
      if (undercut.covers(label)) continue;
      undercut.add(label);
      if (&label != &labels[kept]) labels[kept] = std::move(label);
      ++kept;
    }
    labels.resize(kept);
  }

  std::vector<Grouping> groupings() const {
    std::vector<Grouping> all;
    for (const Label& end : labels_.back()) {
      Grouping grouping{{}, end.bytes, end.calls, end.extra_macs};
      const Label* label = &end;
      while (true) {
        grouping.groups.push_back(label->group);
        if (label->group.first == 0) break;
        label = &labels_[static_cast<std::size_t>(label->group.first)][label->before];
      }
      std::reverse(grouping.groups.begin(), grouping.groups.end());
      all.push_back(std::move(grouping));
    }
    return all;
  }

 private:
  TilingLimits limits_;
  std::vector<std::int64_t> cuts_;
  std::vector<std::vector<Label>> labels_;  // behind so many nodes
};

}  // namespace

NodeId earliest_first(const RowGraph& graph, NodeId last, NodeId longest, bool input_streamed) {
  NodeId first = last + 1;
  for (NodeId id = last; id >= 0 && id > last - longest; --id) {
    if (id == 0 && last > 0 && !input_streamed) break;
    const auto& readers = graph.readers(id);
    const bool read = std::any_of(readers.begin(), readers.end(),
                                  [&](const RowGraph::Edge& reader) { return reader.node <= last; });
    if (graph.reshapes(id) || (id < last && !read)) break;
    first = id;
  }
  return first;
}

std::vector<std::int64_t> bytes_at_cuts(const RowGraph& graph, std::int64_t alignment) {
  std::vector<std::int64_t> cuts(static_cast<std::size_t>(graph.size()) + 1);
  std::vector<NodeId> needed_until(cuts.size());  // of the bytes behind a node and its reshapes
  for (NodeId id = graph.size() - 1; id >= 0; --id) {
    NodeId& until = needed_until[static_cast<std::size_t>(id)];
    until = graph.last_reader(id);
    for (const RowGraph::Edge& reader : graph.readers(id)) {
      if (graph.reshapes(reader.node))
        until = std::max(until, needed_until[static_cast<std::size_t>(reader.node)]);
    }
    if (graph.reshapes(id)) continue;
    const std::int64_t bytes = (graph.bytes(id) + alignment - 1) / alignment * alignment;
    for (NodeId cut = id + 1; cut <= until; ++cut) cuts[static_cast<std::size_t>(cut)] += bytes;
  }
  return cuts;
}

namespace {

// The groups that end at node `last` and begin at nodes [first, upto], but those in tiles.
void extend_to(NodeId last, const RowGraph& graph, NodeId first, NodeId upto, Paths& paths) {
  if (last == 0 || first > upto) return;
  const NeedsOfGroups needs(graph, RowsOfGroups(graph, first, last), nullptr);
  for (NodeId from = first; from <= upto; ++from) {
    // Alone, or first of its group, an average is no running sum; its group without it is as good.
    const bool sums = graph.sums(from, 0) && graph.sums(from, first);
    if (!sums) paths.extend({from, last, true}, needs.from(from));
  }
}

// The groups in tiles that end at a node, while more tiles need fewer bytes.
class Tilings {
 public:
  Tilings(const RowGraph& graph, NodeId first, NodeId last, const TilingLimits& limits)
      : graph_(graph),
        last_(last),
        limits_(limits),
        rows_(graph, affordable(first), last),
        least_(static_cast<std::size_t>(last - rows_.first) + 1, limits.bytes + 1) {}

  void extend(Paths& paths) {
    const std::int32_t most = std::min(kMostTiles, graph_.width(last_));
    for (std::int32_t count = 2; count <= most && rows_.first < last_; ++count) extend(paths, count);
  }

 private:
  static constexpr std::int32_t kMostTiles = 12;

  // Where the longest group in two tiles begins that costs no more MACs than allowed.
  NodeId affordable(NodeId first) const {
    if (graph_.width(last_) < 2) return last_;
    first = earliest_tiled(graph_, last_, first);
    const GroupTiles tiles(graph_, first, last_, even_cuts(graph_.width(last_), 2));
    std::int64_t extra = 0;
    for (NodeId id = last_; id >= first; --id) {
      extra += tiles.extra_macs(id);
      if (extra > limits_.extra_macs) return std::min(id + 1, last_);
    }
    return first;
  }

  void extend(Paths& paths, std::int32_t count) {
    const std::vector<std::int32_t> cuts = even_cuts(graph_.width(last_), count);
    const GroupTiles tiles(graph_, rows_.first, last_, cuts);
    const NeedsOfGroups needs(graph_, rows_, &tiles);
    for (NodeId from = rows_.first; from < last_; ++from) {
      const StepNeed& need = needs.from(from);
      std::int64_t& least = least_[static_cast<std::size_t>(from - rows_.first)];
      if (need.made >= least || need.extra_macs > limits_.extra_macs) continue;
      least = need.made;
      if (may_tile(graph_, from, last_, cuts)) paths.extend({from, last_, true, cuts}, need);
    }
  }

  const RowGraph& graph_;
  NodeId last_;
  TilingLimits limits_;
  RowsOfGroups rows_;
  std::vector<std::int64_t> least_;  // bytes that a group from a node on needs, by what was looked at
};

}  // namespace

std::vector<Grouping> pareto_groupings(const RowGraph& graph, const GroupingSearch& search) {
  Paths paths(graph, {.bytes = search.limit, .extra_macs = 0});
  // No grouping needs less than an input that exists whole. A group pays only where one of its nodes needs
  // more than that by itself: the nodes of any other run as well one by one, and in fewer calls.
  const std::int64_t floor = search.input_streamed ? 0 : align(graph.bytes(0));
  NodeId last_large = -1;
  for (NodeId last = 0; last < graph.size(); ++last) {
    const StepNeed alone = need_of_whole(graph, last);
    if (paths.may_end(last)) paths.extend({last, last, false}, alone);
    if (paths.at_cut(last) + alone.made - alone.saved > floor) last_large = last;
    const bool ends =
        !search.narrow_ends || last + 1 == graph.size() || paths.at_cut(last + 1) <= paths.at_cut(last + 2);
    if (!paths.may_end(last)) continue;
    const NodeId first = earliest_first(graph, last, search.longest, search.input_streamed);
    if (ends) extend_to(last, graph, paths.reached_from(first, last), last_large, paths);
    paths.thin(last);
  }
  return paths.groupings();
}

std::vector<Grouping> pareto_tilings(const RowGraph& graph, bool input_streamed, const TilingLimits& limits) {
  Paths paths(graph, limits);
  for (NodeId last = 0; last < graph.size(); ++last) {
    if (!paths.may_end(last)) continue;
    const NodeId first = paths.reached_from(earliest_first(graph, last, graph.size(), input_streamed), last);
    paths.extend({last, last, false}, need_of_whole(graph, last));
    extend_to(last, graph, first, last, paths);
    if (first < last) Tilings(graph, first, last, limits).extend(paths);
    paths.thin(last);
  }
  return paths.groupings();
}

}  // namespace mcufit
