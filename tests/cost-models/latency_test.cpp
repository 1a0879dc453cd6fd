// SPDX-License-Identifier: Apache-2.0
#include "cost-models/latency.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "blocks/builder.h"
#include "blocks/family.h"
#include "blocks/foundation/error.h"
#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/random.h"
#include "blocks/lower.h"
#include "cost-models/latency_fit.h"
#include "cost-models/price.h"
#include "tests/random_seed.h"

namespace mcufit {
namespace {

using ::testing::DoubleEq;
using ::testing::DoubleNear;
using ::testing::HasSubstr;
using ::testing::Optional;
using ::testing::ThrowsMessage;

// One layer of each of three classes.
Graph three_layers() {
  GraphBuilder b("three", {4, 4, 2});
  NodeId x = b.conv2d("conv", b.input(), 3, square_window(3, 1, 1));
  x = b.pointwise("pointwise", x, 5);
  b.global_average_pool("pool", x);
  return lower(b.finish());
}

LatencyLaw law_of_ones() {
  LatencyLaw law;
  law.core = "cortex-m4";
  law.device = law.compiler = law.flags = "-";
  law.counts = "instructions";
  law.invoke = 7;
  for (const char* name : {"conv2d_spatial", "conv2d_pointwise", "average_pool2d"})
    law.classes[name].coefficients.fill(1);
  return law;
}

TEST(LatencyTerms, AreTheLayersSizes) {
  const Graph g = three_layers();
  // 10 of 12 kernel rows lie inside along each axis of 4 pixels.
  EXPECT_EQ(terms_of(g, 1), (Terms{1, 600, 16 * 54 - 600, 4 * 4 * 3, 4 * 4 * 2, 3 * 3 * 2 * 3, 16, 4,
                                   10 * 4 * 3, 28 * 3, 16 * 54}));
  EXPECT_EQ(terms_of(g, 2), (Terms{1, 16 * 3 * 5, 0, 16 * 5, 16 * 3, 15, 16, 4, 16 * 5, 0, 16 * 3 * 5}));
  EXPECT_EQ(terms_of(g, 3), (Terms{1, 80, 0, 5, 80, 0, 1, 1, 20, 0}));
  EXPECT_THAT(operator_class(g.node(1)), Optional(std::string("conv2d_spatial")));
  EXPECT_THAT(operator_class(g.node(2)), Optional(std::string("conv2d_pointwise")));
  EXPECT_FALSE(operator_class(g.node(0)));
}

// Of a layer on 4x4x`channels`.
template <typename Append>
double uneven_macs(std::int32_t channels, const Append& append) {
  GraphBuilder b("one", {4, 4, channels});
  append(b);
  return terms_of(lower(b.finish()), 1).back();
}

TEST(LatencyTerms, UnevenMacsAreThoseThatAreNotTakenSeveralAtATime) {
  const Window window = square_window(3, 1, 1);
  const auto conv = [&](std::int32_t outputs) {
    return [=](GraphBuilder& b) { b.conv2d("conv", b.input(), outputs, window); };
  };
  const auto depthwise = [&](GraphBuilder& b) { b.depthwise_conv2d("depthwise", b.input(), window); };
  const auto dense = [](GraphBuilder& b) { b.fully_connected("dense", b.input(), 6); };
  EXPECT_EQ(uneven_macs(3, conv(4)), 16 * 27 * 4);
  EXPECT_EQ(uneven_macs(4, conv(4)), 0);
  EXPECT_EQ(uneven_macs(4, conv(5)), 16 * 36);
  EXPECT_EQ(uneven_macs(3, depthwise), 16 * 9 * 3);
  EXPECT_EQ(uneven_macs(5, depthwise), 0);
  EXPECT_EQ(uneven_macs(1, dense), 16 * 2);
}

TEST(LatencyLaw, WithoutUnevenNothingFallsWhereALayerGrows) {
  TargetLaw law;
  law.law = law_of_ones();
  const auto predicted = [](const LatencyLaw& l, std::int32_t channels) {
    GraphBuilder b("one", {4, 4, channels});
    b.pointwise("pointwise", b.input(), 4);
    return predict(l, lower(b.finish()));
  };
  EXPECT_GT(predicted(law.law, 11), predicted(law.law, 12));
  law = without_uneven(law);
  EXPECT_LT(predicted(law.law, 11), predicted(law.law, 12));
}

TEST(LatencyTerms, TapsInsideAreThoseThatTheKernelReads) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  for (int i = 0; i < 200; ++i) {
    const auto draw = [&](int low, int high) { return static_cast<std::int32_t>(random.between(low, high)); };
    Window w{draw(1, 5), draw(1, 5), draw(1, 3), draw(1, 3), {}, draw(1, 2), draw(1, 2)};
    const auto below = [&](std::int64_t span) { return draw(0, static_cast<int>(span) - 1); };
    w.padding = {below(w.span_height()), below(w.span_height()), below(w.span_width()),
                 below(w.span_width())};
    GraphBuilder b("one", {draw(9, 12), draw(9, 12), 2});
    b.conv2d("conv", b.input(), 3, w);
    const Graph g = b.finish();
    std::int64_t inside = 0;
    for (std::int32_t y = 0; y < g.node(1).shape.height; ++y)
      for (std::int32_t x = 0; x < g.node(1).shape.width; ++x)
        for (std::int32_t ky = 0; ky < w.kernel_height; ++ky)
          for (std::int32_t kx = 0; kx < w.kernel_width; ++kx) {
            const std::int32_t row = y * w.stride_height - w.padding.top + ky * w.dilation_height;
            const std::int32_t column = x * w.stride_width - w.padding.left + kx * w.dilation_width;
            inside +=
                row >= 0 && row < g.input_shape().height && column >= 0 && column < g.input_shape().width;
          }
    ASSERT_EQ(terms_of(g, 1)[1], static_cast<double>(inside * 2 * 3));
  }
}

TEST(LatencyLaw, SumsItsTermsAndSurvivesJson) {
  const Graph g = three_layers();
  double sum = 7;
  for (NodeId id = 1; id < g.size(); ++id) {
    for (const double term : terms_of(g, id)) sum += term;
  }
  const LatencyLaw law = law_of_ones();
  EXPECT_EQ(predict(law, g), sum);
  const LatencyLaw again =
      read_config<LatencyLaw>(JsonDocument::parse(to_json(law).dump(), "law"), read_latency_law);
  EXPECT_EQ(to_json(again), to_json(law));
  LatencyLaw less = law;
  less.classes.erase("average_pool2d");
  EXPECT_THAT([&] { predict(less, g); }, ThrowsMessage<Error>(HasSubstr("average_pool2d was not measured")));
}

// 6 columns in two tiles: the convolution behind the pointwise layer reads one column beside each cut.
TEST(LatencyTerms, OfTilesCountWhatIsMadeTwice) {
  GraphBuilder b("tiles", {4, 6, 2});
  const NodeId wide = b.pointwise("wide", b.input(), 5);
  b.conv2d("conv", wide, 3, square_window(3, 1, 1));
  const Graph g = lower(b.finish());
  MemoryPlan rows = plan(g);
  rows.steps = {{{0}, false}, {{1, 2}, true}};
  MemoryPlan tiles = rows;
  tiles.steps[1].tile_cuts = {3};
  // Row by row there are more calls; all else is that of whole tensors.
  Terms wide_rows = terms_of(g, 1), conv_rows = terms_of(g, 2);
  for (Terms* terms : {&wide_rows, &conv_rows}) (*terms)[0] *= 4;
  EXPECT_EQ(terms_of(g, rows), (std::vector<Terms>{terms_of(g, 0), wide_rows, conv_rows}));
  // The pointwise layer makes 4 of 6 columns in each tile, the convolution 3.
  const Terms twice = wide_rows;
  Terms wide_tiles, conv_tiles = conv_rows;
  for (std::size_t i = 0; i < twice.size(); ++i) wide_tiles[i] = twice[i] * 8 / 6;
  wide_tiles[0] = 2 * 4;
  wide_tiles[5] = 2 * 2 * 5;
  wide_tiles[7] = 2 * 4;
  conv_tiles[0] = 2 * 4;
  conv_tiles[4] = 8 * 4 * 5;  // inputs, two columns of them in both tiles
  conv_tiles[5] = 2 * 3 * 3 * 5 * 3;
  conv_tiles[7] = 2 * 4;
  const std::vector<Terms> terms = terms_of(g, tiles);
  EXPECT_EQ(terms[1], wide_tiles);
  EXPECT_EQ(terms[2], conv_tiles);
}

// Each plan of a front takes longer than those with fewer calls and MACs.
TEST(LatencyLaw, PredictsATiledPlanSlower) {
  const Family& f = family("phinet");
  const Graph g = lower(f.build(default_hyperparameters(f), {{32, 32, 1}, 2}));
  const auto law = load_latency_law(load_target("nrf52840"));
  const CodeSizesForTarget code = load_code_sizes(load_target("nrf52840"));
  const auto front = plan_front(g, {.most_mac_factor = 2});
  ASSERT_GT(front.front().macs, front.back().macs);
  int compared = 0;
  for (const FrontPoint& slow : front) {
    const Cost cost = price(g, code, slow.plan, &*law);
    EXPECT_EQ(cost.macs, slow.macs);
    EXPECT_EQ(cost.extra_macs, slow.macs - front.back().macs);
    for (const FrontPoint& fast : front) {
      if (slow.macs <= fast.macs || slow.calls <= fast.calls) continue;
      EXPECT_GT(*cost.speed->instructions, *price(g, code, fast.plan, &*law).speed->instructions);
      ++compared;
    }
  }
  EXPECT_GT(compared, 5);
  EXPECT_EQ(predict(law->law, g, plan(g)), predict(law->law, g));
}

TEST(LatencyLaw, GivesCyclesTimeAndEnergyWhereTheyAreKnown) {
  const Graph g = three_layers();
  TargetLaw t{law_of_ones(), false, std::nullopt, 1'000'000, std::nullopt};
  const double count = predict(t.law, g);
  Speed speed = estimate_speed(g, t);
  EXPECT_THAT(speed.instructions, Optional(count));
  EXPECT_FALSE(speed.cycles || speed.latency_us || speed.energy_uj);
  t.cycles_per_instruction = 2;
  t.active_milliwatts = 3;
  speed = estimate_speed(g, t);
  EXPECT_THAT(speed.cycles, Optional(2 * count));
  EXPECT_THAT(speed.latency_us, Optional(DoubleEq(2 * count)));        // at 1 MHz
  EXPECT_THAT(speed.energy_uj, Optional(DoubleEq(2 * count * 3e-3)));  // 3 mW: 3 nJ each microsecond
  t.law.counts = "cycles";
  speed = estimate_speed(g, t);
  EXPECT_FALSE(speed.instructions);
  EXPECT_THAT(speed.cycles, Optional(count));
  const CodeSizesForTarget code = load_code_sizes(load_target("nrf52840"));
  const nlohmann::json j = to_json(price(g, code));
  EXPECT_FALSE(j.contains("cycles"));
  const nlohmann::json with = to_json(price(g, code, &t));
  EXPECT_EQ(with.at("cycles"), count);
  EXPECT_EQ(with.at("speed_estimated"), true);
}

TEST(LatencyFit, FindsTheLawBehindExactSamples) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  const Terms truth{120, 2.5, 0, 14, 0, 0, 33, 0, 6, 0, .5};
  std::vector<LayerSample> samples, others;
  for (int i = 0; i < 60; ++i) {
    LayerSample s{"conv2d_spatial", {1}, 0};
    for (std::size_t k = 1; k < s.terms.size(); ++k)
      s.terms[k] = static_cast<double>(random.between(1, 5000));
    for (std::size_t k = 0; k < s.terms.size(); ++k) s.count += truth[k] * s.terms[k];
    (i < 40 ? samples : others).push_back(s);
  }
  const auto laws = fit_classes(samples, others);
  const ClassLaw& law = laws.at("conv2d_spatial");
  EXPECT_LT(law.p90_relative_error, 1e-3);
  EXPECT_EQ(law.samples, 40);
  EXPECT_EQ(law.held_out, 20);
  for (std::size_t k = 1; k < truth.size(); ++k) EXPECT_NEAR(law.coefficients[k], truth[k], 0.01);
}

TEST(LatencyFit, HasNoCostBelowZero) {
  // count = 100 - outputs: the best law without negative costs is a constant.
  std::vector<LayerSample> samples;
  for (int i = 1; i < 20; ++i) samples.push_back({"add", {1, 0, 0, static_cast<double>(i)}, 100.0 - i});
  const Terms found = fit_terms(samples);
  EXPECT_EQ(found[3], 0);
  EXPECT_GT(found[0], 80);
  EXPECT_LT(found[0], 100);
  EXPECT_THAT([&] { fit_classes({}, samples); }, ThrowsMessage<Error>(HasSubstr("no sample of add")));
}

TEST(DutyCycle, WeighsBothPowersByTime) {
  Target target;
  target.name = "t";
  target.active_power = Power{.milliwatts = 30, .microamps = {}, .volts = {}, .source = "s"};
  target.sleep_power = Power{.milliwatts = 0.1, .microamps = {}, .volts = {}, .source = "s"};
  Speed speed;
  const DutyCycle cycle{.period_s = 10, .capacity_mah = 100, .volts = 3};
  EXPECT_FALSE(price_duty_cycle(speed, target, cycle));
  speed.latency_us = 1e6;
  const auto cost = price_duty_cycle(speed, target, cycle);
  ASSERT_TRUE(cost);
  EXPECT_THAT(cost->average_milliwatts, DoubleNear(30 * 0.1 + 0.1 * 0.9, 1e-12));
  EXPECT_THAT(cost->battery_hours, DoubleNear(300 / 3.09, 1e-9));
  EXPECT_THAT(
      [&] {
        price_duty_cycle(speed, target, {0.5, 100, 3});
      },
      ThrowsMessage<Error>(HasSubstr("at least the 1.000000 s")));
  EXPECT_THAT(
      [&] {
        price_duty_cycle(speed, target, {0, 100, 3});
      },
      ThrowsMessage<Error>(HasSubstr("above 0")));
}

}  // namespace
}  // namespace mcufit
