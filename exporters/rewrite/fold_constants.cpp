// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <optional>

#include "exporters/interpreter.h"
#include "exporters/lookup.h"
#include "exporters/rewrite/edit.h"
#include "exporters/rewrite/passes.h"
#include "exporters/rewrite/ranges.h"

namespace mcufit {
namespace {

using Table = std::array<std::int8_t, 256>;
using Ranges = std::vector<ByteRange>;

bool same_within(const Table& a, const Table& b, ByteRange range) {
  for (std::int32_t x = range.least; x <= range.most; ++x)
    if (a[lookup_index(x)] != b[lookup_index(x)]) return false;
  return true;
}

// What the node gives for each byte of the other operand where `constant` holds `value`, asked of the judge.
Table with_constant(const QuantizedGraph& graph, NodeId id, std::size_t constant, std::int8_t value) {
  const Node& node = graph.graph.node(id);
  const Shape bytes{1, 1, 256};
  QuantizedGraph alone;
  alone.graph.nodes = {{Input{bytes}, {}, bytes, "first"},
                       {Input{bytes}, {}, bytes, "second"},
                       {node.op, {0, 1}, bytes, "op"}};
  alone.nodes = {{graph.node(node.inputs[0]).output, {}, {}, {}},
                 {graph.node(node.inputs[1]).output, {}, {}, {}},
                 graph.node(id)};
  std::vector<std::vector<std::int8_t>> values(3, std::vector<std::int8_t>(256, value));
  for (std::size_t i = 0; i < 256; ++i)
    values[1 - constant][i] = static_cast<std::int8_t>(static_cast<std::int32_t>(i) - 128);
  node_interpreter(alone, 2)(values);
  Table table{};
  std::copy(values[2].begin(), values[2].end(), table.begin());
  return table;
}

Table every_byte() {
  Table table{};
  for (std::size_t i = 0; i < table.size(); ++i)
    table[i] = static_cast<std::int8_t>(static_cast<std::int32_t>(i) - 128);
  return table;
}

// The table of an `activate` node in place of node `id` that reads `from`; none where that is not allowed.
std::optional<Table> activate_table(const QuantizedGraph& graph, NodeId id, NodeId from,
                                    Activation activation) {
  const Quantization &in = graph.node(from).output, &out = graph.node(id).output;
  // 255 rescaled must stay in range; with fewer bits than verify() accepts.
  if (activation == Activation::relu6 ? in != out : in.scale / out.scale > 0x1p20F) return std::nullopt;
  const Shape shape = graph.graph.node(from).shape;
  QuantizedGraph alone;
  alone.graph.nodes = {{Input{shape}, {}, shape, "input"}, {Activate{activation}, {0}, shape, "op"}};
  alone.nodes = {{in, {}, {}, {}}, {out, {}, {}, {}}};
  return lookup_table(alone, 1);
}

// An add or mul of which one operand is the same for every input, and the other one's ranges.
struct Foldable {
  NodeId id, variable;
  std::vector<Table> channels;
  const Ranges& ranges;

  bool equals(const Table& table) const {
    for (std::size_t c = 0; c < channels.size(); ++c)
      if (!same_within(channels[c], table, ranges[c])) return false;
    return true;
  }
};

bool fold(QuantizedGraph& graph, const Foldable& f) {
  if (graph.node(f.id).output == graph.node(f.variable).output && f.equals(every_byte()) &&
      replace(graph, f.id, f.variable))
    return true;
  for (const Activation activation : {Activation::none, Activation::relu, Activation::relu6}) {
    const auto table = activate_table(graph, f.id, f.variable, activation);
    if (!table || !f.equals(*table)) continue;
    Node& node = graph.graph.nodes[static_cast<std::size_t>(f.id)];
    node.op = Activate{activation};
    node.inputs = {f.variable};
    drop_unread(graph);
    return true;
  }
  return false;
}

bool all_constant(const Ranges& ranges) {
  return std::all_of(ranges.begin(), ranges.end(), [](const ByteRange& r) { return r.constant(); });
}

bool fold_operand(QuantizedGraph& graph, NodeId id, std::size_t constant, const std::vector<Ranges>& all) {
  const Node& node = graph.graph.node(id);
  const NodeId variable = node.inputs[1 - constant];
  if (variable == node.inputs[constant] || graph.graph.node(variable).shape != node.shape) return false;
  const Ranges& ranges = all[static_cast<std::size_t>(node.inputs[constant])];
  if (!all_constant(ranges)) return false;
  Foldable f{id, variable, {}, all[static_cast<std::size_t>(variable)]};
  for (const ByteRange& range : ranges)
    f.channels.push_back(with_constant(graph, id, constant, static_cast<std::int8_t>(range.least)));
  return fold(graph, f);
}

bool fold_one(QuantizedGraph& graph) {
  const auto all = channel_ranges(graph);
  for (NodeId id = 1; id < graph.graph.size(); ++id) {
    const Op& op = graph.graph.node(id).op;
    if (!std::holds_alternative<Add>(op) && !std::holds_alternative<Mul>(op)) continue;
    if (fold_operand(graph, id, 0, all) || fold_operand(graph, id, 1, all)) return true;
  }
  return false;
}

}  // namespace

void fold_constants(QuantizedGraph& graph) {
  while (fold_one(graph)) {
  }
}

}  // namespace mcufit
