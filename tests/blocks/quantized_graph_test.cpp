// SPDX-License-Identifier: Apache-2.0
#include "blocks/quantized_graph.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "blocks/foundation/error.h"

namespace mcufit {
namespace {

TEST(FixedPoint, PowersOfTwoAndFractions) {
  EXPECT_EQ(to_fixed_point(0.5), (FixedPoint{1 << 30, 0}));
  EXPECT_EQ(to_fixed_point(1.0), (FixedPoint{1 << 30, 1}));
  EXPECT_EQ(to_fixed_point(0.25), (FixedPoint{1 << 30, -1}));
  EXPECT_EQ(to_fixed_point(3.0), (FixedPoint{1610612736, 2}));   // 0.75 * 2^31
  EXPECT_EQ(to_fixed_point(0.1), (FixedPoint{1717986918, -3}));  // 0.8 * 2^31 = 1717986918.4
  EXPECT_EQ(to_fixed_point(0.0), (FixedPoint{0, 0}));
}

TEST(FixedPoint, RoundingUpToTwoToThe31) {
  EXPECT_EQ(to_fixed_point(1.0 - 0x1p-40), (FixedPoint{1 << 30, 1}));
  EXPECT_EQ(to_fixed_point(0.5 - 0x1p-41), (FixedPoint{1 << 30, 0}));
  EXPECT_EQ(to_fixed_point(1.0 - 0x1p-31), (FixedPoint{std::numeric_limits<std::int32_t>::max(), 0}));
}

TEST(FixedPoint, TinyMultipliersVanish) {
  EXPECT_EQ(to_fixed_point(0x1p-32), (FixedPoint{1 << 30, -31}));
  EXPECT_EQ(to_fixed_point(0x1p-33), (FixedPoint{0, 0}));
  EXPECT_EQ(to_fixed_point(1e-300), (FixedPoint{0, 0}));
}

TEST(FixedPoint, RefusesWhatHasNoForm) {
  for (const double x : {-0.1, 0x1p30, std::nan(""), HUGE_VAL}) EXPECT_THROW(to_fixed_point(x), Error) << x;
  EXPECT_EQ(to_fixed_point(0x1p30 - 1).shift, 30);
}

TEST(ClampRange, FollowsTheActivation) {
  const auto range = [](Activation a, Quantization q) {
    const ClampRange r = clamp_range(a, q);
    return std::pair(r.minimum, r.maximum);
  };
  EXPECT_EQ(range(Activation::none, {0.1F, 5}), std::pair(-128, 127));
  EXPECT_EQ(range(Activation::relu, {0.1F, 5}), std::pair(5, 127));
  EXPECT_EQ(range(Activation::relu6, {0.1F, 5}), std::pair(5, 65));
  EXPECT_EQ(range(Activation::relu6, {0.1F, -128}), std::pair(-128, -68));
  EXPECT_EQ(range(Activation::relu6, {1e-30F, -128}), std::pair(-128, 127));
  EXPECT_THROW(clamp_range(Activation::hard_swish, {0.1F, 0}), Error);
}

// input 2x2x3 -> conv2d 1x1 to 2 channels -> average pool; the smallest graph with something of everything.
QuantizedGraph sound_graph() {
  const Conv2d conv{.output_channels = 2, .window = square_window(1, 1, 0), .bias = true};
  QuantizedGraph graph;
  graph.graph.name = "sound";
  graph.graph.nodes = {{Input{{2, 2, 3}}, {}, {2, 2, 3}, "input"},
                       {conv, {0}, {2, 2, 2}, "mix"},
                       {AveragePool2d{square_window(2, 1, 0)}, {1}, {1, 1, 2}, "mean"}};
  graph.nodes = {{{0.5F, 0}, {}, {}, {}},
                 {{0.25F, -3}, {1, 2, 3, -4, -5, -6}, {0.1F, 0.2F}, {7, 8}},
                 {{0.25F, -3}, {}, {}, {}}};
  return graph;
}

// The message when verify() refuses the graph after `harm`.
std::string refusal(const std::function<void(QuantizedGraph&)>& harm) {
  QuantizedGraph graph = sound_graph();
  harm(graph);
  try {
    verify(graph);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input);
    return error.what();
  }
  return "accepted";
}

void expect_refused(const std::string& named, const std::function<void(QuantizedGraph&)>& harm) {
  const std::string message = refusal(harm);
  EXPECT_EQ(message.rfind(named, 0), 0U) << message;
  EXPECT_TRUE(message.find("accepted:") != std::string::npos ||
              message.find("supported:") != std::string::npos)
      << message;
}

TEST(QuantizedGraph, SoundGraphIsAccepted) { EXPECT_NO_THROW(verify(sound_graph())); }

TEST(QuantizedGraph, RefusesWrongNumbersNamingTheNode) {
  using G = QuantizedGraph;
  expect_refused("mix", [](G& g) { g.nodes[1].output.scale = 0; });
  expect_refused("mix", [](G& g) { g.nodes[1].output.scale = std::nanf(""); });
  expect_refused("input", [](G& g) { g.nodes[0].output.zero_point = 128; });
  expect_refused("mix", [](G& g) { g.nodes[1].filter.pop_back(); });
  expect_refused("mix", [](G& g) { g.nodes[1].filter[0] = -128; });
  expect_refused("mix", [](G& g) { g.nodes[1].filter_scales.push_back(1); });
  expect_refused("mix", [](G& g) { g.nodes[1].filter_scales[1] = -1; });
  expect_refused("mix", [](G& g) { g.nodes[1].filter_scales[1] = HUGE_VALF; });
  expect_refused("mix", [](G& g) { g.nodes[1].bias.clear(); });
  expect_refused("mean", [](G& g) { g.nodes[2].output.scale = 0.3F; });
  expect_refused("mean", [](G& g) { g.nodes[2].output.zero_point = 0; });
  expect_refused("mean", [](G& g) { g.nodes[2].bias = {1}; });
  expect_refused("sound", [](G& g) { g.nodes.pop_back(); });
}

TEST(QuantizedGraph, RefusesOpsAndActivationsWithoutIntegerForm) {
  expect_refused("mix", [](QuantizedGraph& g) {
    std::get<Conv2d>(g.graph.nodes[1].op).activation = Activation::hard_swish;
  });
  expect_refused("mean", [](QuantizedGraph& g) {  // its output scale is not 1/256
    g.graph.nodes[2] = {Activate{Activation::hard_sigmoid}, {1}, {2, 2, 2}, "mean"};
  });
}

QuantizedGraph softmax_graph(std::int32_t channels, float beta, Quantization input, Quantization output) {
  const Shape shape{1, 1, channels};
  QuantizedGraph graph;
  graph.graph.nodes = {{Input{shape}, {}, shape, "input"}, {Softmax{beta}, {0}, shape, "classes"}};
  graph.nodes = {{input, {}, {}, {}}, {output, {}, {}, {}}};
  return graph;
}

// TensorFlow Lite Micro multiplies the scales of a layer with one filter scale in float, and only there.
TEST(QuantizedGraph, OneFilterScaleMultipliesInFloat) {
  const FullyConnected op{2, true};
  QuantizedGraph graph;
  graph.graph.nodes = {{Input{{1, 1, 1}}, {}, {1, 1, 1}, "input"}, {op, {0}, {1, 1, 2}, "classes"}};
  graph.nodes = {{{0.1F, 0}, {}, {}, {}}, {{1, 0}, {1, 2}, {0.3F, 0.3F}, {0, 0}}};
  const FixedPoint per_channel = channel_multipliers(graph, 1)[0];
  EXPECT_EQ(per_channel, to_fixed_point(double{0.1F} * double{0.3F}));
  graph.nodes[1].one_filter_scale = true;
  EXPECT_NO_THROW(verify(graph));
  const FixedPoint one = channel_multipliers(graph, 1)[1];
  EXPECT_EQ(one, to_fixed_point(double{0.1F * 0.3F}));
  EXPECT_NE(one, per_channel);
  graph.nodes[1].filter_scales[1] = 0.2F;
  EXPECT_THROW(verify(graph), Error);
}

TEST(QuantizedGraph, SoftmaxHasOneOutputScale) {
  EXPECT_NO_THROW(verify(softmax_graph(511, 1, {0.1F, 5}, kUnitOutput)));
  EXPECT_THROW(verify(softmax_graph(512, 1, {0.1F, 5}, kUnitOutput)), Error);
  EXPECT_THROW(verify(softmax_graph(4, 0, {0.1F, 5}, kUnitOutput)), Error);
  EXPECT_THROW(verify(softmax_graph(4, std::nanf(""), {0.1F, 5}, kUnitOutput)), Error);
  EXPECT_THROW(verify(softmax_graph(4, 1, {0.1F, 5}, {1.0F / 255, -128})), Error);
  EXPECT_THROW(verify(softmax_graph(4, 1, {0x1p-26F, 5}, kUnitOutput)), Error);
}

// A step of 1 is 2^26 in Q5.26; 31 of them are the most that 5 integer bits hold.
TEST(QuantizedGraph, SoftmaxScaling) {
  const SoftmaxScaling one = softmax_scaling(softmax_graph(4, 1, {1, 0}, kUnitOutput), 1);
  EXPECT_EQ(one.input, (FixedPoint{1 << 30, 27}));
  EXPECT_EQ(one.least_difference, -15);  // 31 * 2^26 / 2^27, rounded down
  EXPECT_EQ(softmax_scaling(softmax_graph(4, 1, {0.01F, 0}, kUnitOutput), 1).least_difference, -255);
  EXPECT_EQ(softmax_scaling(softmax_graph(4, 1, {1e9F, 0}, kUnitOutput), 1).least_difference, 0);
}

TEST(QuantizedGraph, RefusesSumsThatCouldOverflow) {
  // 2^31 - 1 - 512 is the most: 256 * (1 + 2 + 3) of it may come from the filter.
  constexpr std::int32_t kMostBias = 2147483647 - 512 - 256 * 6;
  EXPECT_EQ(refusal([](QuantizedGraph& g) { g.nodes[1].bias[0] = kMostBias; }), "accepted");
  expect_refused("mix", [](QuantizedGraph& g) { g.nodes[1].bias[0] = kMostBias + 1; });
  expect_refused("mix",
                 [](QuantizedGraph& g) { g.nodes[1].bias[0] = std::numeric_limits<std::int32_t>::min(); });
  // A multiplier of 4 is a left shift by 3: the most is an eighth.
  const auto steep = [](std::int32_t bias) {
    return [bias](QuantizedGraph& g) {
      g.nodes[1].filter_scales[0] = 2.0F;
      g.nodes[1].bias[0] = bias;
    };
  };
  EXPECT_EQ(refusal(steep((2147483647 - 512) / 8 - 256 * 6)), "accepted");
  expect_refused("mix", steep((2147483647 - 512) / 8 - 256 * 6 + 1));
}

TEST(QuantizedGraph, ChannelAndAddMultipliers) {
  QuantizedGraph graph = sound_graph();
  graph.nodes[1].filter_scales = {0.25F, 1.0F};
  EXPECT_EQ(channel_multipliers(graph, 1), (std::vector<FixedPoint>{{1 << 30, 0}, {1 << 30, 2}}));  // 0.5, 2

  graph.graph.nodes = {{Input{{1, 1, 1}}, {}, {1, 1, 1}, "input"},
                       {Conv2d{.output_channels = 1, .window = {}}, {0}, {1, 1, 1}, "half"},
                       {Add{}, {0, 1}, {1, 1, 1}, "add"}};
  graph.nodes = {{{1, 0}, {}, {}, {}}, {{0.5F, 0}, {1}, {1}, {}}, {{2, 0}, {}, {}, {}}};
  EXPECT_NO_THROW(verify(graph));
  const AddMultipliers m = add_multipliers(graph, 2);
  EXPECT_EQ(m.input1, (FixedPoint{1 << 30, 0}));    // 1 / 2
  EXPECT_EQ(m.input2, (FixedPoint{1 << 30, -1}));   // 0.5 / 2
  EXPECT_EQ(m.output, (FixedPoint{1 << 30, -19}));  // 2 / (2^20 * 2)
  graph.nodes[2].output.scale = 0x1p-19F;           // an output multiplier of 4
  EXPECT_THROW(verify(graph), Error);
}

}  // namespace
}  // namespace mcufit
