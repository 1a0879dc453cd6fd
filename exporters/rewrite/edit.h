// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "blocks/quantized_graph.h"

namespace mcufit {

// Ids of the nodes that read a node, in order; a node that reads it twice is there twice.
std::vector<NodeId> readers_of(const Graph& graph, NodeId id);

// Lets `by` stand for `id`, which is removed, as all nodes that nobody reads then. False where it cannot:
// the graph's output has no readers, so that only the node just before may take its place.
bool replace(QuantizedGraph& graph, NodeId id, NodeId by);

// Removes the nodes that do not lead to the output; ids close up.
void drop_unread(QuantizedGraph& graph);

// Derives every node's shape again.
void infer_shapes(Graph& graph);

}  // namespace mcufit
