// SPDX-License-Identifier: Apache-2.0
// fuse_pad, fuse_activation and remove_identity.
#include <algorithm>
#include <array>
#include <optional>

#include "exporters/interpreter.h"
#include "exporters/lookup.h"
#include "exporters/rewrite/edit.h"
#include "exporters/rewrite/passes.h"

namespace mcufit {
namespace {

// The window of an op that reads its padding as zero.
Window* zero_padded_window(Op& op) {
  return std::visit(
      overloaded{[](Conv2d& c) { return &c.window; }, [](DepthwiseConv2d& d) { return &d.window; },
                 [](auto&) -> Window* { return nullptr; }},
      op);
}

Activation* fused_activation(Op& op) {
  return std::visit(
      [](auto& o) -> Activation* {
        if constexpr (std::is_same_v<decltype(o), Activate&> || !requires { o.activation; }) {
          return nullptr;
        } else {
          return &o.activation;
        }
      },
      op);
}

// A window's padding must stay smaller than its span.
bool fits(const Window& w, const Padding& p) {
  return std::max(p.top, p.bottom) < w.span_height() && std::max(p.left, p.right) < w.span_width();
}

bool fuse_pad_into_reader(QuantizedGraph& graph, NodeId id) {
  const auto* pad = std::get_if<Pad>(&graph.graph.node(id).op);
  if (pad == nullptr || pad->channels_before != 0 || pad->channels_after != 0) return false;
  if (pad_value(graph, id) != graph.node(id).output.zero_point) return false;
  const std::vector<NodeId> readers = readers_of(graph.graph, id);
  if (readers.size() != 1) return false;
  Window* window = zero_padded_window(graph.graph.nodes[static_cast<std::size_t>(readers[0])].op);
  if (window == nullptr) return false;
  const Padding &a = window->padding, &b = pad->padding;
  const Padding both{a.top + b.top, a.bottom + b.bottom, a.left + b.left, a.right + b.right};
  if (!fits(*window, both)) return false;
  window->padding = both;
  return replace(graph, id, graph.graph.node(id).inputs[0]);
}

// The activation that clamps as `before` and then the table do, if there is one.
std::optional<Activation> fused(Activation before, const std::array<std::int8_t, 256>& table,
                                Quantization output) {
  const ClampRange first = clamp_range(before, output);
  for (const Activation candidate : {Activation::none, Activation::relu, Activation::relu6}) {
    const ClampRange range = clamp_range(candidate, output);
    bool same = true;
    for (std::int32_t x = -128; x <= 127; ++x)
      same = same && table[lookup_index(std::clamp(x, first.minimum, first.maximum))] ==
                         std::clamp(x, range.minimum, range.maximum);
    if (same) return candidate;
  }
  return std::nullopt;
}

bool fuse_into_producer(QuantizedGraph& graph, NodeId id) {
  if (!std::holds_alternative<Activate>(graph.graph.node(id).op)) return false;
  const NodeId from = graph.graph.node(id).inputs[0];
  const Quantization output = graph.node(id).output;
  Activation* activation = fused_activation(graph.graph.nodes[static_cast<std::size_t>(from)].op);
  if (activation == nullptr || graph.node(from).output != output) return false;
  if (readers_of(graph.graph, from).size() != 1) return false;
  const std::optional<Activation> both = fused(*activation, lookup_table(graph, id), output);
  if (!both || !replace(graph, id, from)) return false;
  *activation = *both;
  return true;
}

// True where each output element depends on the input element in the same place alone.
bool element_wise(const Op& op, const Shape& in, const Shape& out) {
  const auto single = [](const Window& w) { return w.taps() == 1; };
  return in == out &&
         std::visit(overloaded{[](const Activate&) { return true; },
                               [](const Mean&) { return true; },  // over extents of 1, as the shape stays
                               [&](const AveragePool2d& p) { return single(p.window); },
                               [&](const MaxPool2d& p) { return single(p.window); },
                               [](const auto&) { return false; }},
                    op);
}

// Whether an element-wise node gives back each of the 256 bytes, asked of the judge.
bool keeps_every_byte(const QuantizedGraph& graph, NodeId id) {
  const Shape bytes{1, 1, 256};
  QuantizedGraph alone;
  alone.graph.nodes = {{Input{bytes}, {}, bytes, "input"}, {graph.graph.node(id).op, {0}, bytes, "op"}};
  alone.nodes = {{graph.node(graph.graph.node(id).inputs[0]).output, {}, {}, {}}, graph.node(id)};
  std::vector<std::int8_t> every;
  for (std::int32_t x = -128; x <= 127; ++x) every.push_back(static_cast<std::int8_t>(x));
  return interpret(alone, every).back() == every;
}

bool copies_every_pixel(const ResizeNearestNeighbor& r, const Shape& in) {
  const auto straight = [](const std::vector<std::int32_t>& sources) {
    for (std::size_t i = 0; i < sources.size(); ++i)
      if (sources[i] != static_cast<std::int32_t>(i)) return false;
    return true;
  };
  return straight(nearest_sources(r, in.height, r.height)) && straight(nearest_sources(r, in.width, r.width));
}

bool is_identity(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  if (node.inputs.empty() || graph.node(id).output != graph.node(node.inputs[0]).output) return false;
  const Shape& in = graph.graph.node(node.inputs[0]).shape;
  if (element_wise(node.op, in, node.shape)) return keeps_every_byte(graph, id);
  const auto flattened_later = [&] {
    const auto readers = readers_of(graph.graph, id);
    return !readers.empty() && std::all_of(readers.begin(), readers.end(), [&](NodeId reader) {
      return std::holds_alternative<FullyConnected>(graph.graph.node(reader).op);
    });
  };
  return std::visit(overloaded{[&](const Reshape&) { return in == node.shape || flattened_later(); },
                               [&](const Concatenation&) { return node.inputs.size() == 1; },
                               [&](const Pad&) { return in == node.shape; },
                               [&](const ResizeNearestNeighbor& r) {
                                 return in == node.shape && copies_every_pixel(r, in);
                               },
                               [](const auto&) { return false; }},
                    node.op);
}

// Calls visit(graph, id) for each node but the input; a visit that changes the graph is repeated.
template <typename Visit>
void each_node(QuantizedGraph& graph, const Visit& visit) {
  for (NodeId id = 1; id < graph.graph.size();)
    if (!visit(graph, id)) ++id;
}

}  // namespace

void fuse_pad(QuantizedGraph& graph) { each_node(graph, fuse_pad_into_reader); }

void fuse_activation(QuantizedGraph& graph) { each_node(graph, fuse_into_producer); }

void remove_identity(QuantizedGraph& graph) {
  each_node(graph, [](QuantizedGraph& g, NodeId id) {
    return is_identity(g, id) && replace(g, id, g.graph.node(id).inputs[0]);
  });
}

}  // namespace mcufit
