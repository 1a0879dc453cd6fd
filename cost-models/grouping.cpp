// SPDX-License-Identifier: Apache-2.0
#include "cost-models/grouping.h"

#include <algorithm>

namespace mcufit {
namespace {

std::int64_t align(std::int64_t bytes) {
  return (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

// What a step asks for beside the tensors that lie there already.
struct StepNeed {
  std::int64_t made = 0;   // bytes of its outputs, line buffers and sums
  std::int64_t saved = 0;  // bytes in which the output overlaps a dying input
  std::int64_t calls = 0;
};

// The needs of all groups that end at one node, from one schedule: that of a group is the part of the longest
// group's schedule that concerns its nodes, since demand runs from the end to the front.
class NeedsOfGroups {
 public:
  NeedsOfGroups(const RowGraph& graph, NodeId first, NodeId last)
      : graph_(graph), first_(first), last_(last), needs_(static_cast<std::size_t>(last - first) + 1) {
    const std::vector<RowCall> schedule = row_schedule(graph, first, last);
    const std::vector<std::int32_t> rings = ring_rows(graph, first, last, schedule);
    StepNeed sum;
    for (NodeId id = last; id >= first; --id) {
      if (!passing(id, rings)) sum.made += align(rings[index(id)] * graph.row_bytes(id));
      sum.made += graph.sum_bytes(id, first);
      sum.calls += graph.calls(id, first);
      needs_[index(id)] = sum;
    }
    add_passing_rows(schedule, rings);
    overlaps(schedule);
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
          sum += align(graph_.row_bytes(*id));
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
  std::vector<StepNeed> needs_;
};

// One node over whole tensors: it may write over an input that it replaces element by element.
StepNeed need_of_whole(const RowGraph& graph, NodeId id) {
  if (graph.reshapes(id)) return {};
  StepNeed need{.made = align(graph.bytes(id)), .saved = 0, .calls = id == 0 ? 0 : 1};
  for (const RowGraph::Edge& input : graph.inputs(id)) {
    const bool replaces = graph.in_place(id) && graph.last_reader(input.node) == id &&
                          graph.bytes(input.node) == graph.bytes(id);
    if (replaces) need.saved = need.made;
  }
  return need;
}

// The end of a path over the cuts: the steps up to a node, and where they came from.
struct Label {
  std::int64_t bytes = 0;
  std::int64_t calls = 0;
  GroupRange group;
  std::size_t before = 0;  // label of the cut before the group
};

class Paths {
 public:
  Paths(const RowGraph& graph, std::int64_t limit)
      : limit_(limit),
        cuts_(bytes_at_cuts(graph, kTensorAlignment)),
        labels_(static_cast<std::size_t>(graph.size()) + 1) {
    labels_[0].push_back({});
  }

  void extend(const GroupRange& group, const StepNeed& need) {
    const std::int64_t bytes = cuts_[static_cast<std::size_t>(group.first)] + need.made - need.saved;
    if (bytes > limit_) return;
    const std::vector<Label>& before = labels_[static_cast<std::size_t>(group.first)];
    std::vector<Label>& after = labels_[static_cast<std::size_t>(group.last) + 1];
    for (std::size_t i = 0; i < before.size(); ++i)
      after.push_back({std::max(before[i].bytes, bytes), before[i].calls + need.calls, group, i});
  }

  // Bytes that must lie in the arena before node `id` runs.
  std::int64_t at_cut(NodeId id) const { return cuts_[static_cast<std::size_t>(id)]; }

  // Keeps the labels behind node `last` of which no other is as good, by bytes.
  void thin(NodeId last) {
    std::vector<Label>& labels = labels_[static_cast<std::size_t>(last) + 1];
    std::sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) {
      return a.bytes != b.bytes ? a.bytes < b.bytes : a.calls < b.calls;
    });
    std::size_t kept = 0;
    for (const Label& label : labels) {
      if (kept == 0 || label.calls < labels[kept - 1].calls) labels[kept++] = label;
    }
    labels.resize(kept);
  }

  std::vector<Grouping> groupings() const {
    std::vector<Grouping> all;
    for (const Label& end : labels_.back()) {
      Grouping grouping{{}, end.bytes, end.calls};
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
  std::int64_t limit_;
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

std::vector<Grouping> pareto_groupings(const RowGraph& graph, const GroupingSearch& search) {
  Paths paths(graph, search.limit);
  // No grouping needs less than an input that exists whole. A group pays only where one of its nodes needs
  // more than that by itself: the nodes of any other run as well one by one, and in fewer calls.
  const std::int64_t floor = search.input_streamed ? 0 : align(graph.bytes(0));
  NodeId last_large = -1;
  for (NodeId last = 0; last < graph.size(); ++last) {
    const StepNeed alone = need_of_whole(graph, last);
    paths.extend({last, last, false}, alone);
    if (paths.at_cut(last) + alone.made - alone.saved > floor) last_large = last;
    const NodeId first = earliest_first(graph, last, search.longest, search.input_streamed);
    const bool ends =
        !search.narrow_ends || last + 1 == graph.size() || paths.at_cut(last + 1) <= paths.at_cut(last + 2);
    if (last > 0 && first <= last_large && ends) {
      const NeedsOfGroups needs(graph, first, last);
      for (NodeId from = first; from <= last_large; ++from) {
        // Alone, or first of its group, an average is no running sum; its group without it is as good.
        const bool sums = graph.sums(from, 0) && graph.sums(from, first);
        if (!sums) paths.extend({from, last, true}, needs.from(from));
      }
    }
    paths.thin(last);
  }
  return paths.groupings();
}

}  // namespace mcufit
