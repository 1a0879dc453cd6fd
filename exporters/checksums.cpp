// SPDX-License-Identifier: Apache-2.0
#include "exporters/checksums.h"

#include <zlib.h>

#include "cost-models/layout.h"
#include "cost-models/row_schedule.h"
#include "exporters/interpreter.h"

namespace mcufit {

std::uint32_t crc32(std::span<const std::int8_t> bytes) {
  return static_cast<std::uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

NodeChecksums node_checksums(const QuantizedGraph& graph, const MemoryPlan& plan,
                             std::span<const std::int8_t> input) {
  NodeChecksums checksums{.input = crc32(input), .steps = {}};
  const auto tensors = interpret(graph, input);
  const std::vector<std::int64_t> made = bytes_made(graph.graph, plan);
  for (const NodeId id : called_nodes(graph.graph, plan)) {
    const auto node = static_cast<std::size_t>(id);
    checksums.steps.push_back(crc32(std::span(tensors[node]).first(static_cast<std::size_t>(made[node]))));
  }
  return checksums;
}

std::vector<std::int64_t> bytes_made(const Graph& lowered, const MemoryPlan& plan) {
  const RowGraph rows(lowered);
  std::vector<std::int64_t> made;
  for (const Node& node : lowered.nodes) made.push_back(node.shape.elements());
  for (const Step& step : plan.steps) {
    if (!step.by_rows) continue;
    const NodeId first = step.nodes.front();
    for (const NodeId id : step.nodes) made[static_cast<std::size_t>(id)] = 0;
    for (const RowCall& call : row_schedule(rows, first, step.nodes.back()))
      made[static_cast<std::size_t>(call.node)] =
          rows.rows_after(call.node, first, call.row_end) * rows.row_bytes(call.node);
  }
  return made;
}

}  // namespace mcufit
