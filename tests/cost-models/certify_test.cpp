// SPDX-License-Identifier: Apache-2.0
#include "cost-models/certify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <tuple>

#include "blocks/foundation/error.h"
#include "blocks/foundation/random.h"
#include "blocks/lower.h"
#include "cost-models/bound.h"
#include "cost-models/descent.h"
#include "cost-models/layout.h"
#include "cost-models/row_schedule.h"
#include "tests/random_seed.h"

namespace mcufit {
namespace {

const CodeSizesForTarget& code_sizes() {
  static const CodeSizesForTarget code = load_code_sizes(load_target("nrf52840"));
  return code;
}

// A law of the right form with random coefficients; what certify() proves holds for any law without negative
// ones.
TargetLaw draw_law(Random& random) {
  TargetLaw t;
  t.law.counts = "instructions";
  t.law.invoke = 100;
  for (const char* name : {"conv2d_pointwise", "conv2d_spatial", "depthwise_conv2d", "fully_connected", "add",
                           "mul", "average_pool2d", "max_pool2d", "lookup"}) {
    for (double& c : t.law.classes[name].coefficients) c = random.unit() * 4;
  }
  t.cycles_per_instruction = 1.5;
  t.clock_hz = 64'000'000;
  t.active_milliwatts = 12;
  return t;
}

// A random part of a family's fine lattice with at most `most` members.
Lattice draw_lattice(const Family& family, std::vector<Shape> inputs, std::int64_t most, Random& random) {
  Lattice lattice = fine_lattice(family, std::move(inputs), 10);
  while (lattice.members() > most) {
    auto& values = lattice.values[random.below(lattice.values.size())];
    if (values.size() > 1)
      values.erase(values.begin() + static_cast<std::ptrdiff_t>(random.below(values.size())));
  }
  return lattice;
}

// Calls visit(box) for every member of the lattice.
template <typename Visit>
void each_member(const Box& box, const Visit& visit) {
  if (box.single()) {
    visit(box);
    return;
  }
  const auto [cheaper, dearer] = BoxedLattice::split(box);
  each_member(cheaper, visit);
  each_member(dearer, visit);
}

// The slow judge: prices every member.
std::vector<Member> enumerate(const Lattice& lattice, const Budget& budget, const TargetLaw& law) {
  const BoxedLattice boxes(lattice);
  std::vector<Member> members;
  for (std::uint32_t s = 0; s < boxes.structures(); ++s) {
    each_member(boxes.whole(s), [&](const Box& box) {
      members.push_back(price_member(boxes.bottom(box), budget, code_sizes(), &law));
    });
  }
  return members;
}

Capacity size_of(const Member& m) { return capacity(m.footprint); }

// Limits around what random members need, so that some members fit; every third budget is tight.
Budget draw_budget(const std::vector<Member>& all, Random& random) {
  const auto one = [&]() -> const Member& { return all[random.below(all.size())]; };
  const std::int64_t part = random.below(3) == 0 ? 4 : 1;
  Budget budget{.flash_bytes = one().cost.flash.total() / part,
                .ram_bytes = one().cost.ram.total() / part,
                .macs = {},
                .params = {}};
  budget.plan = static_cast<PlanChoice>(random.below(plan_choice_names().size()));
  if (random.below(6) == 0) budget.mac_factor = 1.0 + random.unit();
  budget.wide_filters = random.below(3) == 0;
  if (random.below(2) == 0) budget.macs = std::max<std::int64_t>(1, one().footprint.macs / part);
  if (random.below(2) == 0) budget.params = one().footprint.params;
  if (random.below(3) == 0) budget.latency_us = *one().cost.speed->latency_us;
  if (random.below(3) == 0) budget.energy_uj = *one().cost.speed->energy_uj;
  return budget;
}

const Member* largest_fitting(const std::vector<Member>& all) {
  const Member* best = nullptr;
  for (const Member& m : all) {
    if (m.fit.fits() && (best == nullptr || size_of(m) > size_of(*best))) best = &m;
  }
  return best;
}

const Member* least_above(const std::vector<Member>& all, const Capacity& floor) {
  const Member* next = nullptr;
  for (const Member& m : all) {
    if (size_of(m) > floor && (next == nullptr || size_of(m) < size_of(*next))) next = &m;
  }
  return next;
}

void expect_equal(const Certificate& answer, const std::vector<Member>& all) {
  const Proof& p = answer.proof;
  EXPECT_EQ(p.members, static_cast<std::int64_t>(all.size()));
  EXPECT_EQ(p.members, p.ruled_out + p.priced + p.smaller);
  const Member* best = largest_fitting(all);
  ASSERT_EQ(answer.best.empty(), best == nullptr);
  if (best == nullptr) {
    const auto least = std::min_element(
        all.begin(), all.end(), [](const Member& a, const Member& b) { return a.fit.use < b.fit.use; });
    EXPECT_EQ(answer.nearest_miss->fit.use, least->fit.use);
    EXPECT_EQ(answer.miss_bound, least->fit.use);
    EXPECT_EQ(size_of(*answer.smallest), size_of(*least_above(all, {-1, -1})));
    return;
  }
  EXPECT_EQ(size_of(answer.best.front()), size_of(*best));
  EXPECT_TRUE(answer.best.front().fit.fits());
  const Member* next = least_above(all, size_of(*best));
  ASSERT_EQ(answer.next_larger.has_value(), next != nullptr);
  if (next == nullptr) return;
  EXPECT_EQ(size_of(*answer.next_larger), size_of(*next));
  EXPECT_FALSE(answer.next_larger->fit.fits());
  EXPECT_EQ(answer.binding, answer.next_larger->fit.binding);
}

bool dominates(const Member& a, const Member& b) {
  const bool no_worse = size_of(a) >= size_of(b) && a.cost.flash.total() <= b.cost.flash.total() &&
                        a.cost.ram.total() <= b.cost.ram.total();
  return no_worse && (size_of(a) > size_of(b) || a.cost.flash.total() < b.cost.flash.total() ||
                      a.cost.ram.total() < b.cost.ram.total());
}

using Point = std::tuple<Capacity, std::int64_t, std::int64_t>;

std::vector<Point> points(const std::vector<Member>& members) {
  std::vector<Point> points;
  for (const Member& m : members) points.emplace_back(size_of(m), m.cost.flash.total(), m.cost.ram.total());
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  return points;
}

// The judge of fronts: every pair.
std::vector<Member> enumerate_front(const std::vector<Member>& all) {
  std::vector<Member> front;
  for (const Member& m : all) {
    const auto beats = [&](const Member& other) { return other.fit.fits() && dominates(other, m); };
    if (m.fit.fits() && std::none_of(all.begin(), all.end(), beats)) front.push_back(m);
  }
  return front;
}

class Certify : public ::testing::TestWithParam<const Family*> {};

std::vector<Shape> inputs_of(const Family& family, std::size_t kind) {
  if (family.name() == "mlp" || family.name() == "conv1d") return {{64, 1, 3}};
  if (kind == 0) return {{24, 24, 3}};
  if (kind == 1) return {{16, 16, 1}, {24, 24, 1}, {33, 33, 1}};
  return {{49, 10, 1}, {20, 20, 1}};  // not all square: inputs are enumerated
}

TEST_P(Certify, EqualsEnumeration) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  const TargetLaw law = draw_law(random);
  for (std::size_t kind = 0; kind < 3; ++kind) {
    const Lattice lattice = draw_lattice(*GetParam(), inputs_of(*GetParam(), kind), 150, random);
    const std::vector<Member> priced =
        enumerate(lattice, {.flash_bytes = 1 << 30, .ram_bytes = 1 << 30, .macs = {}, .params = {}}, law);
    for (int i = 0; i < 4; ++i) {
      const Budget budget = draw_budget(priced, random);
      const std::vector<Member> all = enumerate(lattice, budget, law);
      const Certificate answer =
          certify(lattice, budget, code_sizes(), {.top = 1, .front = true, .law = &law});
      expect_equal(answer, all);
      if (answer.front) {
        Budget unlimited{.flash_bytes = 1 << 30, .ram_bytes = 1 << 30, .macs = {}, .params = {}};
        unlimited.wide_filters = budget.wide_filters;
        std::vector<Member> whole = enumerate(lattice, unlimited, law);
        for (Member& m : whole) m.fit = hold_against(m.footprint, m.cost, budget);
        EXPECT_EQ(points(answer.front->members), points(enumerate_front(whole)));
      }
    }
  }
}

// What the proofs rest on: no exact price is below its bound, whichever box's bottom corner gave it.
TEST_P(Certify, BoundsAreBelowExactPrices) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  Budget budget{.flash_bytes = 1 << 20, .ram_bytes = 1 << 18, .macs = 10'000'000, .params = 100'000};
  for (std::size_t kind = 0; kind < 6; ++kind) {
    budget.plan = static_cast<PlanChoice>(random.below(plan_choice_names().size()));
    budget.mac_factor = random.below(2) == 0 ? 1.0 : 1.5;
    budget.wide_filters = random.below(2) == 0;
    if (kind >= 3) budget.ram_bytes = 1 << random.between(10, 14);  // that few hold layer by layer
    const BoundedLattice bounded(draw_lattice(*GetParam(), inputs_of(*GetParam(), kind % 3), 20'000, random),
                                 budget, code_sizes());
    const BoxedLattice& boxes = bounded.boxes();
    for (int i = 0; i < 20; ++i) {
      Box box = boxes.whole(static_cast<std::uint32_t>(random.below(boxes.structures())));
      std::vector<Fit> bounds;
      while (!box.single()) {
        bounds.push_back(bounded.bound(box, boxes.bottom(box).footprint()));
        bounds.push_back(bounded.graph_bound(box, boxes.bottom(box).footprint()));
        const auto [cheaper, dearer] = BoxedLattice::split(box);
        box = random.below(2) == 0 ? cheaper : dearer;
      }
      const Member member = bounded.price(box);
      const Overhead& overhead = bounded.overhead(box);
      ASSERT_LE(flash_lower_bound(member.footprint, overhead), member.cost.flash.total())
          << member.architecture;
      const std::int64_t ram = member.cost.ram.total();
      if (!has_row_steps(member.cost.plan)) {
        ASSERT_LE(whole_ram_lower_bound(member.footprint, overhead), ram) << member.architecture;
      }
      ASSERT_LE(input_ram_lower_bound(member.architecture.task.input, overhead), ram) << member.architecture;
      const Graph lowered = lower(member.architecture.build());
      Budget exact = budget;
      exact.ram_bytes = row_ram_lower_bound(lowered, overhead, budget);
      ASSERT_LE(exact.ram_bytes, ram) << member.architecture;
      ASSERT_TRUE(rows_may_fit(lowered, overhead, exact)) << member.architecture;
      --exact.ram_bytes;
      ASSERT_FALSE(rows_may_fit(lowered, overhead, exact)) << member.architecture;
      for (const Fit& fit : bounds) ASSERT_LE(fit.use, member.fit.use) << member.architecture;
    }
  }
}

// What the bound of plans by rows rests on: `smaller` has the rows of `larger`, and in none of them more
// bytes.
void expect_same_rows(const RowGraph& smaller, const RowGraph& larger) {
  ASSERT_EQ(smaller.size(), larger.size());
  for (NodeId id = 0; id < smaller.size(); ++id) {
    ASSERT_EQ(smaller.height(id), larger.height(id)) << "node " << id;
    ASSERT_EQ(smaller.width(id), larger.width(id)) << "node " << id;
    ASSERT_EQ(smaller.makes_columns(id), larger.makes_columns(id)) << "node " << id;
    ASSERT_LE(smaller.row_bytes(id), larger.row_bytes(id)) << "node " << id;
    ASSERT_EQ(smaller.reshapes(id), larger.reshapes(id)) << "node " << id;
    ASSERT_EQ(smaller.inputs(id).size(), larger.inputs(id).size()) << "node " << id;
    for (std::size_t i = 0; i < smaller.inputs(id).size(); ++i) {
      const RowGraph::Edge &a = smaller.inputs(id)[i], &b = larger.inputs(id)[i];
      ASSERT_EQ(a.node, b.node) << "node " << id;
      ASSERT_EQ(std::tie(a.window.stride, a.window.first, a.window.span, a.window.sources),
                std::tie(b.window.stride, b.window.first, b.window.span, b.window.sources))
          << "node " << id;
    }
  }
}

TEST_P(Certify, ABottomCornerHasEveryMembersRows) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  for (std::size_t kind = 0; kind < 3; ++kind) {
    const BoxedLattice boxes(draw_lattice(*GetParam(), inputs_of(*GetParam(), kind), 20'000, random),
                             RowAxes::enumerated);
    for (int i = 0; i < 40; ++i) {
      Box box = boxes.whole(static_cast<std::uint32_t>(random.below(boxes.structures())));
      const RowGraph bottom(lower(boxes.bottom(box).build()));
      while (!box.single()) {
        const auto [cheaper, dearer] = BoxedLattice::split(box);
        box = random.below(2) == 0 ? cheaper : dearer;
      }
      SCOPED_TRACE(to_string(boxes.bottom(box)));
      expect_same_rows(bottom, RowGraph(lower(boxes.bottom(box).build())));
      if (HasFatalFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Certify, ::testing::ValuesIn(families().begin(), families().end()),
                         [](const auto& instance) { return std::string(instance.param->name()); });

// More than a million members, of which few may be priced.
TEST(CertifyLarge, FewOfAMillionArePriced) {
  std::vector<Shape> inputs;
  for (std::int32_t side = 48; side <= 224; side += 16) inputs.push_back({side, side, 3});
  const Lattice lattice = fine_lattice(family("phinet"), inputs, 2);
  ASSERT_GE(lattice.members(), 1'000'000);
  for (const Budget& budget :
       {Budget{.flash_bytes = 1 << 20, .ram_bytes = 1 << 18, .macs = {}, .params = {}},
        Budget{.flash_bytes = 1 << 20, .ram_bytes = 392 << 10, .macs = 63'000'000, .params = {}}}) {
    const Certificate answer = certify(lattice, budget, code_sizes());
    ASSERT_EQ(answer.best.size(), 1U);
    EXPECT_LE(answer.proof.priced_exactly(), 5000);
    EXPECT_EQ(answer.proof.members, answer.proof.ruled_out + answer.proof.priced + answer.proof.smaller);
    ASSERT_TRUE(answer.next_larger.has_value());
    EXPECT_GT(answer.next_larger->fit.use, 1.0);
  }
}

TEST(CertifyLaw, ALimitOnWhatIsNotKnownIsAConfigError) {
  const Lattice lattice = fine_lattice(family("mlp"), {{1, 1, 64}}, 2);
  Budget budget{.flash_bytes = 1 << 20, .ram_bytes = 1 << 18, .macs = {}, .params = {}};
  budget.latency_us = 100;
  EXPECT_THROW(certify(lattice, budget, code_sizes()), Error);
}

TEST(CertifyLattice, EmptyOrRepeatedInputsAreRefused) {
  EXPECT_THROW(fine_lattice(family("phinet"), {}, 2), Error);
  EXPECT_THROW(fine_lattice(family("phinet"), {{32, 32, 3}, {32, 32, 3}}, 2), Error);
}

}  // namespace
}  // namespace mcufit
