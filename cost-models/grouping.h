// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "blocks/graph.h"
#include "cost-models/plan.h"
#include "cost-models/row_schedule.h"

namespace mcufit {

// Consecutive nodes [first, last] that run as one step.
struct GroupRange {
  NodeId first = 0;
  NodeId last = 0;
  bool by_rows = false;
  bool operator==(const GroupRange&) const = default;
};

// A way to cut the node order into steps, with what it asks for before anything is placed.
struct Grouping {
  std::vector<GroupRange> groups;
  std::int64_t bytes = 0;  // most bytes that one step needs, line buffers and overlap counted, gaps not
  std::int64_t calls = 0;  // of kernels; delivered input rows count
};

// Which groups are looked at.
struct GroupingSearch {
  bool input_streamed = false;  // the input may be part of a group and then need not exist whole
  NodeId longest = 0;           // nodes of a group, at most
  std::int64_t limit = 0;       // bytes, only groupings below it
  // Only groups that end where the tensors kept for later take no more bytes than one node further on: not
  // between an expansion and its projection. Half of the work, and seldom a larger result.
  bool narrow_ends = false;
};

// Of these every grouping of which no other needs as few bytes and as few calls, fewest bytes first: shortest
// paths over the cuts of the node order. None may be left.
std::vector<Grouping> pareto_groupings(const RowGraph& graph, const GroupingSearch& search);

// The least bytes that any grouping needs at once, to the row: rows from the call that writes them to the
// last that reads them. No plan of any grouping needs less; with `longest`, of any grouping whose groups have
// at most so many nodes.
std::int64_t least_live_bytes(const RowGraph& graph, bool input_streamed,
                              std::optional<NodeId> longest = std::nullopt);

// Whether that is at most `limit`, which takes less to find out.
bool live_bytes_within(const RowGraph& graph, NodeId longest, std::int64_t limit);

// The first node from which a group of at most `longest` nodes may run up to `last`; above `last` where none
// may.
NodeId earliest_first(const RowGraph& graph, NodeId last, NodeId longest, bool input_streamed);

// Bytes that must lie in the arena before node `id` runs: tensors of earlier nodes that it or later ones
// read, one for a tensor and its reshapes; each rounded up to a multiple of `alignment`.
std::vector<std::int64_t> bytes_at_cuts(const RowGraph& graph, std::int64_t alignment);

}  // namespace mcufit
