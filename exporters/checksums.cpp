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

NodeChecksums node_checksums(const QuantizedGraph& graph, const MemoryPlan& plan,
                             std::span<const std::int8_t> input) {
  NodeChecksums checksums{.input = crc32(input), .steps = {}};
  const auto tensors = interpret(graph, input);
  std::vector<std::uint32_t> sums;  // by node, each made once
  sums.reserve(tensors.size());
  for (const auto& tensor : tensors) sums.push_back(crc32(tensor));
  for (const KernelCall& call : kernel_calls(graph.graph, plan))
    checksums.steps.push_back(sums[static_cast<std::size_t>(call.node)]);
  return checksums;
}

}  // namespace mcufit
