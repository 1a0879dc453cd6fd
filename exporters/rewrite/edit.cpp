// SPDX-License-Identifier: Apache-2.0
#include "exporters/rewrite/edit.h"

#include <algorithm>
#include <utility>

namespace mcufit {

std::vector<NodeId> readers_of(const Graph& graph, NodeId id) {
  std::vector<NodeId> readers;
  for (NodeId reader = id + 1; reader < graph.size(); ++reader) {
    const std::vector<NodeId>& inputs = graph.node(reader).inputs;
    readers.insert(readers.end(), static_cast<std::size_t>(std::count(inputs.begin(), inputs.end(), id)),
                   reader);
  }
  return readers;
}

void drop_unread(QuantizedGraph& graph) {
  std::vector<Node>& nodes = graph.graph.nodes;
  std::vector<bool> used(nodes.size(), false);
  used.front() = used.back() = true;
  for (std::size_t i = nodes.size(); i-- > 0;)
    for (const NodeId from : nodes[i].inputs)
      if (used[i]) used[static_cast<std::size_t>(from)] = true;
  std::vector<NodeId> place(nodes.size());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!used[i]) continue;
    place[i] = static_cast<NodeId>(kept);
    for (NodeId& from : nodes[i].inputs) from = place[static_cast<std::size_t>(from)];
    if (kept != i) {
      nodes[kept] = std::move(nodes[i]);
      graph.nodes[kept] = std::move(graph.nodes[i]);
    }
    ++kept;
  }
  nodes.resize(kept);
  graph.nodes.resize(kept);
}

bool replace(QuantizedGraph& graph, NodeId id, NodeId by) {
  if (id + 1 == graph.graph.size()) {
    if (by + 1 != id || by == 0) return false;
    graph.graph.nodes.pop_back();
    graph.nodes.pop_back();
  }
  for (Node& node : graph.graph.nodes) std::replace(node.inputs.begin(), node.inputs.end(), id, by);
  drop_unread(graph);
  return true;
}

void infer_shapes(Graph& graph) {
  for (Node& node : graph.nodes) {
    std::vector<Shape> shapes;
    for (const NodeId from : node.inputs) shapes.push_back(graph.node(from).shape);
    node.shape = infer_shape(node.op, shapes, node.name);
  }
}

}  // namespace mcufit
