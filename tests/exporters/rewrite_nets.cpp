// SPDX-License-Identifier: Apache-2.0
#include "tests/exporters/rewrite_nets.h"

#include <gtest/gtest.h>

#include <cmath>

#include "cost-models/count.h"
#include "exporters/interpreter.h"

namespace mcufit::testing {
namespace {

using Bytes = std::vector<std::int8_t>;

std::int64_t filter_bytes(const QuantizedGraph& graph) {
  std::int64_t bytes = 0;
  for (const QuantizedNode& node : graph.nodes) bytes += static_cast<std::int64_t>(node.filter.size());
  return bytes;
}

// Random bytes, and images of one byte, which drive sums to their ends.
std::vector<Bytes> inputs_for(const QuantizedGraph& graph, std::uint64_t seed) {
  Random random(seed, {77});
  const std::int64_t elements = graph.graph.input_shape().elements();
  std::vector<Bytes> inputs;
  for (int i = 0; i < 4; ++i) inputs.push_back(random_bytes(random, elements));
  for (const std::int8_t value : {std::int8_t{-128}, std::int8_t{127}})
    inputs.emplace_back(static_cast<std::size_t>(elements), value);
  return inputs;
}

}  // namespace

Rewritten proven(const QuantizedGraph& graph, const RewriteOptions& options) {
  const Rewritten result = rewrite(graph, options);
  verify(result.graph);
  for (const Bytes& input : inputs_for(graph, 1))
    EXPECT_EQ(interpret(result.graph, input).back(), interpret(graph, input).back());
  RewriteReport sum;
  for (const RewriteReport& report : result.reports) {
    sum.nodes_removed += report.nodes_removed;
    sum.macs_saved += report.macs_saved;
    sum.weights_bytes_saved += report.weights_bytes_saved;
  }
  EXPECT_EQ(sum.nodes_removed, graph.graph.size() - result.graph.graph.size());
  EXPECT_EQ(sum.macs_saved, count(graph.graph).macs - count(result.graph.graph).macs);
  EXPECT_EQ(sum.macs_saved, result.macs_before - result.macs_after);
  EXPECT_EQ(sum.weights_bytes_saved, filter_bytes(graph) - filter_bytes(result.graph));
  EXPECT_EQ(result.graph.graph.output_shape(), graph.graph.output_shape());
  return result;
}

QuantizedGraph CalmNet::finish() {
  QuantizedGraph graph = grown_.finish();
  for (NodeId id = 1; id < graph.graph.size(); ++id) calm(graph, id);
  for (const Kill& k : kills_) erase(graph, k, false);
  for (const Kill& k : ignored_) erase(graph, k, true);
  verify(graph);
  return graph;
}

// Multipliers that spread sums over int8.
void CalmNet::calm(QuantizedGraph& graph, NodeId id) {
  QuantizedNode& q = graph.nodes[static_cast<std::size_t>(id)];
  if (q.filter.empty()) return;
  const double taps = static_cast<double>(q.filter.size()) / static_cast<double>(q.filter_scales.size());
  for (float& scale : q.filter_scales) scale = static_cast<float>(1 / (70 * std::sqrt(taps)));
  for (auto& bias : q.bias) bias = static_cast<std::int32_t>(random_.between(-300, 300));
}

void CalmNet::erase(QuantizedGraph& graph, const Kill& k, bool input) {
  QuantizedNode& q = graph.nodes[static_cast<std::size_t>(k.id)];
  const Node& node = graph.graph.node(k.id);
  const bool depthwise = std::holds_alternative<DepthwiseConv2d>(node.op);
  const auto outputs = static_cast<std::size_t>(node.shape.channels);
  const auto in = static_cast<std::size_t>(graph.graph.node(node.inputs[0]).shape.channels);
  for (std::size_t i = 0; i < q.filter.size(); ++i) {
    const std::size_t output = depthwise ? i % outputs : i / (q.filter.size() / outputs);
    if ((input ? i % in : output) == static_cast<std::size_t>(k.channel)) q.filter[i] = 0;
  }
  if (input) return;
  const double multiplier = double{kCalm.scale} * q.filter_scales[0] / double{q.output.scale};
  q.bias[static_cast<std::size_t>(k.channel)] =
      static_cast<std::int32_t>(std::round((k.value - q.output.zero_point) / multiplier));
}

}  // namespace mcufit::testing
