// SPDX-License-Identifier: Apache-2.0
#include "exporters/checksums.h"

#include <zlib.h>

#include "exporters/interpreter.h"

namespace mcufit {

std::uint32_t crc32(std::span<const std::int8_t> bytes) {
  return static_cast<std::uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

NodeChecksums node_checksums(const QuantizedGraph& graph, std::span<const std::int8_t> input) {
  NodeChecksums checksums{.input = crc32(input), .steps = {}};
  const auto tensors = interpret(graph, input);
  for (std::size_t node = 1; node < tensors.size(); ++node) checksums.steps.push_back(crc32(tensors[node]));
  return checksums;
}

}  // namespace mcufit
