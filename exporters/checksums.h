// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "blocks/quantized_graph.h"
#include "cost-models/plan.h"

namespace mcufit {

// CRC-32 as zlib, PNG and Ethernet have it.
std::uint32_t crc32(std::span<const std::int8_t> bytes);

// What the reference interpreter computes for one input, call by call, as CRC-32s: enough to name the first
// node in which a device differs, inside of groups too.
struct NodeChecksums {
  std::uint32_t input = 0;           // of all of it
  std::vector<std::uint32_t> steps;  // of the outputs of called_nodes() with the plan, the bytes_made()
};

NodeChecksums node_checksums(const QuantizedGraph& graph, const MemoryPlan& plan,
                             std::span<const std::int8_t> input);

// Bytes of each node's output that a plan makes, from its start: groups leave out rows that nobody reads. Of
// a streamed input those that the sender delivers.
std::vector<std::int64_t> bytes_made(const Graph& lowered, const MemoryPlan& plan);

}  // namespace mcufit
