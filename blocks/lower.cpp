// SPDX-License-Identifier: Apache-2.0
#include "blocks/lower.h"

#include <fmt/format.h>

#include <cmath>

#include "blocks/foundation/error.h"

namespace mcufit {
namespace {

// How many nodes read each node.
std::vector<int> reader_counts(const Graph& graph) {
  std::vector<int> counts(graph.nodes.size(), 0);
  for (const Node& node : graph.nodes) {
    for (const NodeId from : node.inputs) ++counts[static_cast<std::size_t>(from)];
  }
  return counts;
}

// The activation slot of an op that can take one, else null.
Activation* fusable(Op& op) {
  return std::visit(
      overloaded{[](Conv2d& c) { return &c.activation; }, [](DepthwiseConv2d& d) { return &d.activation; },
                 [](FullyConnected& f) { return &f.activation; }, [](Add& a) { return &a.activation; },
                 [](Mul& m) { return &m.activation; }, [](auto&) -> Activation* { return nullptr; }},
      op);
}

// Kernels clamp as they write; every other activation is a step of its own.
bool is_clamp(Activation activation) {
  return activation == Activation::relu || activation == Activation::relu6;
}

// Where batch-norm can go: the bias flag of a convolution or fully-connected layer without activation yet.
bool* foldable(Op& op) {
  const auto slot = [](auto& o) { return o.activation == Activation::none ? &o.bias : nullptr; };
  return std::visit(
      overloaded{[&](Conv2d& c) { return slot(c); }, [&](DepthwiseConv2d& d) { return slot(d); },
                 [&](FullyConnected& f) { return slot(f); }, [](auto&) -> bool* { return nullptr; }},
      op);
}

// Kernels always add a bias, so that a layer without one gets zeros.
void give_bias(Node& node, NodeWeights* weights) {
  bool* bias = foldable(node.op);
  if (bias == nullptr || *bias) return;
  *bias = true;
  if (weights != nullptr) weights->bias.assign(static_cast<std::size_t>(node.shape.channels), 0.0F);
}

// Scales each output channel of `target` and gives it the bias that batch-norm adds. In [kh][kw][channel] the
// output channel is innermost, in the other layouts outermost.
void fold(NodeWeights& target, const NodeWeights& norm, float epsilon, bool channel_innermost) {
  const std::size_t channels = norm.gamma.size();
  const std::size_t per_channel = target.filter.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    const double scale = norm.gamma[c] / std::sqrt(static_cast<double>(norm.variance[c]) + epsilon);
    for (std::size_t k = 0; k < per_channel; ++k) {
      float& value = target.filter[channel_innermost ? k * channels + c : c * per_channel + k];
      value = static_cast<float>(value * scale);
    }
    target.bias[c] = static_cast<float>(norm.beta[c] + (target.bias[c] - norm.mean[c]) * scale);
  }
}

// One pass over the graph; `weights` may be null.
Graph lower_into(const Graph& graph, const Weights* weights, Weights* lowered_weights) {
  const std::vector<int> readers = reader_counts(graph);
  Graph lowered{graph.name, {}};
  std::vector<NodeId> moved(graph.nodes.size());  // where a node's value is found in the lowered graph
  const auto absorb_into = [&](NodeId id) -> Node* {
    const NodeId from = graph.node(id).inputs[0];
    // A value that somebody else reads too must stay as it is.
    if (readers[static_cast<std::size_t>(from)] != 1) return nullptr;
    moved[static_cast<std::size_t>(id)] = moved[static_cast<std::size_t>(from)];
    return &lowered.nodes[static_cast<std::size_t>(moved[static_cast<std::size_t>(from)])];
  };
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (const auto* norm = std::get_if<BatchNorm>(&node.op)) {
      Node* before = absorb_into(id);
      bool* bias = before == nullptr ? nullptr : foldable(before->op);
      if (bias == nullptr) {
        throw Error(ExitCode::input,
                    fmt::format("{}: a batch_norm must directly follow a convolution or fully-connected "
                                "layer that nothing else reads",
                                node.name));
      }
      if (weights != nullptr) {
        fold(lowered_weights->nodes[static_cast<std::size_t>(moved[static_cast<std::size_t>(id)])],
             weights->nodes[static_cast<std::size_t>(id)], norm->epsilon,
             std::holds_alternative<DepthwiseConv2d>(before->op));
      }
      continue;
    }
    if (const auto* act = std::get_if<Activate>(&node.op); act != nullptr && is_clamp(act->activation)) {
      Node* before = absorb_into(id);
      Activation* slot = before == nullptr ? nullptr : fusable(before->op);
      if (slot != nullptr && *slot == Activation::none) {
        *slot = act->activation;
        continue;
      }
    }
    Node copy = node;
    for (NodeId& from : copy.inputs) from = moved[static_cast<std::size_t>(from)];
    moved[static_cast<std::size_t>(id)] = lowered.size();
    lowered.nodes.push_back(std::move(copy));
    if (weights != nullptr) lowered_weights->nodes.push_back(weights->nodes[static_cast<std::size_t>(id)]);
    give_bias(lowered.nodes.back(), weights == nullptr ? nullptr : &lowered_weights->nodes.back());
  }
  verify(lowered);
  return lowered;
}

}  // namespace

Graph lower(const Graph& graph) { return lower_into(graph, nullptr, nullptr); }

Lowered lower(const Graph& graph, const Weights& weights) {
  verify(weights, graph);
  Lowered result;
  result.graph = lower_into(graph, &weights, &result.weights);
  verify(result.weights, result.graph);
  return result;
}

}  // namespace mcufit
