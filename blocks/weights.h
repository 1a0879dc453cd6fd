// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "blocks/graph.h"

namespace mcufit {

// The trained numbers of one node, empty where its op has none.
struct NodeWeights {
  std::vector<float>
      filter;  // conv2d: [out][kh][kw][in]; depthwise: [kh][kw][channel]; fully_connected: [out][in]
  std::vector<float> bias;                         // [out]
  std::vector<float> gamma, beta, mean, variance;  // batch-norm, [channel] each
};

// The trained numbers of a graph, parallel to Graph::nodes. verify() checks every length.
struct Weights {
  std::vector<NodeWeights> nodes;
};

// What each node of `graph` must hold; values are zero.
Weights zero_weights(const Graph& graph);

// Throws Error(input) naming node, tensor, found and expected length; a NaN or infinity is refused too.
void verify(const Weights& weights, const Graph& graph);

// The safetensors format (8-byte little-endian header length, JSON header, raw float32), tensors named
// "<node>.filter", "<node>.bias", "<node>.gamma", ... Written atomically; read with every size checked.
// Throws Error(io) or Error(input).
void write_weights(const std::filesystem::path& path, const Weights& weights, const Graph& graph);
Weights read_weights(const std::filesystem::path& path, const Graph& graph);

}  // namespace mcufit
