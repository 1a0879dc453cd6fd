// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "blocks/quantized_graph.h"

namespace mcufit {

// What an `activate` node of a verified graph gives for the inputs -128, -127, ... 127, by TensorFlow Lite
// Micro's reference rules for quantize, relu, relu6, logistic and hard_swish; hard_sigmoid to nearest.
std::array<std::int8_t, 256> lookup_table(const QuantizedGraph& graph, NodeId id);

}  // namespace mcufit
