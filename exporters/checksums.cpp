// SPDX-License-Identifier: Apache-2.0
#include "exporters/checksums.h"

#include <zlib.h>

#include "cost-models/layout.h"
#include "exporters/interpreter.h"
#include "exporters/tile_columns.h"

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
  for (const KernelCall& call : kernel_calls(graph.graph, plan)) {
    const auto node = static_cast<std::size_t>(call.node);
    const auto rows = std::span(tensors[node]).first(static_cast<std::size_t>(made[node]));
    const ColumnRange columns = made_part(graph.graph, plan, call).columns;
    checksums.steps.push_back(crc32(columns_of(rows, graph.graph.node(call.node).shape, columns)));
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

std::vector<std::int8_t> columns_of(std::span<const std::int8_t> rows, const Shape& shape,
                                    const ColumnRange& columns) {
  const auto channels = static_cast<std::size_t>(shape.channels);
  const std::size_t row_bytes = static_cast<std::size_t>(shape.width) * channels;
  std::vector<std::int8_t> made;
  for (std::size_t row = 0; row + row_bytes <= rows.size(); row += row_bytes) {
    const auto part = rows.subspan(row + static_cast<std::size_t>(columns.begin) * channels,
                                   static_cast<std::size_t>(columns.width()) * channels);
    made.insert(made.end(), part.begin(), part.end());
  }
  return made;
}

}  // namespace mcufit
