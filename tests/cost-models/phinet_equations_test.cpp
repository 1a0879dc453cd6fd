// SPDX-License-Identifier: Apache-2.0
#include "cost-models/phinet_equations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "blocks/foundation/error.h"
#include "blocks/foundation/random.h"
#include "tests/random_seed.h"

namespace mcufit {
namespace {

std::vector<PhiNetRoot> plausible(std::vector<PhiNetRoot> roots) {
  std::erase_if(roots, [](const PhiNetRoot& root) { return !root.plausible; });
  return roots;
}

// Forward figures worked out independently from the paper's sums.
TEST(PhiNetEquations, ForwardAndBack) {
  const PhiNetDemands d = phinet_demands({1, 0.66, 4}, {});
  EXPECT_NEAR(d.params, 355'946, 0.5);
  EXPECT_NEAR(d.macs, 89'991'337, 0.5);
  EXPECT_NEAR(d.ram_bytes, 401'408, 0.5);
  const auto roots = plausible(invert_phinet_equations({355'946, 89'991'337, 401'408}, {}));
  ASSERT_EQ(roots.size(), 1U);
  EXPECT_NEAR(roots[0].knobs.alpha, 1, 2e-5);
  EXPECT_NEAR(roots[0].knobs.beta, 0.66, 2e-5);
  EXPECT_NEAR(roots[0].knobs.t_zero, 4, 8e-5);
}

TEST(PhiNetEquations, RandomRoundTripsReturnTheTrueRootAndNoOther) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  const auto uniform = [&](double low, double high) { return low + random.unit() * (high - low); };
  for (int i = 0; i < 500; ++i) {
    const PhiNetKnobs truth{uniform(0.1, 2), uniform(0.3, 2), uniform(1, 8)};
    PhiNetFrame frame;
    frame.height = frame.width = static_cast<std::int32_t>(random.between(16, 128));
    frame.num_layers = static_cast<std::int32_t>(random.between(4, 9));
    const auto roots = invert_phinet_equations(phinet_demands(truth, frame), frame);
    const auto found = plausible(roots);
    ASSERT_EQ(found.size(), 1U) << "case " << i << ", alpha " << truth.alpha << ", beta " << truth.beta
                                << ", t_zero " << truth.t_zero << ", layers " << frame.num_layers;
    EXPECT_NEAR(found[0].knobs.alpha, truth.alpha, 1e-6 * truth.alpha);
    EXPECT_NEAR(found[0].knobs.beta, truth.beta, 1e-5);
    EXPECT_NEAR(found[0].knobs.t_zero, truth.t_zero, 1e-5);
  }
}

// The paper's example names limits that no choice of its own frame meets exactly: an answer, not an error.
TEST(PhiNetEquations, DemandsThatContradictEachOtherHaveNoPlausibleRoot) {
  EXPECT_TRUE(plausible(invert_phinet_equations({1e6, 1e3, 4e5}, {})).empty());
}

TEST(PhiNetEquations, NonsenseIsRefused) {
  EXPECT_THROW(invert_phinet_equations({0, 1, 1}, {}), Error);
  EXPECT_THROW(invert_phinet_equations({1, std::nan(""), 1}, {}), Error);
  EXPECT_THROW(phinet_demands({}, {.num_layers = 0}), Error);
}

}  // namespace
}  // namespace mcufit
