// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "exporters/runtime/mcufit_rounding.h"
#include "tests/exporters/random_graphs.h"

namespace mcufit::testing {
namespace {

constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t kHalf = 1 << 30;  // 0.5 * 2^31

// The rule as gemmlowp words it: a nudge of the product's sign, then a division that truncates.
std::int32_t nudged_high_multiply(std::int32_t a, std::int32_t b) {
  const std::int64_t product = std::int64_t{a} * b;
  const std::int64_t nudge = product >= 0 ? std::int64_t{1} << 30 : 1 - (std::int64_t{1} << 30);
  return static_cast<std::int32_t>((product + nudge) / (std::int64_t{1} << 31));
}

std::int32_t divided_away_from_zero(std::int32_t x, int bits) {
  const std::int64_t divisor = std::int64_t{1} << bits;
  const std::int64_t magnitude = (std::abs(std::int64_t{x}) * 2 + divisor) / (2 * divisor);
  return static_cast<std::int32_t>(x < 0 ? -magnitude : magnitude);
}

std::int32_t any_int32(Random& random) {
  switch (random.below(8)) {
    case 0:
      return kLeast + static_cast<std::int32_t>(random.below(3));
    case 1:
      return kMost - static_cast<std::int32_t>(random.below(3));
    case 2:
      return static_cast<std::int32_t>(random.between(-4, 4));
    default:
      return static_cast<std::int32_t>(random.between(kLeast, kMost) >> random.below(31));
  }
}

TEST(Rounding, HighMultiplySaturatesOnlyAtTheLeastTimesTheLeast) {
  EXPECT_EQ(mcufit_doubling_high_multiply(kLeast, kLeast), kMost);
  EXPECT_EQ(mcufit_doubling_high_multiply(kLeast, kMost), -2147483647);
  EXPECT_EQ(mcufit_doubling_high_multiply(kMost, kLeast), -2147483647);
  EXPECT_EQ(mcufit_doubling_high_multiply(kMost, kMost), 2147483646);
}

TEST(Rounding, HighProductFromHalvesEqualsTheWideOne) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < 200'000; ++i) {
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const std::int32_t a = any_int32(random), b = any_int32(random);
    if (a == kLeast && b == kLeast) continue;
    ASSERT_EQ(mcufit_rounding_high_product_halves(a, b), mcufit_rounding_high_product_wide(a, b))
        << a << " * " << b << ", " << case_name(seed, i);
    ASSERT_EQ(mcufit_rounding_high_product_halves(a, kHalf), mcufit_rounding_high_product_wide(a, kHalf))
        << a << ", " << case_name(seed, i);
  }
}

TEST(Rounding, RequantizingFromHalvesEqualsTheWideOne) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < 200'000; ++i) {
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const std::int32_t x = any_int32(random), multiplier = any_int32(random) & kMost;
    const int shift = static_cast<int>(random.below(62)) - 31;
    for (const std::int32_t m : {multiplier, kMost, kHalf, 0}) {
      ASSERT_EQ(mcufit_requantize_halves(x, m, shift), mcufit_requantize_wide(x, m, shift))
          << x << " * " << m << ", shift " << shift << ", " << case_name(seed, i);
    }
  }
}

TEST(Rounding, HighMultiplyRoundsTiesUpwards) {
  EXPECT_EQ(mcufit_doubling_high_multiply(1, kHalf), 1);    // 0.5
  EXPECT_EQ(mcufit_doubling_high_multiply(-1, kHalf), 0);   // -0.5
  EXPECT_EQ(mcufit_doubling_high_multiply(3, kHalf), 2);    // 1.5
  EXPECT_EQ(mcufit_doubling_high_multiply(-3, kHalf), -1);  // -1.5
  EXPECT_EQ(mcufit_doubling_high_multiply(kHalf, kHalf), 1 << 29);
}

TEST(Rounding, ShiftRightRoundsTiesAwayFromZero) {
  EXPECT_EQ(mcufit_rounding_shift_right(5, 1), 3);    // 2.5
  EXPECT_EQ(mcufit_rounding_shift_right(-5, 1), -3);  // -2.5
  EXPECT_EQ(mcufit_rounding_shift_right(4, 3), 1);    // 0.5
  EXPECT_EQ(mcufit_rounding_shift_right(-4, 3), -1);  // -0.5
  EXPECT_EQ(mcufit_rounding_shift_right(3, 3), 0);    // 0.375
  EXPECT_EQ(mcufit_rounding_shift_right(-3, 3), 0);
  EXPECT_EQ(mcufit_rounding_shift_right(-77, 0), -77);
  EXPECT_EQ(mcufit_rounding_shift_right(kHalf, 31), 1);
  EXPECT_EQ(mcufit_rounding_shift_right(-kHalf, 31), -1);
  EXPECT_EQ(mcufit_rounding_shift_right(kHalf - 1, 31), 0);
  EXPECT_EQ(mcufit_rounding_shift_right(kMost, 31), 1);
  EXPECT_EQ(mcufit_rounding_shift_right(kLeast, 31), -1);
}

TEST(Rounding, RequantizeRoundsTwice) {
  EXPECT_EQ(mcufit_requantize(5, kHalf, -1), 2);    // 1.25, but 2.5 -> 3 -> 1.5 -> 2
  EXPECT_EQ(mcufit_requantize(-5, kHalf, -1), -1);  // -1.25: -2.5 -> -2 -> -1
  EXPECT_EQ(mcufit_requantize(-7, kHalf, -1), -2);  // -1.75: -3.5 -> -3 -> -1.5 -> -2
  EXPECT_EQ(mcufit_requantize(7, kHalf, 0), 4);
  EXPECT_EQ(mcufit_requantize(-7, kHalf, 0), -3);
  EXPECT_EQ(mcufit_requantize(100, kHalf, 1), 100);
  EXPECT_EQ(mcufit_requantize(-100, 3 << 29, 2), -300);  // 0.75 * 2^2
  EXPECT_EQ(mcufit_requantize(12345, 0, 0), 0);
}

TEST(Rounding, LeftShiftWraps) {
  EXPECT_EQ(mcufit_shift_left(-3, 20), -3145728);
  EXPECT_EQ(mcufit_shift_left(kHalf, 1), kLeast);
  EXPECT_EQ(mcufit_requantize(kHalf, kHalf, 1), -kHalf);
}

TEST(Rounding, EqualsTheWordedRuleOnRandomNumbers) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < 200000; ++i) {
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const std::int32_t a = any_int32(random), b = any_int32(random);
    const int bits = static_cast<int>(random.below(32));
    if (a != kLeast || b != kLeast) {
      ASSERT_EQ(mcufit_doubling_high_multiply(a, b), nudged_high_multiply(a, b))
          << case_name(seed, i) << ": " << a << ", " << b;
    }
    ASSERT_EQ(mcufit_rounding_shift_right(a, bits), divided_away_from_zero(a, bits)) << case_name(seed, i);
  }
}

TEST(Rounding, ClampKeepsBothEnds) {
  EXPECT_EQ(mcufit_clamp(kMost, -128, 127), 127);
  EXPECT_EQ(mcufit_clamp(kLeast, -128, 127), -128);
  EXPECT_EQ(mcufit_clamp(-5, -4, 60), -4);
  EXPECT_EQ(mcufit_clamp(7, -4, 60), 7);
}

}  // namespace
}  // namespace mcufit::testing
