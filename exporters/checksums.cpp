// SPDX-License-Identifier: Apache-2.0
#include "exporters/checksums.h"

#include <zlib.h>

#include "cost-models/layout.h"
#include "exporters/interpreter.h"

namespace mcufit {

std::uint32_t crc32(std::span<const std::int8_t> bytes) {
  return static_cast<std::uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

NodeChecksums node_checksums(const QuantizedGraph& graph, std::span<const std::int8_t> input) {
  NodeChecksums checksums{.input = crc32(input), .steps = {}};
  const auto tensors = interpret(graph, input);
  for (const NodeId id : called_nodes(graph.graph))
    checksums.steps.push_back(crc32(tensors[static_cast<std::size_t>(id)]));
  return checksums;
}

}  // namespace mcufit
