// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "blocks/graph.h"
#include "cost-models/cores.h"

namespace mcufit {

// Rows [begin, end) of a tensor; none when both are equal.
struct RowRange {
  std::int32_t begin = 0;
  std::int32_t end = 0;
  bool operator==(const RowRange&) const = default;
};

// Which rows of one input the rows of a node's output read: row r those from r * stride + first on, `span` of
// them, cut to the input; of a resize the row that its table names. Both ends never fall as r grows.
struct RowWindow {
  std::int32_t stride = 1;
  std::int32_t first = 0;  // below 0 where the first output row reads padding
  std::int32_t span = 1;
  std::int32_t height = 1;  // of the input
  std::vector<std::int32_t> sources = {};

  RowRange rows(std::int32_t row) const;
};

// Columns [begin, end) of a tensor; none when both are equal.
struct ColumnRange {
  std::int32_t begin = 0;
  std::int32_t end = 0;

  std::int32_t width() const { return end - begin; }
  bool contains(const ColumnRange& other) const { return begin <= other.begin && other.end <= end; }
  bool operator==(const ColumnRange&) const = default;
};

// The same of columns, for ops that make some columns apart from the others (RowGraph::makes_columns()).
struct ColumnWindow {
  std::int32_t stride = 1;
  std::int32_t first = 0;  // below 0 where the first output column reads padding
  std::int32_t span = 1;
  std::int32_t width = 1;  // of the input

  // What output columns `made`, at least one, read: none where all of it is padding.
  ColumnRange columns(const ColumnRange& made) const;
};

// One call of a node's kernel inside of a group: it writes rows [row_begin, row_end) of the node's output. Of
// a running sum (RowGraph::sums) they are rows of its input, which it adds up; the last one also writes the
// output. Of the graph's input they are rows that the sender delivers.
struct RowCall {
  NodeId node = 0;
  std::int32_t row_begin = 0;
  std::int32_t row_end = 0;
  bool operator==(const RowCall&) const = default;
};

// Who reads which rows and columns of whom in a lowered graph, worked out once for many groups.
class RowGraph {
 public:
  struct Edge {
    NodeId node = 0;  // of a reader's list the reader, of an input's the producer
    RowWindow window = {};
    ColumnWindow columns = {};  // where the reader makes_columns()
  };

  explicit RowGraph(const Graph& lowered, Isa isa = Isa::portable);

  Isa isa() const { return isa_; }  // of the kernels

  NodeId size() const { return static_cast<NodeId>(tensors_.size()); }
  std::int32_t height(NodeId id) const { return at(id).height; }
  std::int64_t row_bytes(NodeId id) const { return at(id).row_bytes; }
  std::int64_t bytes(NodeId id) const { return at(id).height * at(id).row_bytes; }
  std::int32_t width(NodeId id) const { return at(id).width; }
  std::int64_t pixel_bytes(NodeId id) const { return at(id).row_bytes / at(id).width; }
  std::int64_t column_macs(NodeId id) const { return at(id).column_macs; }  // of one column, all rows
  bool makes_columns(NodeId id) const { return at(id).makes_columns; }
  const std::vector<Edge>& inputs(NodeId id) const { return at(id).inputs; }
  const std::vector<Edge>& readers(NodeId id) const { return at(id).readers; }
  NodeId last_reader(NodeId id) const { return at(id).last_reader; }  // the output's own id for the output
  bool reshapes(NodeId id) const { return at(id).reshapes; }          // its output is its input's bytes
  bool in_place(NodeId id) const { return at(id).in_place; }          // element by element

  // Bytes that a call of node `id` works with beside tensors; of a group the most of its nodes.
  std::int64_t scratch_bytes(NodeId id) const { return at(id).scratch_bytes; }
  std::int64_t scratch_bytes(NodeId first, NodeId last) const;

  // True when node `id` is a mean or an average over all rows of its input that runs as a running sum in a
  // group whose first node is `first`: that is when the input is made in the group.
  bool sums(NodeId id, NodeId first) const {
    return at(id).sums_height > 0 && at(id).inputs[0].node >= first;
  }

  // Calls by which a group with first node `first` makes all of node `id`.
  std::int32_t calls(NodeId id, NodeId first) const {
    return sums(id, first) ? at(id).sums_height : height(id);
  }

  // Rows of the output of node `id` that are there after so many calls: of a running sum none before the
  // last.
  std::int32_t rows_after(NodeId id, NodeId first, std::int32_t done) const {
    if (!sums(id, first)) return done;
    return done == calls(id, first) ? height(id) : 0;
  }

  // Rows of its input through `window` that call number `call` of node `id` reads.
  RowRange reads(NodeId id, NodeId first, const RowWindow& window, std::int32_t call) const {
    return sums(id, first) ? RowRange{call, call + 1} : window.rows(call);
  }

  // Bytes of the int32 sums, one for each element of the output; 0 where node `id` does not sum.
  std::int64_t sum_bytes(NodeId id, NodeId first) const { return sums(id, first) ? 4 * bytes(id) : 0; }

 private:
  struct Tensor {
    std::int32_t height = 1;
    std::int64_t row_bytes = 0;
    std::int32_t width = 1;
    std::int64_t column_macs = 0;
    std::int64_t scratch_bytes = 0;
    bool makes_columns = false;
    std::int32_t sums_height = 0;  // of the input where the op may be a running sum, else 0
    NodeId last_reader = 0;
    bool reshapes = false;
    bool in_place = false;
    std::vector<Edge> inputs, readers;
  };

  const Tensor& at(NodeId id) const { return tensors_[static_cast<std::size_t>(id)]; }

  std::vector<Tensor> tensors_;
  Isa isa_;
};

// True when nodes [first, last] may run as one group: none of them is a reshape, and each but the last is
// read inside of the group.
bool may_group(const RowGraph& graph, NodeId first, NodeId last);

// The calls by which a group of consecutive nodes runs: demand driven, one output row of the last node at a
// time, before it the rows that it needs, inputs in their order; each row once and in order, and rows that
// nobody needs never. At the end the rest of those outputs that are read outside of the group.
std::vector<RowCall> row_schedule(const RowGraph& graph, NodeId first, NodeId last);
std::vector<RowCall> row_schedule(const std::vector<NodeId>& group, const Graph& lowered);

// Follows a schedule call by call and knows which rows are still needed.
class RowProgress {
 public:
  RowProgress(const RowGraph& graph, NodeId first, NodeId last, const std::vector<RowCall>& schedule);

  // The lowest row of tensor `id` that a call of the group from now on reads; its height when none does.
  std::int32_t needed_from(NodeId id) const;

  // Calls of node `id` so far.
  std::int32_t done(NodeId id) const { return done_[index(id)]; }
  bool finished(NodeId id) const { return done_[index(id)] == total_[index(id)]; }
  std::int32_t rows_there(NodeId id) const { return graph_.rows_after(id, first_, done(id)); }
  void advance(const RowCall& call) { done_[index(call.node)] = call.row_end; }

 private:
  std::size_t index(NodeId id) const { return static_cast<std::size_t>(id - first_); }

  const RowGraph& graph_;
  NodeId first_, last_;
  std::vector<std::int32_t> done_, total_;
};

// For each node of the group the rows of it that are needed at once: a rolling line buffer of so many rows
// loses none. The whole height for those that are read outside of the group, and for the last.
std::vector<std::int32_t> ring_rows(const RowGraph& graph, NodeId first, NodeId last,
                                    const std::vector<RowCall>& schedule);

// For each node of the group the stretches of the schedule, [begin, end) by number of the call, during which
// rows of it are written, kept or read. Line buffers of one group that are never busy together may share
// bytes: a row that the next call consumes leaves its place to others. Nodes that are read outside are busy
// to the end.
std::vector<std::vector<RowRange>> busy_calls(const RowGraph& graph, NodeId first, NodeId last,
                                              const std::vector<RowCall>& schedule);
bool busy_together(const std::vector<RowRange>& a, const std::vector<RowRange>& b);

// Bytes that a call of a group writes, counted from the start of what it writes to.
enum class Written { output, sums };

// The safe distance of what a group writes below its whole input `from`, which nobody reads later: with
// offset(to) + distance <= offset(from), no byte of `to` is written where a row of `from` lies that is read
// by the same call or a later one. `to` is the output of a node of the group, in a ring of `ring` rows (its
// height when it is whole), or its sums. In bytes; at most those of `to`, negative where `to` may even start
// behind the start of `from`.
struct Follower {
  NodeId from = 0;
  NodeId to = 0;
  Written what = Written::output;
  std::int32_t ring = 1;
};
std::int64_t diagonal_distance(const RowGraph& graph, NodeId first, NodeId last,
                               const std::vector<RowCall>& schedule, const Follower& follower);

}  // namespace mcufit
