// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "blocks/quantized_graph.h"

namespace mcufit {

// Runs a quantized graph on one int8 sample, in plain loops over whole tensors, one output element at a time:
// slow and obvious, the judge of every kernel. Shares with the runtime nothing but its rounding rule
// (exporters/runtime/mcufit_rounding.h). Returns the output of every node, by id.
// Precondition: verify(graph) passed; input has input_shape().elements() values.
std::vector<std::vector<std::int8_t>> interpret(const QuantizedGraph& graph,
                                                std::span<const std::int8_t> input);

// The same for one node: computes values[id] from the values of its inputs, with its constants derived once.
// Keeps a reference to the graph.
using NodeInterpreter = std::function<void(std::vector<std::vector<std::int8_t>>& values)>;
NodeInterpreter node_interpreter(const QuantizedGraph& graph, NodeId id);

// The outputs of the last node for many samples, [sample][element]; parallel over samples. For whole data
// sets there is FastInterpreter.
std::vector<std::vector<std::int8_t>> interpret_all(const QuantizedGraph& graph,
                                                    std::span<const std::vector<std::int8_t>> inputs);

}  // namespace mcufit
