// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "blocks/lower.h"
#include "blocks/quantized_graph.h"

namespace mcufit {

// The real values that each node's output took, always with 0 inside; parallel to the nodes of a lowered
// graph.
struct Range {
  float minimum = 0;
  float maximum = 0;
  bool operator==(const Range&) const = default;
};
using Ranges = std::vector<Range>;

// Runs the lowered graph in float over samples ([sample][element], real values) and keeps the extremes.
// Parallel over samples; the result does not depend on the number of threads.
Ranges observe_ranges(const Lowered& lowered, const std::vector<std::vector<float>>& samples);

// Post-training quantization: asymmetric int8 activations from the ranges (one per tensor, zero exactly
// representable), symmetric int8 filters per output channel, int32 biases. `input` is the network's input
// quantization (what its sender will apply: 1/255 and -128 for image bytes). The result is verified.
QuantizedGraph quantize(const Lowered& lowered, const Ranges& ranges, Quantization input);

}  // namespace mcufit
