// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "blocks/quantized_graph.h"

namespace mcufit {

// What an `activate` node of a verified graph gives for the inputs -128, -127, ... 127, by TensorFlow Lite
// Micro's reference rules for quantize, relu, relu6, logistic and hard_swish; hard_sigmoid to nearest.
std::array<std::int8_t, 256> lookup_table(const QuantizedGraph& graph, NodeId id);

// Where a table of all 256 bytes holds the entry of `byte`, -128 to 127.
constexpr std::size_t lookup_index(std::int32_t byte) {
  const std::int32_t entry = byte + 128;
  return static_cast<std::size_t>(entry);
}

}  // namespace mcufit
