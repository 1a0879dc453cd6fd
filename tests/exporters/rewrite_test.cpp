// SPDX-License-Identifier: Apache-2.0
// Rewrites change no output byte: both graphs are run.
#include "exporters/rewrite.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "cost-models/count.h"
#include "exporters/fast_interpreter.h"
#include "exporters/interpreter.h"
#include "exporters/tflite/import.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/random_nets.h"

namespace mcufit::testing {
namespace {

using Bytes = std::vector<std::int8_t>;

constexpr Quantization kCalm{0.05F, -3};

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

// Rewrites and proves: equal bytes, and savings that are the difference of both graphs.
Rewritten proven(const QuantizedGraph& graph, const RewriteOptions& options = {}) {
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

// A net whose channels all take many values, unless a test kills them.
class Net {
 public:
  explicit Net(Shape input) : random_(test_seed()), grown_(random_) { grown_.input(input, kCalm); }

  NodeId add(const Op& op, std::vector<NodeId> inputs, Quantization output = kCalm) {
    return grown_.append(op, std::move(inputs), output);
  }
  NodeId conv(NodeId from, std::int32_t channels, std::int32_t kernel = 1, std::int32_t padding = 0,
              Activation activation = Activation::none) {
    return add(Conv2d{channels, square_window(kernel, 1, padding), true, activation}, {from});
  }
  NodeId depthwise(NodeId from, std::int32_t padding) {
    return add(DepthwiseConv2d{square_window(3, 1, padding), true, Activation::none, 1}, {from});
  }
  // The channel holds `value` from now on.
  void kill(NodeId id, std::int32_t channel, std::int32_t value) { kills_.push_back({id, channel, value}); }
  // Nobody's weights of `id` read the input channel.
  void ignore(NodeId id, std::int32_t channel) { ignored_.push_back({id, channel, 0}); }

  QuantizedGraph finish() {
    QuantizedGraph graph = grown_.finish();
    for (NodeId id = 1; id < graph.graph.size(); ++id) calm(graph, id);
    for (const Kill& k : kills_) erase(graph, k, false);
    for (const Kill& k : ignored_) erase(graph, k, true);
    verify(graph);
    return graph;
  }

 private:
  struct Kill {
    NodeId id;
    std::int32_t channel, value;
  };

  // Multipliers that spread sums over int8.
  void calm(QuantizedGraph& graph, NodeId id) {
    QuantizedNode& q = graph.nodes[static_cast<std::size_t>(id)];
    if (q.filter.empty()) return;
    const double taps = static_cast<double>(q.filter.size()) / static_cast<double>(q.filter_scales.size());
    for (float& scale : q.filter_scales) scale = static_cast<float>(1 / (70 * std::sqrt(taps)));
    for (auto& bias : q.bias) bias = static_cast<std::int32_t>(random_.between(-300, 300));
  }

  static void erase(QuantizedGraph& graph, const Kill& k, bool input) {
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

  Random random_;
  RandomNet grown_;
  std::vector<Kill> kills_, ignored_;
};

std::int32_t channels(const Rewritten& r, NodeId id) { return r.graph.graph.node(id).shape.channels; }

TEST(Rewrite, NetsWithoutAnythingToRewriteStayAsTheyAre) {
  Net net({6, 6, 3});
  const NodeId a = net.conv(0, 5, 3, 1);
  net.add(Add{}, {net.conv(a, 5), a});
  const QuantizedGraph graph = net.finish();
  EXPECT_EQ(proven(graph).graph.graph, graph.graph);
}

TEST(Rewrite, PadsOfZerosBecomePadding) {
  for (const bool depthwise : {false, true}) {
    Net net({6, 7, 3});
    const NodeId pad = net.add(Pad{.padding = {0, 1, 2, 1}}, {0});
    const Window window{.kernel_height = 3, .kernel_width = 4, .padding = {1, 0, 1, 0}};
    if (depthwise)
      net.add(DepthwiseConv2d{.window = window, .bias = true}, {pad});
    else
      net.add(Conv2d{.output_channels = 4, .window = window, .bias = true}, {pad});
    const Rewritten result = proven(net.finish());
    EXPECT_EQ(result.graph.graph.size(), 2);
    EXPECT_EQ(result.reports[0], (RewriteReport{.pass = "fuse_pad", .nodes_removed = 1}));
  }
}

TEST(Rewrite, OtherPadsStay) {
  const auto size_with = [](const Pad& pad, bool read_twice, std::int32_t kernel) {
    Net net({6, 6, 3});
    const NodeId p = net.add(pad, {0});
    const NodeId a = net.conv(p, 4, kernel);
    if (read_twice) net.add(Add{}, {a, net.conv(p, 4, kernel)});
    return proven(net.finish()).graph.graph.size();
  };
  EXPECT_EQ(size_with({.padding = {1, 1, 1, 1}}, false, 3), 2);
  EXPECT_EQ(size_with({.padding = {1, 1, 1, 1}, .value = 1}, false, 3), 3);
  EXPECT_EQ(size_with({.padding = {1, 1, 1, 1}, .channels_after = 2}, false, 3), 2);  // dead channels first
  EXPECT_EQ(size_with({.padding = {1, 1, 1, 1}}, false, 1), 3);  // padding of a whole kernel is no padding
  EXPECT_EQ(size_with({.padding = {1, 1, 1, 1}}, true, 3), 5);
}

TEST(Rewrite, ActivationsThatClampAreFused) {
  for (const Activation activation : {Activation::relu, Activation::relu6}) {
    Net net({4, 4, 3});
    const NodeId a = net.add(Activate{activation}, {net.conv(0, 4)});
    const NodeId b = net.add(Activate{activation}, {net.add(Add{}, {a, net.conv(a, 4)})});
    net.add(Activate{activation}, {net.add(MaxPool2d{square_window(2, 1, 0)}, {b})});
    const Rewritten result = proven(net.finish());
    EXPECT_EQ(result.reports[1].nodes_removed, 3);
    EXPECT_EQ(std::get<Conv2d>(result.graph.graph.node(1).op).activation, activation);
    EXPECT_EQ(std::get<MaxPool2d>(result.graph.graph.nodes.back().op).activation, activation);
  }
}

TEST(Rewrite, ActivationsThatRescaleOrAreNotAloneStay) {
  Net net({4, 4, 3});
  const NodeId conv = net.conv(0, 4);
  const NodeId a = net.add(Activate{Activation::relu}, {conv}, {0.04F, -3});
  const NodeId b = net.add(Activate{Activation::relu}, {conv});
  net.add(Add{}, {a, b});
  EXPECT_EQ(proven(net.finish()).graph.graph.size(), 5);
}

TEST(Rewrite, IdentitiesAreRemoved) {
  const Op identities[] = {Reshape{{4, 6, 3}},
                           Activate{Activation::none},
                           Pad{},
                           ResizeNearestNeighbor{4, 6},
                           Concatenation{},
                           AveragePool2d{},
                           MaxPool2d{}};
  for (const Op& op : identities) {
    Net net({4, 6, 3});
    net.conv(net.add(op, {0}), 2);
    EXPECT_EQ(proven(net.finish()).graph.graph.size(), 2) << op_name(op);
  }
  Net mean({4, 6, 3});
  mean.add(Mean{}, {mean.add(Mean{}, {mean.conv(0, 2)}, {0.04F, 5})}, {0.04F, 5});
  EXPECT_EQ(proven(mean.finish()).graph.graph.size(), 3);
  Net flat({4, 6, 3});
  flat.add(FullyConnected{.output_channels = 2}, {flat.add(Reshape{{1, 1, 72}}, {0})});
  EXPECT_EQ(proven(flat.finish()).graph.graph.size(), 2);
}

TEST(Rewrite, WhatLooksLikeAnIdentityStays) {
  Net net({4, 4, 3});
  NodeId x = net.add(Reshape{{8, 2, 3}}, {0});
  x = net.add(Activate{Activation::none}, {x}, {0.04F, -3});
  x = net.add(AveragePool2d{Window{.stride_height = 2}}, {x}, {0.04F, -3});
  x = net.add(MaxPool2d{Window{}, Activation::relu6}, {x}, {0.04F, -3});
  x = net.add(Activate{Activation::none}, {x});
  net.add(ResizeNearestNeighbor{4, 2}, {x});
  const QuantizedGraph graph = net.finish();
  EXPECT_EQ(proven(graph).graph.graph.size(), graph.graph.size() - 1) << "the last resize alone is one";
}

TEST(Rewrite, ResidualsOfNothingBecomeAQuantize) {
  Net net({5, 5, 3});
  const NodeId x = net.conv(0, 4);
  const NodeId zero = net.conv(net.depthwise(x, 1), 4);
  for (std::int32_t c = 0; c < 4; ++c) net.kill(zero, c, kCalm.zero_point);
  net.conv(net.add(Add{Activation::relu}, {x, zero}), 2);
  const Rewritten result = proven(net.finish());
  EXPECT_EQ(result.graph.graph.size(), 3) << "input and two convolutions, the first one with relu";
  EXPECT_EQ(result.reports[3].macs_saved, 25 * 4 * (9 + 4));
}

TEST(Rewrite, ConstantOfZeroPassesThroughPadding) {
  Net net({6, 6, 3});
  const NodeId a = net.conv(0, 5);
  net.kill(a, 2, kCalm.zero_point);
  net.conv(a, 4, 3, 1);
  const Rewritten result = proven(net.finish());
  EXPECT_EQ(channels(result, a), 4);
  const std::int64_t macs = 36 * 3 + 36 * 4 * 9;
  EXPECT_EQ(result.reports[4], (RewriteReport{"dead_channels", 0, 1, macs, 3 + 4 * 9}));
}

TEST(Rewrite, OtherConstantsStayBeforePaddingAndAreFoldedWithoutIt) {
  for (const std::int32_t padding : {0, 1}) {
    Net net({6, 6, 3});
    const NodeId a = net.conv(0, 5);
    net.kill(a, 2, 40);
    net.conv(a, 4, 3, padding);
    EXPECT_EQ(channels(proven(net.finish()), a), padding == 0 ? 4 : 5) << padding;
  }
}

TEST(Rewrite, ReluOfNegativeSumsIsConstant) {
  Net net({6, 6, 3});
  const NodeId a = net.conv(0, 5, 1, 0, Activation::relu);
  net.conv(a, 4, 3, 1);
  QuantizedGraph graph = net.finish();
  graph.nodes[1].bias[3] = -300'000;  // 3 products of at most 127 * 255 cannot reach zero
  EXPECT_EQ(channels(proven(graph), a), 4);
  graph.nodes[1].bias[3] = -3 * 127 * 10;
  std::fill(graph.nodes[1].filter.begin() + 9, graph.nodes[1].filter.begin() + 12, std::int8_t{127});
  EXPECT_EQ(channels(proven(graph), a), 5);
}

TEST(Rewrite, DepthwiseChainsLoseTheChannelInEveryLink) {
  Net net({6, 6, 3});
  const NodeId a = net.conv(0, 5);
  net.kill(a, 1, kCalm.zero_point);
  const NodeId b = net.depthwise(a, 1), c = net.depthwise(b, 0);
  net.conv(c, 4);
  const Rewritten result = proven(net.finish());
  for (const NodeId id : {a, b, c}) EXPECT_EQ(channels(result, id), 4);
}

TEST(Rewrite, DepthwiseWithPaddingVariesAtTheBorderOfAConstant) {
  for (const std::int32_t padding : {0, 1}) {
    Net net({6, 6, 3});
    const NodeId a = net.conv(0, 5);
    net.kill(a, 1, 30);
    const NodeId b = net.depthwise(a, padding);
    net.conv(b, 4);
    QuantizedGraph graph = net.finish();
    for (std::size_t i = 1; i < graph.nodes[2].filter.size(); i += 5) graph.nodes[2].filter[i] = 20;
    const Rewritten result = proven(graph);
    EXPECT_EQ(channels(result, a), padding == 0 ? 4 : 5);
    EXPECT_EQ(channels(result, b), padding == 0 ? 4 : 5);
  }
}

TEST(Rewrite, DeadDepthwiseFiltersTakeTheirInputsWithThem) {
  Net net({6, 6, 3});
  const NodeId a = net.conv(0, 5), b = net.depthwise(a, 1);
  net.kill(b, 3, 11);
  net.conv(b, 4);
  const Rewritten result = proven(net.finish());
  EXPECT_EQ(channels(result, a), 4);
  EXPECT_EQ(channels(result, b), 4);
}

TEST(Rewrite, ResidualsNeedTheConstantInBothOperands) {
  for (const bool both : {false, true}) {
    Net net({6, 6, 3});
    const NodeId a = net.conv(0, 5), b = net.conv(a, 5);
    net.kill(b, 1, 20);
    if (both) net.kill(a, 1, -20);
    net.conv(net.add(Add{}, {a, b}), 4);
    const Rewritten result = proven(net.finish());
    EXPECT_EQ(channels(result, a), both ? 4 : 5);
    EXPECT_EQ(channels(result, b), both ? 4 : 5);
  }
}

TEST(Rewrite, ConcatenationsLoseChannelsAndWholeInputs) {
  Net net({6, 6, 3});
  const NodeId a = net.conv(0, 5), b = net.conv(0, 2), c = net.conv(b, 2);
  net.kill(a, 0, 9);
  net.kill(c, 0, 8);
  net.kill(c, 1, -8);
  net.conv(net.add(Concatenation{}, {a, c, 0}), 4);
  const Rewritten result = proven(net.finish());
  ASSERT_EQ(result.graph.graph.size(), 4) << "input, a, concatenation, last";
  EXPECT_EQ(channels(result, 2), 4 + 3);
  EXPECT_EQ(result.graph.graph.node(2).inputs, (std::vector<NodeId>{1, 0}));
}

TEST(Rewrite, GatesAndTheirChannelsGoTogether) {
  Net net({6, 6, 3});
  const NodeId a = net.conv(0, 5);
  const NodeId gate = net.conv(net.add(Mean{}, {a}), 5);
  const NodeId sigmoid = net.add(Activate{Activation::sigmoid}, {gate}, kUnitOutput);
  const NodeId mul = net.add(Mul{}, {a, sigmoid});
  net.conv(mul, 4);
  net.kill(a, 4, kCalm.zero_point);  // zero times any gate
  const Rewritten result = proven(net.finish());
  for (const NodeId id : {a, gate, sigmoid, mul}) EXPECT_EQ(channels(result, id), 4) << id;
}

TEST(Rewrite, PoolsKeepConstantsAndFlatteningFoldsEveryPixel) {
  Net net({8, 8, 3});
  const NodeId a = net.conv(0, 5);
  net.kill(a, 2, 50);
  const NodeId max = net.add(MaxPool2d{square_window(2, 2, 0)}, {a});
  const NodeId average = net.add(AveragePool2d{square_window(2, 1, 1)}, {max});
  net.add(FullyConnected{.output_channels = 3}, {average});
  const Rewritten result = proven(net.finish());
  for (const NodeId id : {a, max, average}) EXPECT_EQ(channels(result, id), 4) << id;
  EXPECT_EQ(result.reports[4].weights_bytes_saved, 3 + 25 * 3);
}

TEST(Rewrite, ChannelsNobodyReadsAreRemovedBackwards) {
  Net net({6, 6, 3});
  const NodeId a = net.conv(0, 5), b = net.depthwise(a, 1), c = net.conv(b, 4, 3, 1);
  net.ignore(c, 2);
  const Rewritten result = proven(net.finish());
  EXPECT_EQ(channels(result, a), 4);
  EXPECT_EQ(channels(result, b), 4);
}

TEST(Rewrite, OneChannelStaysAndTheOutputsAll) {
  Net net({6, 6, 3});
  const NodeId a = net.conv(0, 5), b = net.conv(a, 4);
  for (std::int32_t c = 0; c < 5; ++c) net.kill(a, c, 10 * c);
  const Rewritten result = proven(net.finish());
  EXPECT_EQ(channels(result, a), 1);
  EXPECT_EQ(channels(result, b), 4);
}

TEST(Rewrite, BiasesAppearWhereConstantsNeedThem) {
  Net net({4, 4, 3});
  const NodeId a = net.conv(0, 5);
  net.kill(a, 0, 60);
  net.add(Conv2d{.output_channels = 4, .window = {}}, {a});
  const Rewritten result = proven(net.finish());
  EXPECT_EQ(channels(result, a), 4);
  EXPECT_TRUE(std::get<Conv2d>(result.graph.graph.nodes.back().op).bias);
}

// 600 nets, half of them full of dead channels; every pass finds something, with and without the others.
TEST(Rewrite, RandomNetsKeepEveryByte) {
  const std::uint64_t seed = test_seed();
  std::vector<std::int64_t> nodes(rewrite_passes().size()), macs(nodes.size());
  for (int i = 0; i < 600; ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_net(random, 8, i % 2 == 0 ? 0.5 : 0.1);
    const Rewritten all = proven(graph);
    for (std::size_t p = 0; p < nodes.size(); ++p) {
      nodes[p] += all.reports[p].nodes_removed;
      macs[p] += all.reports[p].macs_saved;
    }
    RewriteOptions options;
    for (const RewritePass& pass : rewrite_passes())
      if (random.below(2) == 0) options.skipped.insert(std::string(pass.name));
    proven(graph, options);
    ASSERT_FALSE(HasFailure());
  }
  for (std::size_t p = 0; p < 4; ++p) EXPECT_GT(nodes[p], 0) << rewrite_passes()[p].name;
  EXPECT_GT(macs[4], 0);
}

TEST(Rewrite, EveryPassCanBeSkipped) {
  const auto report_of = [](const Rewritten& r, std::string_view name) {
    return std::find_if(r.reports.begin(), r.reports.end(), [&](const auto& x) { return x.pass == name; });
  };
  Net net({6, 6, 3});
  NodeId x = net.conv(net.add(Pad{.padding = {1, 1, 1, 1}}, {0}), 4, 3);
  x = net.add(Activate{Activation::relu}, {x});
  x = net.add(Concatenation{}, {x});
  const NodeId zero = net.conv(x, 4);
  for (std::int32_t c = 0; c < 4; ++c) net.kill(zero, c, kCalm.zero_point);
  const NodeId last = net.conv(net.add(Add{}, {x, zero}), 3);
  net.ignore(last, 1);
  const QuantizedGraph graph = net.finish();
  const Rewritten all = proven(graph);
  for (const RewritePass& pass : rewrite_passes()) {
    const RewriteReport& report = *report_of(all, pass.name);
    EXPECT_GT(report.nodes_removed + report.channels_removed, 0) << pass.name;
    const Rewritten without = proven(graph, skip_rewrites(pass.name));
    EXPECT_EQ(without.reports.size(), 4U);
    EXPECT_TRUE(report_of(without, pass.name) == without.reports.end());
    EXPECT_NE(without.graph.graph, all.graph.graph) << pass.name;
  }
  EXPECT_EQ(rewrite(graph, skip_rewrites("all")).graph.graph, graph.graph);
  EXPECT_EQ(rewrite(graph, skip_rewrites("none")).graph.graph, all.graph.graph);
  EXPECT_EQ(skip_rewrites("fuse_pad,dead_channels").skipped.size(), 2U);
  EXPECT_THROW(skip_rewrites("fuse_pad,"), Error);
  EXPECT_THROW(skip_rewrites("fuse_pads"), Error);
}

TEST(Rewrite, SharedModelsHaveNoDeadChannels) {
  for (const char* file :
       {"ic_resnet8_int8.tflite", "kws_dscnn_int8.tflite", "ad_fc_autoencoder_int8.tflite"}) {
    const auto path = data_folder() / "mlperf-tiny" / file;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there; MCUFIT_DATA names its folder";
    const Rewritten result = proven(import_tflite(read_file(path), file));
    EXPECT_EQ(result.macs_after, result.macs_before) << file;
  }
}

}  // namespace
}  // namespace mcufit::testing
