// SPDX-License-Identifier: Apache-2.0
#include "exporters/row_tables.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "blocks/foundation/error.h"
#include "cost-models/layout.h"
#include "cost-models/row_schedule.h"

namespace mcufit {
namespace {

std::int16_t narrow(const Graph& graph, NodeId id, std::int64_t value) {
  if (!std::in_range<std::int16_t>(value)) {
    throw Error(ExitCode::input,
                fmt::format("{}: found {} rows in a group; accepted by the runtime: up to {}",
                            graph.node(id).name, value, std::numeric_limits<std::int16_t>::max()));
  }
  return static_cast<std::int16_t>(value);
}

// Fills the tables of one group.
class GroupTables {
 public:
  GroupTables(const Graph& graph, const RowGraph& rows, const std::vector<NodeId>& group, RowTables& tables)
      : graph_(graph), rows_(rows), first_(group.front()), last_(group.back()), tables_(tables) {
    for (const NodeId id : group) add_call(id);
  }

 private:
  void add_call(NodeId id) {
    const bool kept = id == last_ || rows_.last_reader(id) > last_;
    tables_.calls.push_back({static_cast<std::int16_t>(tables_.needs.size()),
                             narrow(graph_, id, kept ? rows_.calls(id, first_) : 0)});
    for (const RowGraph::Edge& input : rows_.inputs(id)) {
      if (input.node >= first_) add_need(id, input);
    }
  }

  void add_need(NodeId id, const RowGraph::Edge& input) {
    const RowWindow& window = input.window;
    mcufit_row_need need{.from = narrow(graph_, id, input.node - first_),
                         .stride = narrow(graph_, id, window.stride),
                         .reach = narrow(graph_, id, window.first + window.span),
                         .most = narrow(graph_, id, window.height),
                         .sources = nullptr};
    if (rows_.sums(id, first_)) need.stride = need.reach = 1;  // a row a call
    bool resize = !window.sources.empty();
    // The rows of a sum are there when all of its own input is; it has one, which a resize always reads.
    if (const std::int32_t calls = rows_.calls(input.node, first_); rows_.sums(input.node, first_)) {
      need.stride = resize ? std::int16_t{0} : narrow(graph_, id, std::int64_t{need.stride} * calls);
      need.reach = narrow(graph_, id, resize ? calls : std::int64_t{need.reach} * calls);
      need.most = narrow(graph_, id, calls);
      resize = false;
    }
    tables_.needs.push_back(need);
    tables_.resizes.push_back(resize ? std::optional(id) : std::nullopt);
  }

  const Graph& graph_;
  const RowGraph& rows_;
  NodeId first_, last_;
  RowTables& tables_;
};

// A package counts a group's calls in 8 bits.
void check_length(const Graph& graph, const ExecutedStep& step) {
  constexpr std::ptrdiff_t kMost = std::numeric_limits<std::uint8_t>::max();
  if (!step.by_rows || std::ssize(step.nodes) <= kMost) return;
  throw Error(ExitCode::input,
              fmt::format("{}: starts a group of {} nodes; accepted by the runtime: up to {}",
                          graph.node(step.nodes[0]).name, step.nodes.size(), kMost));
}

}  // namespace

std::vector<ExecutedStep> executed_steps(const Graph& lowered, const MemoryPlan& plan) {
  std::vector<ExecutedStep> executed;
  for (const Step& step : plan.steps) {
    ExecutedStep called{.nodes = {}, .by_rows = step.by_rows};
    for (const NodeId id : step.nodes) {
      if (kernel_of(lowered, plan, id)) called.nodes.push_back(id);
    }
    if (called.nodes.empty()) continue;
    const auto tiles = static_cast<std::int32_t>(step.tile_cuts.size()) + 1;
    for (called.tile = 0; called.tile < tiles; ++called.tile) executed.push_back(called);
  }
  return executed;
}

RowTables row_tables(const QuantizedGraph& graph, const MemoryPlan& plan) {
  const RowGraph rows(graph.graph);
  RowTables tables;
  for (const ExecutedStep& step : executed_steps(graph.graph, plan)) {
    check_length(graph.graph, step);
    if (step.by_rows) {
      GroupTables(graph.graph, rows, step.nodes, tables);
    } else {
      tables.calls.push_back({static_cast<std::int16_t>(tables.needs.size()), 0});
    }
  }
  tables.calls.push_back({static_cast<std::int16_t>(tables.needs.size()), 0});
  if (tables.needs.empty()) {
    tables.needs.push_back({});
    tables.resizes.emplace_back();
  }
  return tables;
}

}  // namespace mcufit
