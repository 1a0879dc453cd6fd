// SPDX-License-Identifier: Apache-2.0
// What depthwise filters cost in flash as the core's kernels compute with them.
#include <gtest/gtest.h>

#include "blocks/builder.h"
#include "blocks/family.h"
#include "blocks/lower.h"
#include "cost-models/cores.h"
#include "cost-models/layout.h"
#include "cost-models/price_plan.h"
#include "cost-models/ways_out.h"

namespace mcufit {
namespace {

Window window_of(std::int32_t height, std::int32_t width, std::int32_t dilation_width = 1) {
  Window w;
  w.kernel_height = height;
  w.kernel_width = width;
  w.dilation_width = dilation_width;
  return w;
}

Graph depthwise_net(std::int32_t channels, const Window& window, std::int32_t multiplier = 1) {
  GraphBuilder builder("depthwise", {20, 60, channels});
  builder.depthwise_conv2d("depthwise", builder.input(), window);
  Graph net = lower(builder.finish());
  std::get<DepthwiseConv2d>(net.nodes[1].op).multiplier = multiplier;
  net.nodes[1].shape.channels *= multiplier;
  return net;
}

std::int64_t wider_bytes(std::int32_t channels, const Window& window, std::int32_t multiplier = 1) {
  return wider_filter_bytes(depthwise_net(channels, window, multiplier), 1);
}

Budget budget_of(bool wide_filters, std::int64_t flash_bytes = 1 << 20) {
  Budget budget{.flash_bytes = flash_bytes, .ram_bytes = 1 << 18, .macs = {}, .params = {}};
  budget.wide_filters = wide_filters;
  return budget;
}

// A sample of each core that the tables of code sizes know.
CodeSizesForTarget code_of(const std::string& core) {
  Target target;
  target.core = core;
  return load_code_sizes(target);
}

TEST(WideFilters, CostWhatTheirWordsAreMoreThanTheirBytes) {
  // Of four channels with nine taps: 4 biases, 4 x 5 pairs of taps, 4 x 3 words of scales.
  EXPECT_EQ(wider_bytes(4, window_of(3, 3)), (4 + 20 + 12) * 4 - 4 * 9);
  EXPECT_EQ(wider_bytes(5, window_of(3, 3)), 2 * (4 + 20 + 12) * 4 - 5 * 9) << "the last block overlaps";
  EXPECT_EQ(wider_bytes(64, window_of(3, 3)), 16 * (4 + 20 + 12) * 4 - 64 * 9);
  EXPECT_EQ(wider_bytes(4, window_of(5, 5)), (4 + 52 + 12) * 4 - 4 * 25);
  EXPECT_EQ(wider_bytes(5, window_of(5, 5)), 2 * (4 + 52 + 12) * 4 - 5 * 25);
  EXPECT_EQ(wider_bytes(64, window_of(5, 5)), 16 * (4 + 52 + 12) * 4 - 64 * 25);
  EXPECT_EQ(wider_bytes(8, window_of(2, 1)), 2 * (4 + 4 + 12) * 4 - 8 * 2);
}

TEST(WideFilters, CostNothingWhereTheKernelComputesChannelByChannel) {
  EXPECT_EQ(wider_bytes(3, window_of(3, 3)), 0);
  EXPECT_EQ(wider_bytes(8, window_of(3, 3), 2), 0) << "two outputs of each input";
  EXPECT_EQ(wider_bytes(8, window_of(3, 3, 2)), 0) << "columns with gaps";
  EXPECT_EQ(wider_bytes(8, window_of(3, 17)), 0) << "51 taps";
  EXPECT_GT(wider_bytes(8, window_of(5, 10)), 0);
  EXPECT_GT(wider_bytes(8, window_of(3, 16)), 0);
  EXPECT_EQ(wider_bytes(8, window_of(1, 50)), 2 * (4 + 100 + 12) * 4 - 8 * 50);
  GraphBuilder builder("conv", {16, 16, 8});
  builder.conv2d("conv", builder.input(), 8, window_of(3, 3));
  EXPECT_EQ(wider_filter_bytes(lower(builder.finish()), 1), 0);
}

TEST(WideFilters, AreChargedWhereTheCoresKernelsReadThem) {
  const Graph net = depthwise_net(64, window_of(3, 3));
  for (const Core& core : cores()) {
    const CodeSizesForTarget code = code_of(core.name);
    const Cost packed = price_package(net, code, budget_of(false));
    const Cost wide = price_package(net, code, budget_of(true));
    const bool reads = core.name == "cortex-m4" || core.name == "cortex-m7" || core.name == "cortex-m33";
    EXPECT_EQ(reads_wide_filters(code), reads) << core.name;
    EXPECT_EQ(wide.wide_filters(), reads) << core.name;
    EXPECT_EQ(wide.flash.wider_filter_bytes, reads ? 1728 : 0) << core.name;
    EXPECT_EQ(wide.flash.total() - packed.flash.total(), reads ? 1728 : 0) << core.name;
    EXPECT_EQ(wide.flash.weights_bytes, 64 * 9) << core.name;
    EXPECT_EQ(wide.ram, packed.ram) << core.name;
    EXPECT_FALSE(packed.wide_filters()) << core.name;
    EXPECT_EQ(constant_bytes(wide, net, 1) - constant_bytes(packed, net, 1), reads ? 1728 : 0) << core.name;
  }
}

// Whoever decides about plans counts the bytes, whatever the plan.
TEST(WideFilters, AreInEachPrice) {
  const Family& f = family("ds_cnn");
  const Graph net = lower(f.build(default_hyperparameters(f), {{49, 10, 1}, 12}));
  const CodeSizesForTarget code = code_of("cortex-m4");
  std::int64_t bytes = 0;
  for (NodeId id = 0; id < net.size(); ++id) bytes += wider_filter_bytes(net, id);
  ASSERT_GT(bytes, 0);
  for (const PlanChoice plan : {PlanChoice::fits, PlanChoice::layer_by_layer, PlanChoice::least_ram}) {
    Budget budget = budget_of(true);
    budget.plan = plan;
    budget.mac_factor = plan == PlanChoice::layer_by_layer ? 1 : 1.5;
    EXPECT_EQ(price_candidate(net, code, budget).flash.wider_filter_bytes, bytes);
    EXPECT_EQ(price_package(net, code, budget).flash.wider_filter_bytes, bytes);
    const auto fed = price_package_fed_by_rows(net, code, budget);
    ASSERT_TRUE(fed);
    EXPECT_EQ(fed->flash.wider_filter_bytes, bytes);
  }
}

TEST(WideFilters, PackedOnesAreAWayOut) {
  const Graph net = depthwise_net(64, window_of(3, 3));
  const CodeSizesForTarget code = code_of("cortex-m4");
  Budget budget = budget_of(true);
  budget.flash_bytes = price_package(net, code, budget).flash.total() - 1;
  budget.ram_bytes = 1 << 20;
  const Cost cost = price_package(net, code, budget);
  const Shortage shortage = find_shortage(net, cost, budget);
  EXPECT_EQ(shortage.binding, Resource::flash);
  EXPECT_EQ(shortage.step_bytes, constant_bytes(cost, net, 1));
  int packed = 0;
  for (const WayOut& way : ways_out(net, cost, budget, code)) {
    if (way.change.find("--wide-filters") == std::string::npos) continue;
    ++packed;
    EXPECT_TRUE(way.fits);
    EXPECT_EQ(way.cost.flash.total(), cost.flash.total() - 1728);
  }
  EXPECT_EQ(packed, 1);
}

}  // namespace
}  // namespace mcufit
