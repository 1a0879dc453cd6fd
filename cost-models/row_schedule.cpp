// SPDX-License-Identifier: Apache-2.0
#include "cost-models/row_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "blocks/foundation/error.h"
#include "cost-models/count.h"
#include "cost-models/kernel_scratch.h"

namespace mcufit {
namespace {

RowWindow slide(const Window& w, std::int32_t height) {
  return {w.stride_height, -w.padding.top, static_cast<std::int32_t>(w.span_height()), height};
}

// All rows, whichever row asks.
RowWindow every_row(std::int32_t height) { return {0, 0, height, height}; }

// Where the rows of input `input` start in a concatenation of heights.
std::int32_t part_start(const Graph& graph, const Node& node, std::size_t input) {
  std::int32_t start = 0;
  for (std::size_t i = 0; i < input; ++i) start += graph.node(node.inputs[i]).shape.height;
  return start;
}

template <typename T>
concept RowByRow = AnyOf<T, Input, BatchNorm, Activate, Softmax>;
template <typename T>
concept OfTwo = AnyOf<T, Add, Mul>;
template <typename T>
concept Sliding = AnyOf<T, Conv2d, DepthwiseConv2d, AveragePool2d, MaxPool2d>;
template <typename T>
concept OfAllRows = AnyOf<T, FullyConnected, Reshape>;

RowWindow row_window(const Graph& graph, NodeId id, std::size_t input) {
  const Node& node = graph.node(id);
  const std::int32_t height = graph.node(node.inputs[input]).shape.height;
  RowWindow same{.height = height};
  return std::visit(
      overloaded{
          [&](const RowByRow auto&) { return same; },
          [&](const Sliding auto& op) { return slide(op.window, height); },
          [&](const OfTwo auto&) { return height == node.shape.height ? same : every_row(height); },
          [&](const OfAllRows auto&) { return every_row(height); },
          [&](const Mean& op) { return op.over_height ? every_row(height) : same; },
          [&](const Concatenation& op) {
            if (op.axis != Axis::height) return same;
            return RowWindow{.first = -part_start(graph, node, input), .height = height};
          },
          [&](const Pad& op) { return RowWindow{.first = -op.padding.top, .height = height}; },
          [&](const ResizeNearestNeighbor& op) {
            return RowWindow{.height = height, .sources = nearest_sources(op, height, op.height)};
          },
      },
      node.op);
}

// True for a mean or an average over all rows, whose sums can be kept as rows arrive.
bool averages_all_rows(const Graph& graph, const Node& node) {
  if (const auto* mean = std::get_if<Mean>(&node.op)) return mean->over_height;
  const auto* pool = std::get_if<AveragePool2d>(&node.op);
  if (pool == nullptr) return false;
  const Shape& in = graph.node(node.inputs[0]).shape;
  return pool->window.padding == Padding{} && pool->window.kernel_height == in.height &&
         pool->window.kernel_width == in.width && pool->window.dilation_height == 1 &&
         pool->window.dilation_width == 1;
}

template <typename T>
concept ColumnByColumn = AnyOf<T, Add, Activate>;
template <typename T>
concept AllColumns = AnyOf<T, Input, BatchNorm, FullyConnected, Softmax, Mean, Concatenation, Pad, Reshape,
                           ResizeNearestNeighbor>;

// Which columns the op reads; none where all columns are made at once, and for ops whose kernels have no
// fields for a part of a row.
std::optional<ColumnWindow> column_window(const Graph& graph, const Node& node, std::size_t input) {
  using Columns = std::optional<ColumnWindow>;
  const std::int32_t width = graph.node(node.inputs[input]).shape.width;
  const auto slides = [&](const Window& w) -> Columns {
    return ColumnWindow{w.stride_width, -w.padding.left, static_cast<std::int32_t>(w.span_width()), width};
  };
  const Columns same = ColumnWindow{.width = width};
  return std::visit(overloaded{
                        [&](const Sliding auto& op) { return slides(op.window); },
                        [&](const ColumnByColumn auto&) { return same; },
                        [&](const Mul&) {
                          return graph.node(node.inputs[input]).shape == node.shape ? same : std::nullopt;
                        },
                        [](const AllColumns auto&) -> Columns { return std::nullopt; },
                    },
                    node.op);
}

// Calls of a group in the order in which their rows are asked for.
class Demand {
 public:
  Demand(const RowGraph& graph, NodeId first, NodeId last)
      : graph_(graph), first_(first), done_(static_cast<std::size_t>(last - first) + 1) {
    std::int64_t most = 0;
    for (NodeId id = first; id <= last; ++id) most += graph.calls(id, first);
    calls_.reserve(static_cast<std::size_t>(most));
  }

  // Makes rows [0, rows) of node `id` be there. As deep as the group is long.
  void rows(NodeId id, std::int32_t rows) {
    if (graph_.sums(id, first_)) rows = rows > 0 ? graph_.calls(id, first_) : 0;
    std::int32_t& done = done_[static_cast<std::size_t>(id - first_)];
    while (done < rows) {
      for (const RowGraph::Edge& input : graph_.inputs(id)) {
        if (input.node >= first_) this->rows(input.node, graph_.reads(id, first_, input.window, done).end);
      }
      calls_.push_back({id, done, done + 1});
      ++done;
    }
  }

  std::vector<RowCall> take() { return std::move(calls_); }

 private:
  const RowGraph& graph_;
  NodeId first_;
  std::vector<std::int32_t> done_;
  std::vector<RowCall> calls_;
};

}  // namespace

RowRange RowWindow::rows(std::int32_t row) const {
  if (!sources.empty()) {
    const std::int32_t source = sources[static_cast<std::size_t>(row)];
    return {source, source + 1};
  }
  const std::int32_t begin = row * stride + first;
  return {std::clamp(begin, 0, height), std::clamp(begin + span, 0, height)};
}

ColumnRange ColumnWindow::columns(const ColumnRange& made) const {
  const std::int32_t begin = made.begin * stride + first;
  const std::int32_t end = (made.end - 1) * stride + first + span;
  return {std::clamp(begin, 0, width), std::clamp(end, 0, width)};
}

RowGraph::RowGraph(const Graph& lowered, Isa isa) : tensors_(lowered.nodes.size()), isa_(isa) {
  for (NodeId id = 0; id < lowered.size(); ++id) {
    const Node& node = lowered.node(id);
    Tensor& t = tensors_[static_cast<std::size_t>(id)];
    t.height = node.shape.height;
    t.row_bytes = std::int64_t{node.shape.width} * node.shape.channels;
    t.width = node.shape.width;
    t.column_macs = count_macs(lowered, id) / node.shape.width;
    t.scratch_bytes = kernel_scratch_bytes(lowered, id, isa);
    t.makes_columns = !averages_all_rows(lowered, node);
    t.last_reader = id;
    t.reshapes = std::holds_alternative<Reshape>(node.op);
    t.in_place = works_in_place(node.op);
    if (!t.makes_columns) t.sums_height = lowered.node(node.inputs[0]).shape.height;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      Tensor& producer = tensors_[static_cast<std::size_t>(node.inputs[i])];
      const RowWindow window = row_window(lowered, id, i);
      const std::optional<ColumnWindow> columns = column_window(lowered, node, i);
      t.makes_columns = t.makes_columns && columns.has_value();
      t.inputs.push_back({node.inputs[i], window, columns.value_or(ColumnWindow{})});
      producer.readers.push_back({id, window, columns.value_or(ColumnWindow{})});
      producer.last_reader = id;
    }
  }
}

std::int64_t RowGraph::scratch_bytes(NodeId first, NodeId last) const {
  std::int64_t most = 0;
  for (NodeId id = first; id <= last; ++id) most = std::max(most, scratch_bytes(id));
  return most;
}

bool may_group(const RowGraph& graph, NodeId first, NodeId last) {
  for (NodeId id = first; id <= last; ++id) {
    const auto& readers = graph.readers(id);
    const bool read = std::any_of(readers.begin(), readers.end(),
                                  [&](const RowGraph::Edge& reader) { return reader.node <= last; });
    if (graph.reshapes(id) || (id < last && !read)) return false;
  }
  return true;
}

std::vector<RowCall> row_schedule(const RowGraph& graph, NodeId first, NodeId last) {
  Demand demand(graph, first, last);
  demand.rows(last, graph.height(last));
  for (NodeId id = first; id < last; ++id) {
    if (graph.last_reader(id) > last) demand.rows(id, graph.height(id));
  }
  return demand.take();
}

std::vector<RowCall> row_schedule(const std::vector<NodeId>& group, const Graph& lowered) {
  for (std::size_t i = 0; i + 1 < group.size(); ++i) {
    if (group[i + 1] != group[i] + 1) {
      throw Error(ExitCode::internal, fmt::format("row schedule in {}: nodes {} and {} follow each other; a "
                                                  "group is made of consecutive nodes",
                                                  lowered.name, group[i], group[i + 1]));
    }
  }
  return row_schedule(RowGraph(lowered), group.front(), group.back());
}

RowProgress::RowProgress(const RowGraph& graph, NodeId first, NodeId last,
                         const std::vector<RowCall>& schedule)
    : graph_(graph),
      first_(first),
      last_(last),
      done_(static_cast<std::size_t>(last - first) + 1),
      total_(done_.size()) {
  for (const RowCall& call : schedule) total_[index(call.node)] = call.row_end;
}

std::int32_t RowProgress::needed_from(NodeId id) const {
  std::int32_t needed = graph_.height(id);
  for (const RowGraph::Edge& reader : graph_.readers(id)) {
    if (reader.node < first_ || reader.node > last_ || finished(reader.node)) continue;
    needed = std::min(needed, graph_.reads(reader.node, first_, reader.window, done(reader.node)).begin);
  }
  return needed;
}

std::vector<std::int32_t> ring_rows(const RowGraph& graph, NodeId first, NodeId last,
                                    const std::vector<RowCall>& schedule) {
  std::vector<std::int32_t> rings(static_cast<std::size_t>(last - first) + 1, 1);
  const auto ring = [&](NodeId id) -> std::int32_t& { return rings[static_cast<std::size_t>(id - first)]; };
  for (NodeId id = first; id <= last; ++id) {
    if (id == last || graph.last_reader(id) > last) ring(id) = graph.height(id);
  }
  RowProgress progress(graph, first, last, schedule);
  for (const RowCall& call : schedule) {
    const std::int32_t there = graph.rows_after(call.node, first, call.row_end);
    ring(call.node) = std::max(ring(call.node), there - progress.needed_from(call.node));
    progress.advance(call);
  }
  return rings;
}

std::vector<std::vector<RowRange>> busy_calls(const RowGraph& graph, NodeId first, NodeId last,
                                              const std::vector<RowCall>& schedule) {
  std::vector<std::vector<RowRange>> busy(static_cast<std::size_t>(last - first) + 1);
  std::vector<bool> open(busy.size());
  RowProgress progress(graph, first, last, schedule);
  const auto close = [&](NodeId id, std::int32_t end) {
    const auto i = static_cast<std::size_t>(id - first);
    if (!open[i] || id == last || graph.last_reader(id) > last) return;
    const bool kept = progress.rows_there(id) > progress.needed_from(id);
    if (kept || (graph.sums(id, first) && !progress.finished(id))) return;
    busy[i].back().end = end;
    open[i] = false;
  };
  for (std::int32_t now = 0; now < static_cast<std::int32_t>(schedule.size()); ++now) {
    const RowCall& call = schedule[static_cast<std::size_t>(now)];
    const auto i = static_cast<std::size_t>(call.node - first);
    if (!open[i]) busy[i].push_back({now, static_cast<std::int32_t>(schedule.size())});
    open[i] = true;
    progress.advance(call);
    close(call.node, now + 1);
    for (const RowGraph::Edge& input : graph.inputs(call.node)) {
      if (input.node >= first) close(input.node, now + 1);
    }
  }
  return busy;
}

bool busy_together(const std::vector<RowRange>& a, const std::vector<RowRange>& b) {
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i].begin < b[j].end && b[j].begin < a[i].end) return true;
    if (a[i].end <= b[j].end) {
      ++i;
    } else {
      ++j;
    }
  }
  return false;
}

std::int64_t diagonal_distance(const RowGraph& graph, NodeId first, NodeId last,
                               const std::vector<RowCall>& schedule, const Follower& follower) {
  const auto [from, to, what, ring] = follower;
  RowProgress progress(graph, first, last, schedule);
  std::int64_t distance = -graph.bytes(from);
  for (const RowCall& call : schedule) {
    if (call.node == to) {
      const std::int32_t rows = graph.rows_after(to, first, call.row_end);
      const std::int64_t output = rows > 0 ? ((rows - 1) % ring + 1) * graph.row_bytes(to) : 0;
      const std::int64_t end = what == Written::sums ? graph.sum_bytes(to, first) : output;
      const std::int32_t needed = progress.needed_from(from);
      if (end > 0 && needed < graph.height(from))
        distance = std::max(distance, end - needed * graph.row_bytes(from));
    }
    progress.advance(call);
  }
  return distance;
}

}  // namespace mcufit
