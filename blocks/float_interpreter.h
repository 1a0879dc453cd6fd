// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "blocks/graph.h"
#include "blocks/weights.h"

namespace mcufit {

// Runs a graph, lowered or not, in float32 on one sample: slow and obvious, the judge of the trainer's
// network and of the folding. `input` has input_shape().elements() values, NHWC. Returns the output of every
// node, by id.
std::vector<std::vector<float>> interpret(const Graph& graph, const Weights& weights,
                                          std::span<const float> input);

}  // namespace mcufit
