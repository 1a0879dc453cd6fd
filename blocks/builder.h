// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "blocks/graph.h"

namespace mcufit {

// Builds a Graph node by node, with shapes inferred and checked on the way. Each call returns the new node's
// id. Names are given to the node as they are; a scope prefixes them: scope("block3") gives "block3/expand".
class GraphBuilder {
 public:
  GraphBuilder(std::string name, Shape input);

  void scope(std::string prefix) { scope_ = std::move(prefix); }
  const Shape& shape(NodeId id) const { return graph_.node(id).shape; }
  NodeId input() const { return 0; }

  NodeId conv2d(std::string_view name, NodeId from, std::int32_t output_channels, Window window);
  NodeId pointwise(std::string_view name, NodeId from, std::int32_t output_channels);
  NodeId depthwise_conv2d(std::string_view name, NodeId from, Window window);
  NodeId fully_connected(std::string_view name, NodeId from, std::int32_t output_channels, bool bias = true);
  NodeId batch_norm(std::string_view name, NodeId from);
  NodeId activate(std::string_view name, NodeId from, Activation activation);
  NodeId add(std::string_view name, NodeId a, NodeId b);
  NodeId mul(std::string_view name, NodeId a, NodeId b);
  NodeId max_pool2d(std::string_view name, NodeId from, Window window);
  NodeId average_pool2d(std::string_view name, NodeId from, Window window);
  NodeId global_average_pool(std::string_view name, NodeId from);
  NodeId mean(std::string_view name, NodeId from);  // over height and width
  NodeId concatenation(std::string_view name, std::vector<NodeId> from, Axis axis);
  NodeId pad(std::string_view name, NodeId from, Padding padding);
  NodeId reshape(std::string_view name, NodeId from, Shape shape);
  NodeId resize_nearest_neighbor(std::string_view name, NodeId from, std::int32_t height, std::int32_t width);
  NodeId softmax(std::string_view name, NodeId from);

  // Batch-norm and, unless it is `none`, an activation behind `from`.
  NodeId norm_act(std::string_view name, NodeId from, Activation activation);

  // Verifies and hands over the graph; the builder is spent.
  Graph finish();

 private:
  NodeId append(std::string_view name, const Op& op, std::vector<NodeId> inputs);

  Graph graph_;
  std::string scope_;
};

}  // namespace mcufit
