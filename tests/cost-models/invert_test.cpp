// SPDX-License-Identifier: Apache-2.0
#include "cost-models/invert.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "blocks/foundation/random.h"
#include "blocks/lower.h"
#include "tests/random_seed.h"

namespace mcufit {
namespace {

CodeSizesForTarget code_sizes() { return load_code_sizes(load_target("nrf52840")); }

// The slow judge: prices every member of the lattice.
std::vector<Member> enumerate(const Family& family, const Task& task, const Budget& budget) {
  std::vector<Hyperparameters> all{Hyperparameters{}};
  const auto parameters = family.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    std::vector<Hyperparameters> longer;
    for (const Hyperparameters& h : all) {
      for (const double value : parameters[i].lattice) {
        longer.push_back(h);
        longer.back()[i] = value;
      }
    }
    all = std::move(longer);
  }
  const CodeSizesForTarget code = code_sizes();
  std::vector<Member> members;
  for (const Hyperparameters& h : all) members.push_back(price_member({&family, h, task}, budget, code));
  return members;
}

TEST(Invert, EqualsExhaustiveEnumeration) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  const Task task{{28, 28, 1}, 10};
  for (const Family* f : families()) {
    Budget budget{.flash_bytes = random.between(16 << 10, 64 << 10),
                  .ram_bytes = random.between(4 << 10, 24 << 10),
                  .macs = 1'500'000,
                  .params = {}};
    budget.plan = static_cast<PlanChoice>(random.below(plan_choice_names().size()));
    const Inversion answer = invert(*f, task, budget, code_sizes());
    const std::vector<Member> all = enumerate(*f, task, budget);
    EXPECT_EQ(answer.lattice_members, static_cast<std::int64_t>(all.size()));
    EXPECT_LE(answer.priced_members, answer.lattice_members);
    std::int64_t fitting = 0;
    const Member* best = nullptr;
    const auto capacity = [](const Member& m) { return std::tuple(m.footprint.macs, m.footprint.params); };
    for (const Member& m : all) {
      if (!m.fit.fits()) continue;
      ++fitting;
      if (best == nullptr || capacity(m) > capacity(*best)) best = &m;
    }
    ASSERT_EQ(answer.fitting_members, fitting) << f->name();
    for (std::size_t i = 0; i < answer.fitting.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (capacity(answer.fitting[i]) != capacity(answer.fitting[j])) continue;
        EXPECT_FALSE(answer.fitting[i].architecture.build() == answer.fitting[j].architecture.build());
      }
    }
    if (best == nullptr) continue;
    EXPECT_EQ(capacity(answer.fitting.front()), capacity(*best)) << f->name();
    const Member* next = nullptr;
    for (const Member& m : all) {
      if (!m.fit.fits() && capacity(m) > capacity(*best) &&
          (next == nullptr || capacity(m) < capacity(*next)))
        next = &m;
    }
    ASSERT_EQ(answer.next_larger.has_value(), next != nullptr);
    if (next != nullptr) {
      EXPECT_EQ(capacity(*answer.next_larger), capacity(*next));
      EXPECT_FALSE(answer.next_larger->fit.fits());
    }
  }
}

TEST(Invert, NothingFitsNamesTheNearestMiss) {
  const Budget budget{.flash_bytes = 4096, .ram_bytes = 512, .macs = {}, .params = {}};
  for (const Family* f : families()) {
    const Inversion answer = invert(*f, {{28, 28, 1}, 10}, budget, code_sizes());
    EXPECT_TRUE(answer.fitting.empty());
    ASSERT_TRUE(answer.nearest_miss.has_value());
    EXPECT_GT(answer.nearest_miss->fit.use, 1.0);
    EXPECT_NE(answer.binding, Resource::none);
  }
}

TEST(Price, LedgersAddUp) {
  const Architecture a{&family("phinet"), default_hyperparameters(family("phinet")), {{28, 28, 1}, 10}};
  const Graph lowered = lower(a.build());
  Cost cost = price(lowered, code_sizes());
  store_wide_filters(cost, lowered, code_sizes());
  EXPECT_GT(cost.flash.wider_filter_bytes, 0);
  EXPECT_EQ(cost.macs, a.footprint().macs);
  EXPECT_EQ(cost.flash.total(), cost.flash.weights_bytes + cost.flash.wider_filter_bytes +
                                    cost.flash.bias_bytes + cost.flash.table_bytes + cost.flash.step_bytes +
                                    cost.flash.code_bytes);
  EXPECT_EQ(cost.ram.total(), cost.plan.arena_bytes + cost.ram.stack_bytes);
  EXPECT_GT(cost.ram.stack_bytes, 0);
  EXPECT_GT(cost.flash.code_bytes, 1000);
}

}  // namespace
}  // namespace mcufit
