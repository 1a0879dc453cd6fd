// SPDX-License-Identifier: Apache-2.0
// Rewrites change no output byte: both graphs are run.
#include "exporters/rewrite.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/exporters/rewrite_nets.h"

namespace mcufit::testing {
namespace {

std::int32_t channels(const Rewritten& r, NodeId id) { return r.graph.graph.node(id).shape.channels; }

TEST(Rewrite, NetsWithoutAnythingToRewriteStayAsTheyAre) {
  CalmNet net({6, 6, 3});
  const NodeId a = net.conv(0, 5, 3, 1);
  net.add(Add{}, {net.conv(a, 5), a});
  const QuantizedGraph graph = net.finish();
  EXPECT_EQ(proven(graph).graph.graph, graph.graph);
}

TEST(Rewrite, PadsOfZerosBecomePadding) {
  for (const bool depthwise : {false, true}) {
    CalmNet net({6, 7, 3});
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
    CalmNet net({6, 6, 3});
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
    CalmNet net({4, 4, 3});
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
  CalmNet net({4, 4, 3});
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
    CalmNet net({4, 6, 3});
    net.conv(net.add(op, {0}), 2);
    EXPECT_EQ(proven(net.finish()).graph.graph.size(), 2) << op_name(op);
  }
  CalmNet mean({4, 6, 3});
  mean.add(Mean{}, {mean.add(Mean{}, {mean.conv(0, 2)}, {0.04F, 5})}, {0.04F, 5});
  EXPECT_EQ(proven(mean.finish()).graph.graph.size(), 3);
  CalmNet flat({4, 6, 3});
  flat.add(FullyConnected{.output_channels = 2}, {flat.add(Reshape{{1, 1, 72}}, {0})});
  EXPECT_EQ(proven(flat.finish()).graph.graph.size(), 2);
}

TEST(Rewrite, WhatLooksLikeAnIdentityStays) {
  CalmNet net({4, 4, 3});
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
  CalmNet net({5, 5, 3});
  const NodeId x = net.conv(0, 4);
  const NodeId zero = net.conv(net.depthwise(x, 1), 4);
  for (std::int32_t c = 0; c < 4; ++c) net.kill(zero, c, kCalm.zero_point);
  net.conv(net.add(Add{Activation::relu}, {x, zero}), 2);
  const Rewritten result = proven(net.finish());
  EXPECT_EQ(result.graph.graph.size(), 3) << "input and two convolutions, the first one with relu";
  EXPECT_EQ(result.reports[3].macs_saved, 25 * 4 * (9 + 4));
}

TEST(Rewrite, ConstantOfZeroPassesThroughPadding) {
  CalmNet net({6, 6, 3});
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
    CalmNet net({6, 6, 3});
    const NodeId a = net.conv(0, 5);
    net.kill(a, 2, 40);
    net.conv(a, 4, 3, padding);
    EXPECT_EQ(channels(proven(net.finish()), a), padding == 0 ? 4 : 5) << padding;
  }
}

TEST(Rewrite, ReluOfNegativeSumsIsConstant) {
  CalmNet net({6, 6, 3});
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
  CalmNet net({6, 6, 3});
  const NodeId a = net.conv(0, 5);
  net.kill(a, 1, kCalm.zero_point);
  const NodeId b = net.depthwise(a, 1), c = net.depthwise(b, 0);
  net.conv(c, 4);
  const Rewritten result = proven(net.finish());
  for (const NodeId id : {a, b, c}) EXPECT_EQ(channels(result, id), 4);
}

TEST(Rewrite, DepthwiseWithPaddingVariesAtTheBorderOfAConstant) {
  for (const std::int32_t padding : {0, 1}) {
    CalmNet net({6, 6, 3});
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
  CalmNet net({6, 6, 3});
  const NodeId a = net.conv(0, 5), b = net.depthwise(a, 1);
  net.kill(b, 3, 11);
  net.conv(b, 4);
  const Rewritten result = proven(net.finish());
  EXPECT_EQ(channels(result, a), 4);
  EXPECT_EQ(channels(result, b), 4);
}

TEST(Rewrite, ResidualsNeedTheConstantInBothOperands) {
  for (const bool both : {false, true}) {
    CalmNet net({6, 6, 3});
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
  CalmNet net({6, 6, 3});
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
  CalmNet net({6, 6, 3});
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
  CalmNet net({8, 8, 3});
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
  CalmNet net({6, 6, 3});
  const NodeId a = net.conv(0, 5), b = net.depthwise(a, 1), c = net.conv(b, 4, 3, 1);
  net.ignore(c, 2);
  const Rewritten result = proven(net.finish());
  EXPECT_EQ(channels(result, a), 4);
  EXPECT_EQ(channels(result, b), 4);
}

TEST(Rewrite, OneChannelStaysAndTheOutputsAll) {
  CalmNet net({6, 6, 3});
  const NodeId a = net.conv(0, 5), b = net.conv(a, 4);
  for (std::int32_t c = 0; c < 5; ++c) net.kill(a, c, 10 * c);
  const Rewritten result = proven(net.finish());
  EXPECT_EQ(channels(result, a), 1);
  EXPECT_EQ(channels(result, b), 4);
}

TEST(Rewrite, BiasesAppearWhereConstantsNeedThem) {
  CalmNet net({4, 4, 3});
  const NodeId a = net.conv(0, 5);
  net.kill(a, 0, 60);
  net.add(Conv2d{.output_channels = 4, .window = {}}, {a});
  const Rewritten result = proven(net.finish());
  EXPECT_EQ(channels(result, a), 4);
  EXPECT_TRUE(std::get<Conv2d>(result.graph.graph.nodes.back().op).bias);
}

}  // namespace
}  // namespace mcufit::testing
