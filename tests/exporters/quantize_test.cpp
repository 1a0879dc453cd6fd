// SPDX-License-Identifier: Apache-2.0
#include "exporters/quantize.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <cmath>

#include "blocks/builder.h"
#include "blocks/family.h"
#include "blocks/float_interpreter.h"
#include "blocks/foundation/error.h"
#include "exporters/interpreter.h"
#include "tests/exporters/random_graphs.h"

namespace mcufit {
namespace {

constexpr Quantization kImage{1.0F / 255.0F, -128};

// A small residual network with every op that has an int8 form.
Graph residual_network() {
  GraphBuilder b("residual", {12, 12, 3});
  NodeId x =
      b.norm_act("stem_act", b.conv2d("stem", b.input(), 8, square_window(3, 2, 1)), Activation::relu6);
  NodeId y = b.norm_act("expand_act", b.pointwise("expand", x, 16), Activation::relu);
  y = b.norm_act("spatial_act", b.depthwise_conv2d("spatial", y, square_window(3, 1, 1)), Activation::relu6);
  y = b.norm_act("project_norm", b.pointwise("project", y, 8), Activation::none);
  x = b.add("sum", x, y);
  x = b.max_pool2d("pool", x, square_window(2, 2, 0));
  x = b.global_average_pool("mean", x);
  b.fully_connected("classes", x, 5);
  return b.finish();
}

// Uniform around zero, sized so that activations keep their size from layer to layer.
Lowered random_lowered(Random& random, const Graph& graph) {
  Weights weights = zero_weights(graph);
  const auto uniform = [&](double size) { return static_cast<float>((random.unit() * 2 - 1) * size); };
  for (NodeWeights& w : weights.nodes) {
    const double channels = std::max<double>(1, static_cast<double>(w.filter.size()));
    for (float& f : w.filter) f = uniform(4 / std::sqrt(channels));
    for (float& f : w.bias) f = uniform(0.2);
    for (float& f : w.gamma) f = 1 + uniform(0.3);
    for (float& f : w.beta) f = uniform(0.5);
    for (float& f : w.mean) f = uniform(0.2);
    for (float& f : w.variance) f = 1 + uniform(0.5);
  }
  return lower(graph, weights);
}

std::vector<float> dequantized(const std::vector<std::int8_t>& values, Quantization q) {
  std::vector<float> out;
  for (const std::int8_t value : values) out.push_back(q.scale * static_cast<float>(value - q.zero_point));
  return out;
}

std::vector<std::vector<float>> real_samples(const std::vector<std::vector<std::int8_t>>& samples) {
  std::vector<std::vector<float>> real;
  for (const auto& sample : samples) real.push_back(dequantized(sample, kImage));
  return real;
}

std::vector<std::vector<std::int8_t>> random_samples(Random& random, const Graph& graph, int count) {
  std::vector<std::vector<std::int8_t>> samples;
  for (int i = 0; i < count; ++i)
    samples.push_back(testing::random_bytes(random, graph.input_shape().elements()));
  return samples;
}

TEST(Quantize, EveryNodeStaysWithinAFewStepsOfFloat) {
  const std::uint64_t seed = testing::test_seed();
  for (int i = 0; i < 5; ++i) {
    SCOPED_TRACE(testing::case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const Lowered lowered = random_lowered(random, residual_network());
    const auto samples = random_samples(random, lowered.graph, 20);
    const auto real = real_samples(samples);
    const QuantizedGraph quantized = quantize(lowered, observe_ranges(lowered, real), kImage);
    for (std::size_t s = 0; s < samples.size(); ++s) {
      const auto expected = interpret(lowered.graph, lowered.weights, real[s]);
      const auto found = interpret(quantized, samples[s]);
      for (NodeId id = 0; id < lowered.graph.size(); ++id) {
        const Quantization q = quantized.node(id).output;
        const auto at = static_cast<std::size_t>(id);
        const std::vector<float> values = dequantized(found[at], q);
        for (std::size_t k = 0; k < values.size(); ++k) {
          ASSERT_NEAR(values[k], expected[at][k], 6 * q.scale)
              << lowered.graph.node(id).name << "[" << k << "]";
        }
      }
    }
  }
}

TEST(Quantize, RangesDoNotDependOnThreads) {
  Random random(testing::test_seed());
  const Lowered lowered = random_lowered(random, residual_network());
  const auto real = real_samples(random_samples(random, lowered.graph, 50));
  const Ranges parallel = observe_ranges(lowered, real);
  const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
  const Ranges serial = observe_ranges(lowered, real);
  for (std::size_t i = 0; i < serial.size(); ++i) {
    EXPECT_EQ(serial[i].minimum, parallel[i].minimum);
    EXPECT_EQ(serial[i].maximum, parallel[i].maximum);
    EXPECT_LE(serial[i].minimum, 0.0F);
    EXPECT_GE(serial[i].maximum, 0.0F);
  }
}

TEST(Quantize, PoolsTakeTheirInputsScale) {
  Random random(testing::test_seed());
  const Lowered lowered = random_lowered(random, residual_network());
  const auto real = real_samples(random_samples(random, lowered.graph, 4));
  const QuantizedGraph quantized = quantize(lowered, observe_ranges(lowered, real), kImage);
  for (NodeId id = 0; id < lowered.graph.size(); ++id) {
    const std::string_view op = op_name(lowered.graph.node(id).op);
    if (op != "average_pool2d" && op != "max_pool2d") continue;
    EXPECT_EQ(quantized.node(id).output, quantized.node(lowered.graph.node(id).inputs[0]).output);
  }
}

// input 1x1x2 -> pointwise convolution to the filters given.
Lowered pointwise(std::vector<float> filter, std::vector<float> bias) {
  const auto channels = static_cast<std::int32_t>(bias.size());
  Lowered lowered;
  lowered.graph.name = "pointwise";
  lowered.graph.nodes = {
      {Input{{1, 1, 2}}, {}, {1, 1, 2}, "input"},
      {Conv2d{.output_channels = channels, .window = {}, .bias = true}, {0}, {1, 1, channels}, "mix"}};
  lowered.weights = zero_weights(lowered.graph);
  lowered.weights.nodes[1].filter = std::move(filter);
  lowered.weights.nodes[1].bias = std::move(bias);
  return lowered;
}

TEST(Quantize, ScalesAndZeroPointsByHand) {
  const QuantizedGraph q =
      quantize(pointwise({1.27F, -0.5F, 0.0F, 2.54F}, {0.1F, -0.2F}), {{0, 1}, {-0.85F, 1.7F}}, kImage);
  const QuantizedNode& node = q.node(1);
  EXPECT_FLOAT_EQ(node.output.scale, 2.55F / 255);
  EXPECT_EQ(node.output.zero_point, -128 + 85);
  EXPECT_EQ(node.filter, (std::vector<std::int8_t>{127, -50, 0, 127}));
  EXPECT_FLOAT_EQ(node.filter_scales[0], 0.01F);
  EXPECT_FLOAT_EQ(node.filter_scales[1], 0.02F);
  EXPECT_EQ(node.bias, (std::vector<std::int32_t>{2550, -2550}));  // 0.1 * 255 / 0.01, -0.2 * 255 / 0.02
  EXPECT_EQ(q.node(0).output, kImage);
}

TEST(Quantize, ZeroIsAlwaysInside) {
  EXPECT_EQ(quantize(pointwise({1, 1}, {2}), {{0, 1}, {1.5F, 2.5F}}, kImage).node(1).output.zero_point, -128);
  EXPECT_EQ(quantize(pointwise({1, 1}, {-9}), {{0, 1}, {-9, -7}}, kImage).node(1).output.zero_point, 127);
}

TEST(Quantize, DeadChannelGivesItsBias) {
  const QuantizedGraph q = quantize(pointwise({0, 0, 1, 1}, {0.75F, 0}), {{0, 1}, {0, 2}}, kImage);
  const auto out = dequantized(interpret(q, std::vector<std::int8_t>{50, -100}).back(), q.node(1).output);
  EXPECT_NEAR(out[0], 0.75F, q.node(1).output.scale);
}

TEST(Quantize, DegenerateRangesAreAccepted) {
  for (const float largest : {0.0F, 1e-40F, 1e-20F, 1e-9F}) {
    for (const float bias : {0.0F, 1e-30F, 1.0F, -1e6F}) {
      for (const float weight : {0.0F, 1e-38F, 1.0F, 1e6F}) {
        SCOPED_TRACE(::testing::Message() << largest << ", " << bias << ", " << weight);
        EXPECT_NO_THROW(quantize(pointwise({weight, 0, 0, 0, -weight, weight}, {bias, bias, 0}),
                                 {{0, 1}, {0, largest}}, kImage));
      }
    }
  }
}

TEST(Quantize, ABiasTooLargeForItsFilterCoarsensTheFilter) {
  const QuantizedGraph q = quantize(pointwise({1e-9F, -1e-9F}, {100}), {{0, 1}, {0, 120}}, kImage);
  EXPECT_LT(q.node(1).bias[0], 1 << 30);
  const auto out = dequantized(interpret(q, std::vector<std::int8_t>{1, 2}).back(), q.node(1).output);
  EXPECT_NEAR(out[0], 100, q.node(1).output.scale);
}

TEST(Quantize, RefusesWhatHasNoRange) {
  EXPECT_THROW(quantize(pointwise({1, 1}, {0}), {{0, 1}, {0, INFINITY}}, kImage), Error);
  EXPECT_THROW(quantize(pointwise({1, 1}, {0}), {{0, 1}}, kImage), Error);
  EXPECT_THROW(quantize(pointwise({1, 1}, {0}), {{0, 1}, {0, 1}}, {0.0F, 0}), Error);
}

// Squeeze-excite (a mul by a sigmoid) and hard_swish, as PhiNets have them: in integers near what float
// gives.
TEST(Quantize, PhiNetWithSqueezeExciteAndHardSwish) {
  const Family& phinet = family("phinet");
  Hyperparameters h = default_hyperparameters(phinet);
  for (std::size_t i = 0; i < phinet.parameters().size(); ++i) {
    const std::string_view name = phinet.parameters()[i].name;
    if (name == "squeeze_excite" || name == "hard_swish") h[i] = 1;
    if (name == "num_layers") h[i] = 3;
  }
  const Graph graph = phinet.build(h, {{24, 24, 3}, 4});
  Weights weights = zero_weights(graph);
  Random random(3);
  for (NodeWeights& w : weights.nodes) {
    const double size = std::sqrt(6.0 * static_cast<double>(std::max<std::size_t>(w.bias.size(), 16)) /
                                  static_cast<double>(std::max<std::size_t>(w.filter.size(), 1)));
    for (float& value : w.filter) value = static_cast<float>((random.unit() - 0.5) * std::min(size, 1.5));
    std::fill(w.gamma.begin(), w.gamma.end(), 1.0F);
    std::fill(w.variance.begin(), w.variance.end(), 0.1F);
  }
  const Lowered lowered = lower(graph, weights);
  std::vector<std::vector<float>> samples(16);
  for (auto& sample : samples)
    for (int i = 0; i < 24 * 24 * 3; ++i) sample.push_back(static_cast<float>(random.below(256)) / 255.0F);
  const QuantizedGraph q = quantize(lowered, observe_ranges(lowered, samples), kImage);
  const auto has = [&](auto test) { return std::any_of(q.graph.nodes.begin(), q.graph.nodes.end(), test); };
  EXPECT_TRUE(has([](const Node& n) { return std::holds_alternative<Mul>(n.op); }));
  EXPECT_TRUE(has([](const Node& n) { return n.op == Op(Activate{Activation::hard_swish}); }));
  const auto real = interpret(lowered.graph, lowered.weights, samples[0]).back();
  std::vector<std::int8_t> image;
  for (const float x : samples[0])
    image.push_back(static_cast<std::int8_t>(std::lround(x / kImage.scale) + kImage.zero_point));
  const auto out = dequantized(interpret(q, image).back(), q.nodes.back().output);
  const float range = q.nodes.back().output.scale * 255;
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(out[i], real[i], range * 0.1F) << i;
}

TEST(Quantize, ConcatenatedTensorsShareOneScale) {
  GraphBuilder b("joined", {4, 4, 2});
  const NodeId one = b.pointwise("one", b.input(), 2);
  const NodeId two = b.max_pool2d("pool", b.pointwise("two", b.input(), 3), square_window(1, 1, 0));
  b.concatenation("join", {one, two}, Axis::channels);
  const Graph graph = b.finish();
  Weights weights = zero_weights(graph);
  for (NodeWeights& w : weights.nodes)
    for (std::size_t i = 0; i < w.filter.size(); ++i) w.filter[i] = i % 2 == 0 ? 1.0F : -0.5F;
  const Lowered lowered = lower(graph, weights);
  Ranges ranges(5);
  ranges[1] = {-1, 1};
  ranges[2] = {0, 3};
  ranges[3] = {0, 3};
  ranges[4] = {-1, 3};
  const QuantizedGraph q = quantize(lowered, ranges, kImage);
  for (const NodeId id : {1, 2, 3}) EXPECT_EQ(q.node(id).output, q.node(4).output);
  EXPECT_FLOAT_EQ(q.node(4).output.scale, 4.0F / 255);
}

TEST(Quantize, FullyConnectedHasOneFilterScale) {
  GraphBuilder b("dense", {1, 1, 2});
  b.fully_connected("classes", b.input(), 2);
  const Graph graph = b.finish();
  Weights weights = zero_weights(graph);
  weights.nodes[1].filter = {1, 2, 3, 127};
  const Lowered lowered = lower(graph, weights);
  const QuantizedGraph q = quantize(lowered, {{0, 1}, {0, 200}}, kImage);
  EXPECT_TRUE(q.node(1).one_filter_scale);
  EXPECT_EQ(q.node(1).filter, (std::vector<std::int8_t>{1, 2, 3, 127}));
}

TEST(Quantize, RefusesAnOpWithoutIntegerForm) {
  Lowered raw{{"unfolded", {}}, {}};  // as lower() never gives it
  raw.graph.nodes = {{Input{{2, 2, 1}}, {}, {2, 2, 1}, "input"}, {BatchNorm{}, {0}, {2, 2, 1}, "norm"}};
  raw.weights = zero_weights(raw.graph);
  EXPECT_THROW(quantize(raw, Ranges(2), kImage), Error);
}

}  // namespace
}  // namespace mcufit
