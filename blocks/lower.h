// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "blocks/graph.h"
#include "blocks/weights.h"

namespace mcufit {

// The graph as it is deployed, with its weights folded along.
struct Lowered {
  Graph graph;
  Weights weights;
};

// The only lowering: batch-norm is folded into the convolution or fully-connected layer before it (every one
// of which has a bias then), activations are fused into the op before them. The result computes what `graph`
// computes. The result has every op but batch_norm; `activate` is left where the op before cannot take it or
// it is no clamp. Throws Error(input) naming a batch-norm that has nothing to be folded into.
Graph lower(const Graph& graph);

// The same, with weights: filter' = filter * gamma / sqrt(variance + epsilon), bias' = beta + (bias - mean) *
// that.
Lowered lower(const Graph& graph, const Weights& weights);

}  // namespace mcufit
