// SPDX-License-Identifier: Apache-2.0
#include "exporters/rewrite/dead_channels.h"

#include <algorithm>
#include <cstdlib>

#include "exporters/rewrite/passes.h"

namespace mcufit {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

bool all_of(const std::vector<bool>& flags) {
  return std::find(flags.begin(), flags.end(), false) == flags.end();
}

// How a node's output channels hang together with its inputs'.
enum class Coupling {
  mixed,        // every output channel is a sum over input channels
  channelwise,  // each output channel is made of certain input channels
  whole         // no channel can go
};

template <typename T>
concept Mixing = AnyOf<T, Conv2d, FullyConnected>;
template <typename T>
concept Keeping = AnyOf<T, Input, Softmax, BatchNorm>;
template <typename T>
concept Channelwise = AnyOf<T, DepthwiseConv2d, Activate, Add, Mul, AveragePool2d, MaxPool2d, Mean,
                            Concatenation, Pad, ResizeNearestNeighbor>;

Coupling coupling(const Graph& graph, const Node& node) {
  return std::visit(overloaded{
                        [](const Mixing auto&) { return Coupling::mixed; },
                        [](const Keeping auto&) { return Coupling::whole; },
                        [](const Channelwise auto&) { return Coupling::channelwise; },
                        [&](const Reshape&) {
                          const bool same = graph.node(node.inputs[0]).shape.channels == node.shape.channels;
                          return same ? Coupling::channelwise : Coupling::whole;
                        },
                    },
                    node.op);
}

// The first output channel that is made of the first channel of an operand, and how many each channel makes.
struct Span {
  std::int32_t first = 0, each = 1;
};
Span span_of(const Graph& graph, const Node& node, std::size_t operand) {
  if (const auto* d = std::get_if<DepthwiseConv2d>(&node.op)) return {0, d->multiplier};
  if (const auto* p = std::get_if<Pad>(&node.op)) return {p->channels_before, 1};
  const auto* c = std::get_if<Concatenation>(&node.op);
  if (c == nullptr || c->axis != Axis::channels) return {};
  Span span;
  for (std::size_t i = 0; i < operand; ++i) span.first += graph.node(node.inputs[i]).shape.channels;
  return span;
}

class Search {
 public:
  Search(const QuantizedGraph& graph, const std::vector<std::vector<ByteRange>>& ranges)
      : graph_(graph), ranges_(ranges) {
    for (const Node& node : graph.graph.nodes) dead_.emplace_back(index(node.shape.channels), true);
    dead_.back().assign(dead_.back().size(), false);
    for (NodeId id = 0; id < graph.graph.size(); ++id)
      if (coupling(graph.graph, graph.graph.node(id)) == Coupling::whole) revive_around(id);
  }

  // From "all are dead", channels are revived until nothing contradicts.
  DeadChannels run() {
    do {
      do {
        changed_ = false;
        for (NodeId id = graph_.graph.size() - 1; id > 0; --id) settle(id);
      } while (changed_);
      keep_one_everywhere();
    } while (changed_);
    return dead_;
  }

 private:
  void revive(NodeId id, std::size_t channel) {
    if (!dead_[index(id)][channel]) return;
    dead_[index(id)][channel] = false;
    changed_ = true;
  }

  void revive_around(NodeId id) {
    for (std::size_t c = 0; c < dead_[index(id)].size(); ++c) revive(id, c);
    for (const NodeId from : graph_.graph.node(id).inputs)
      for (std::size_t c = 0; c < dead_[index(from)].size(); ++c) revive(from, c);
  }

  void settle(NodeId id) {
    const Node& node = graph_.graph.node(id);
    switch (coupling(graph_.graph, node)) {
      case Coupling::mixed:
        return settle_mixed(id);
      case Coupling::channelwise:
        for (std::size_t operand = 0; operand < node.inputs.size(); ++operand) settle_channels(id, operand);
        return;
      case Coupling::whole:
        return;
    }
  }

  // Weights that lead to dead outputs do not count.
  void settle_mixed(NodeId id) {
    const Node& node = graph_.graph.node(id);
    const NodeId from = node.inputs[0];
    const auto* conv = std::get_if<Conv2d>(&node.op);
    const bool padded = conv != nullptr && conv->window.padding != Padding{};
    const std::vector<std::int8_t>& filter = graph_.node(id).filter;
    for (std::size_t i = 0; i < filter.size(); ++i) {
      const FilterPlace place = filter_place(graph_.graph, id, i);
      if (filter[i] == 0 || dead_[index(id)][place.output]) continue;
      const ByteRange& range = ranges_[index(from)][place.input];
      const bool at_zero = range.least == graph_.node(from).output.zero_point;
      if (!range.constant() || (padded && !at_zero)) revive(from, place.input);
    }
  }

  void settle_channels(NodeId id, std::size_t operand) {
    const Node& node = graph_.graph.node(id);
    const NodeId from = node.inputs[operand];
    const Span span = span_of(graph_.graph, node, operand);
    for (std::size_t c = 0; c < dead_[index(from)].size(); ++c)
      for (std::size_t k = 0; k < index(span.each); ++k) {
        const std::size_t output = index(span.first) + c * index(span.each) + k;
        if (!dead_[index(id)][output]) revive(from, c);
        if (!dead_[index(from)][c]) revive(id, output);
      }
  }

  bool vanishes(NodeId id) const { return all_of(dead_[index(id)]); }

  // A node may lose all channels when all its readers do, or are concatenations that do not.
  void keep_one_everywhere() {
    const Graph& g = graph_.graph;
    std::vector<bool> may(g.nodes.size(), true);
    for (NodeId id = g.size() - 1; id > 0; --id) {
      const auto* c = std::get_if<Concatenation>(&g.node(id).op);
      const bool drops_inputs = c != nullptr && c->axis == Axis::channels;
      const bool vanished = vanishes(id) && may[index(id)];
      if (vanishes(id) && !may[index(id)]) revive(id, 0);
      if (!vanished && !drops_inputs)
        for (const NodeId from : g.node(id).inputs) may[index(from)] = false;
    }
  }

  const QuantizedGraph& graph_;
  const std::vector<std::vector<ByteRange>>& ranges_;
  DeadChannels dead_;
  bool changed_ = false;
};

}  // namespace

DeadChannels find_dead_channels(const QuantizedGraph& graph,
                                const std::vector<std::vector<ByteRange>>& ranges) {
  return Search(graph, ranges).run();
}

void remove_dead_channels(QuantizedGraph& graph) {
  const auto ranges = channel_ranges(graph);
  const DeadChannels dead = find_dead_channels(graph, ranges);
  const bool none = std::all_of(dead.begin(), dead.end(), [](const std::vector<bool>& flags) {
    return std::find(flags.begin(), flags.end(), true) == flags.end();
  });
  if (!none) graph = without(graph, dead, ranges);
}

}  // namespace mcufit
