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

// What the reference interpreter computes for one input, as CRC-32s of whole outputs: enough to name the
// first node in which a device differs.
struct NodeChecksums {
  std::uint32_t input = 0;
  std::vector<std::uint32_t> steps;  // of each kernel call's node
};

NodeChecksums node_checksums(const QuantizedGraph& graph, const MemoryPlan& plan,
                             std::span<const std::int8_t> input);

}  // namespace mcufit
