// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "blocks/quantized_graph.h"
#include "cost-models/plan.h"
#include "cost-models/row_schedule.h"

namespace mcufit {

// CRC-32 as zlib, PNG and Ethernet have it.
std::uint32_t crc32(std::span<const std::int8_t> bytes);

// What the reference interpreter computes for one input, call by call, as CRC-32s: enough to name the first
// node in which a device differs, inside of groups too.
struct NodeChecksums {
  std::uint32_t input = 0;           // of all of it
  std::vector<std::uint32_t> steps;  // of the outputs of kernel_calls(), the bytes_made(); of a call in a
                                     // tile the columns that it makes, row after row
};

NodeChecksums node_checksums(const QuantizedGraph& graph, const MemoryPlan& plan,
                             std::span<const std::int8_t> input);

// Bytes of each node's output that a plan makes, from its start: groups leave out rows that nobody reads. Of
// a streamed input those that the sender delivers; of a group in tiles the rows of which tiles make columns.
std::vector<std::int64_t> bytes_made(const Graph& lowered, const MemoryPlan& plan);

// Columns [begin, end) of the rows of an output, row after row.
std::vector<std::int8_t> columns_of(std::span<const std::int8_t> rows, const Shape& shape,
                                    const ColumnRange& columns);

}  // namespace mcufit
