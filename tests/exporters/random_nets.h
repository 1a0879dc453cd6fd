// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "blocks/foundation/random.h"
#include "blocks/quantized_graph.h"

namespace mcufit::testing {

// Grows a quantized graph node by node, with random integers and the scales that each op must have.
class RandomNet {
 public:
  // `planted` is the probability of a dead output channel (zero filter or a bias that saturates) and of an
  // input channel whose weights are zero.
  explicit RandomNet(Random& random, double planted = 0) : random_(random), planted_(planted) {}

  NodeId input(Shape shape, std::optional<Quantization> output = {});
  // `output` is taken where the op leaves a choice.
  NodeId append(const Op& op, std::vector<NodeId> inputs, std::optional<Quantization> output = {});

  // A random op on node `x` and what it needs beside it (a gate, a second branch); may leave `x` as it is
  // where that op is not possible. `kind` is below kKinds; all kinds together have every int8 op.
  static constexpr int kKinds = 18;
  NodeId append_random(int kind, NodeId x);

  const Shape& shape(NodeId id) const { return graph_.graph.node(id).shape; }
  QuantizedGraph finish();  // verified

 private:
  NodeId conv1x1(NodeId x, std::int32_t channels, std::optional<Quantization> output = {});
  NodeId gated(NodeId x);
  NodeId activated(NodeId x);
  NodeId concatenated(NodeId x);
  NodeId padded(NodeId x);
  NodeId resized(NodeId x);
  Quantization output_of(const Op& op, const std::vector<NodeId>& inputs);
  void fill(NodeId id);
  void fill_biases(NodeId id);
  void plant(NodeId id);
  std::int32_t draw(std::int64_t low, std::int64_t high);
  bool happens(double probability) { return random_.unit() < probability; }

  Random& random_;
  double planted_;
  QuantizedGraph graph_;
};

// input -> one op of `kind`, and what it needs.
QuantizedGraph random_case(Random& random, int kind);

// A net of about `ops` random ops.
QuantizedGraph random_net(Random& random, int ops, double planted = 0);

// A net of about `ops` random ops that make columns apart, wide enough for tiles.
QuantizedGraph random_column_net(Random& random, int ops);

}  // namespace mcufit::testing
