// SPDX-License-Identifier: Apache-2.0
#include "tests/exporters/sample_network.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <cmath>

#include "blocks/builder.h"
#include "blocks/foundation/random.h"
#include "blocks/lower.h"
#include "blocks/weights.h"
#include "cost-models/layout.h"
#include "exporters/interpreter.h"
#include "exporters/quantize.h"

namespace mcufit::testing {
namespace {

// Every op that has an int8 form.
Graph sample_graph() {
  GraphBuilder b("sample", {9, 11, 3});
  NodeId x = b.conv2d("stem", b.input(), 8, square_window(3, 2, 1));
  x = b.norm_act("stem", x, Activation::relu6);
  const NodeId shortcut = x;
  x = b.depthwise_conv2d("depthwise", x, square_window(3, 1, 1));
  x = b.norm_act("depthwise", x, Activation::relu);
  x = b.pointwise("project", x, 8);
  x = b.batch_norm("project_norm", x);
  x = b.add("residual", shortcut, x);
  x = b.max_pool2d("max_pool", x, square_window(2, 1, 0));
  x = b.activate("swish", b.pointwise("head", x, 13), Activation::hard_swish);
  const NodeId gate = b.activate("gate", b.pointwise("squeeze", b.mean("mean", x), 13), Activation::sigmoid);
  x = b.pad("pad", b.mul("excite", x, gate), {1, 0, 0, 2});
  x = b.concatenation("join", {x, b.max_pool2d("again", x, square_window(1, 1, 0))}, Axis::channels);
  x = b.resize_nearest_neighbor("resize", x, 4, 5);
  x = b.reshape("reshape", x, {5, 4, 26});
  x = b.global_average_pool("average_pool", x);
  b.softmax("softmax", b.fully_connected("classifier", x, 5));
  return b.finish();
}

bool keeps_scale(const Op& op) {
  return std::visit(
      []<typename T>(const T&) {
        return AnyOf<T, AveragePool2d, MaxPool2d, Concatenation, Pad, Reshape, ResizeNearestNeighbor>;
      },
      op);
}

bool is_sigmoid(const Op& op) { return op == Op(Activate{Activation::sigmoid}); }

// Scales near those of trained networks, so that outputs spread over int8 instead of sticking to its ends.
QuantizedNode random_node(const Node& node, const NodeWeights& w, Random& random) {
  QuantizedNode q;
  q.output = {0.02F + 0.02F * static_cast<float>(random.unit()),
              static_cast<std::int32_t>(random.between(-20, 20))};
  if (std::holds_alternative<Softmax>(node.op) || is_sigmoid(node.op)) q.output = kUnitOutput;
  // Gated values are small; and a classifier has to tell them apart.
  if (std::holds_alternative<Mul>(node.op)) q.output.scale /= 4;
  const double gain = std::holds_alternative<FullyConnected>(node.op) ? 8 : 1;
  const auto channels = static_cast<std::size_t>(node.shape.channels);
  for (std::size_t i = 0; i < w.filter.size(); ++i)
    q.filter.push_back(static_cast<std::int8_t>(random.between(-127, 127)));
  for (std::size_t i = 0; i < w.bias.size(); ++i)
    q.bias.push_back(static_cast<std::int32_t>(random.between(-3000, 3000)));
  const double taps = w.filter.empty() ? 1 : static_cast<double>(w.filter.size() / channels);
  for (std::size_t i = 0; i < channels && !w.filter.empty(); ++i) {
    q.filter_scales.push_back(static_cast<float>(gain * (0.005 + 0.01 * random.unit()) / taps));
  }
  return q;
}

}  // namespace

QuantizedGraph random_integers(const Graph& graph, std::uint64_t seed) {
  Random random(seed);
  const Lowered lowered = lower(graph, zero_weights(graph));
  QuantizedGraph quantized{lowered.graph, {}};
  for (NodeId id = 0; id < lowered.graph.size(); ++id) {
    const Node& node = lowered.graph.node(id);
    quantized.nodes.push_back(random_node(node, lowered.weights.nodes[static_cast<std::size_t>(id)], random));
    if (keeps_scale(node.op)) quantized.nodes.back().output = quantized.node(node.inputs.front()).output;
  }
  verify(quantized);
  return quantized;
}

QuantizedGraph sample_network(std::uint64_t seed) { return random_integers(sample_graph(), seed); }

QuantizedGraph sized_network(Random& random, const Graph& graph, std::span<const std::int8_t> sample) {
  constexpr Quantization kImage{1.0F / 255.0F, -128};
  Lowered net{graph, zero_weights(graph)};
  for (NodeId id = 0; id < graph.size(); ++id) {
    NodeWeights& w = net.weights.nodes[static_cast<std::size_t>(id)];
    const double taps = static_cast<double>(w.filter.size()) / graph.node(id).shape.channels;
    for (float& f : w.filter) f = static_cast<float>((random.unit() * 2 - 1) * 2.5 / std::sqrt(taps));
    for (float& f : w.bias) f = static_cast<float>(random.unit() - 0.5);
  }
  std::vector<float> real;
  for (const std::int8_t byte : sample)
    real.push_back(kImage.scale * static_cast<float>(byte - kImage.zero_point));
  return quantize(net, observe_ranges(net, {real}), kImage);
}

std::vector<TestVector> sample_vectors(const QuantizedGraph& graph, std::size_t count, std::uint64_t seed) {
  Random random(seed, {1});
  std::vector<TestVector> vectors(count);
  for (TestVector& vector : vectors) {
    for (std::int64_t i = 0; i < graph.graph.input_shape().elements(); ++i) {
      vector.input.push_back(static_cast<std::int8_t>(random.between(-128, 127)));
    }
    vector.output = interpret(graph, vector.input).back();
  }
  return vectors;
}

Target sample_target(const std::string& core, bool fpu) {
  Target target;
  target.name = "sample_" + core;
  target.board = "a board of the tests";
  target.core = core;
  target.fpu = fpu;
  target.clock_hz = 64'000'000;
  target.flash_bytes = 64 << 10;
  target.ram_bytes = 16 << 10;
  target.source = "made for tests";
  return target;
}

CodeSizesForTarget no_code_sizes() {
  CodeSizesForTarget code;
  for (const std::string& kernel : kernels_of(lower(sample_graph()))) code.sizes.kernels[kernel] = {};
  for (const std::string_view kernel : {kRowOrder, kInputRow}) code.sizes.kernels[std::string(kernel)] = {};
  for (const char* kernel : {"mean_rows_s8", "average_pool2d_rows_s8"}) code.sizes.kernels[kernel] = {};
  return code;
}

TestFolder::TestFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "mcufit-test.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed: " + name);
  path_ = name;
}

TestFolder::~TestFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace mcufit::testing
