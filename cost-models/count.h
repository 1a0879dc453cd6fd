// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "blocks/footprint.h"
#include "blocks/graph.h"

namespace mcufit {

// MACs of one node: a convolution's or fully-connected layer's multiply-accumulates at every output position,
// taps that fall on padding included (the field's convention).
std::int64_t count_macs(const Graph& graph, NodeId id);

// Trainable numbers of one node.
std::int64_t count_params(const Graph& graph, NodeId id);

// The judge of every family's closed form: counts the graph, node by node.
Footprint count(const Graph& graph);

}  // namespace mcufit
