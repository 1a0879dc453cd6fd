// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "blocks/quantized_graph.h"

namespace mcufit {

// What one thread needs to evaluate one sample after another.
struct Workspace {
  std::vector<std::vector<std::int8_t>> values;  // of each node, by id, of its length
  std::vector<std::int16_t> image, patches;
  std::vector<std::int32_t> sums;
};

// Computes values[id] from the values of the node's inputs. Keeps references into the graph.
using FastStep = std::function<void(Workspace&)>;
FastStep make_fast_step(const QuantizedGraph& graph, NodeId id);

}  // namespace mcufit
