// SPDX-License-Identifier: Apache-2.0
#include "cost-models/price_plan.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "blocks/family.h"
#include "blocks/foundation/random.h"
#include "blocks/lower.h"
#include "cost-models/layout.h"
#include "tests/random_seed.h"

namespace mcufit {
namespace {

const CodeSizesForTarget& code_sizes() {
  static const CodeSizesForTarget code = load_code_sizes(load_target("nrf52840"));
  return code;
}

// A random member of a convolutional family, lowered.
Graph draw_network(Random& random) {
  constexpr std::array<const char*, 4> kFamilies{"phinet", "mobilenetv2", "resnet", "ds_cnn"};
  const Family& f = family(kFamilies[random.below(kFamilies.size())]);
  Hyperparameters h;
  for (std::size_t i = 0; i < f.parameters().size(); ++i) {
    const auto& values = f.parameters()[i].lattice;
    h[i] = values[random.below(values.size())];
  }
  const auto side = static_cast<std::int32_t>(random.between(16, 48));
  return lower(f.build(h, {{side, side, 3}, 4}));
}

Budget budget_of(PlanChoice plan, std::int64_t ram_bytes) {
  Budget budget{.flash_bytes = 1 << 20, .ram_bytes = ram_bytes, .macs = {}, .params = {}};
  budget.plan = plan;
  return budget;
}

TEST(PricePlan, WhatIsExportedIsNeverLargerThanItsCandidate) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  int by_rows = 0;
  for (int i = 0; i < 30; ++i) {
    const Graph lowered = draw_network(random);
    const std::int64_t whole = price(lowered, code_sizes()).ram.total();
    for (const PlanChoice plan : {PlanChoice::fits, PlanChoice::layer_by_layer, PlanChoice::least_ram}) {
      const Budget budget = budget_of(plan, whole * random.between(20, 120) / 100);
      const Cost candidate = price_candidate(lowered, code_sizes(), budget);
      const Cost package = price_package(lowered, code_sizes(), budget);
      EXPECT_LE(package.ram.total(), candidate.ram.total());
      EXPECT_LE(candidate.ram.total(), whole);
      if (plan == PlanChoice::layer_by_layer) {
        EXPECT_EQ(candidate.ram.total(), whole);
        EXPECT_FALSE(has_row_steps(package.plan));
      }
      // Layer by layer where that fits.
      if (plan == PlanChoice::fits && whole <= budget.ram_bytes) {
        EXPECT_FALSE(has_row_steps(package.plan));
        EXPECT_EQ(package.ram, price(lowered, code_sizes()).ram);
      }
      by_rows += has_row_steps(package.plan) ? 1 : 0;
    }
  }
  EXPECT_GT(by_rows, 20);
}

TEST(PricePlan, AQuickPlanKeepsToALimitThatItsSmallestMeets) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  for (int i = 0; i < 30; ++i) {
    const Graph lowered = draw_network(random);
    const std::int64_t least = plan(lowered, {.mode = PlanMode::quick}).arena_bytes;
    const std::int64_t limit = random.between(least, plan(lowered).arena_bytes);
    EXPECT_LE(plan(lowered, {.mode = PlanMode::quick, .ram_limit = limit}).arena_bytes, limit);
  }
}

TEST(PricePlan, AFactorIsKeptAndNeverNeedsMoreRam) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  for (int i = 0; i < 10; ++i) {
    const Graph lowered = draw_network(random);
    const std::int64_t whole = price(lowered, code_sizes()).ram.total();
    for (const PlanChoice plan : {PlanChoice::fits, PlanChoice::least_ram}) {
      const Budget once = budget_of(plan, whole * random.between(10, 80) / 100);
      Budget budget = once;
      budget.mac_factor = 1.0 + random.unit();
      const Cost plain = price_package(lowered, code_sizes(), once);
      const Cost package = price_package(lowered, code_sizes(), budget);
      EXPECT_EQ(plain.extra_macs, 0);
      EXPECT_EQ(package.macs - package.extra_macs, plain.macs);
      EXPECT_LE(package.mac_factor(), budget.mac_factor);
      EXPECT_LE(package.ram.total(), plain.ram.total());
      const Cost candidate = price_candidate(lowered, code_sizes(), budget);
      EXPECT_LE(package.ram.total(), candidate.extra_macs > 0 ? budget.ram_bytes : candidate.ram.total());
      EXPECT_LE(candidate.mac_factor(), budget.mac_factor);
      const auto fed = price_package_fed_by_rows(lowered, code_sizes(), once);
      const auto fed_tiles = price_package_fed_by_rows(lowered, code_sizes(), budget);
      ASSERT_TRUE(fed_tiles || !fed);
      if (fed) {
        EXPECT_LE(fed_tiles->ram.total(), fed->ram.total());
      }
      budget.macs = plain.macs;
      EXPECT_LE(price_package(lowered, code_sizes(), budget).macs, plain.macs);
    }
  }
}

TEST(PricePlan, MacsAreMadeAgainWhereNothingElseFits) {
  const Family& f = family("phinet");
  const Graph lowered = lower(f.build(default_hyperparameters(f), {{32, 32, 1}, 2}));
  const std::int64_t least =
      price_package(lowered, code_sizes(), budget_of(PlanChoice::least_ram, 1 << 18)).ram.total();
  const auto priced = [&](PlanChoice plan, std::int64_t ram_bytes) {
    Budget budget = budget_of(plan, ram_bytes);
    budget.mac_factor = 2;
    if (plan == PlanChoice::fits) {
      EXPECT_LE(price_candidate(lowered, code_sizes(), budget).ram.total(), ram_bytes);
    }
    return price_package(lowered, code_sizes(), budget);
  };
  EXPECT_EQ(priced(PlanChoice::fits, least).extra_macs, 0);
  const Cost tiled = priced(PlanChoice::fits, least - 1000),
             smallest = priced(PlanChoice::least_ram, 1 << 18);
  EXPECT_GT(tiled.extra_macs, 0);
  EXPECT_LE(tiled.ram.total(), least - 1000);
  // Of those that fit the fewest MACs, and not the least RAM.
  EXPECT_LT(tiled.macs, smallest.macs);
  EXPECT_GT(tiled.ram.total(), smallest.ram.total());
  EXPECT_EQ(tiled.ram.total(), priced(PlanChoice::fits, tiled.ram.total()).ram.total());
}

TEST(PricePlan, ChoicesHaveNames) {
  for (const std::string& name : plan_choice_names()) EXPECT_EQ(to_string(*find_plan_choice(name)), name);
  EXPECT_FALSE(find_plan_choice("quick").has_value());
}

}  // namespace
}  // namespace mcufit
