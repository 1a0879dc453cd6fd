// SPDX-License-Identifier: Apache-2.0
#include "cost-models/count.h"

#include <algorithm>

namespace mcufit {
namespace {

// Weights of a convolution or fully-connected layer, biases apart.
std::int64_t filter_elements(const Graph& graph, const Node& node) {
  const auto in = [&] { return graph.node(node.inputs[0]).shape; };
  return std::visit(
      overloaded{[&](const Conv2d& c) { return c.window.taps() * in().channels * c.output_channels; },
                 [&](const DepthwiseConv2d& d) { return d.window.taps() * node.shape.channels; },
                 [&](const FullyConnected& f) { return in().elements() * f.output_channels; },
                 [](const BatchNorm&) { return std::int64_t{0}; },
                 [](const Weightless auto&) { return std::int64_t{0}; }},
      node.op);
}

bool has_bias(const Op& op) {
  return std::visit(
      overloaded{[](const Conv2d& c) { return c.bias; }, [](const DepthwiseConv2d& d) { return d.bias; },
                 [](const FullyConnected& f) { return f.bias; }, [](const BatchNorm&) { return false; },
                 [](const Weightless auto&) { return false; }},
      op);
}

}  // namespace

std::int64_t count_macs(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  return filter_elements(graph, node) *
         (std::holds_alternative<FullyConnected>(node.op) ? 1 : node.shape.pixels());
}

std::int64_t count_params(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (std::holds_alternative<BatchNorm>(node.op)) return 2 * std::int64_t{node.shape.channels};
  return filter_elements(graph, node) + (has_bias(node.op) ? node.shape.channels : 0);
}

Footprint count(const Graph& graph) {
  Footprint sum;
  const std::vector<NodeId> last = last_uses(graph);
  for (NodeId id = 0; id < graph.size(); ++id) {
    sum.params += count_params(graph, id);
    sum.macs += count_macs(graph, id);
    const std::int64_t filter = filter_elements(graph, graph.node(id));
    sum.filter_elements += filter;
    if (filter > 0) sum.filter_channels += graph.node(id).shape.channels;
    std::int64_t live = works_in_place(graph.node(id).op) || id == 0 ? 0 : graph.node(id).shape.elements();
    for (NodeId other = 0; other < id; ++other) {
      if (last[static_cast<std::size_t>(other)] >= id) live += graph.node(other).shape.elements();
    }
    sum.peak_activation_bytes = std::max(sum.peak_activation_bytes, live);
  }
  return sum;
}

}  // namespace mcufit
