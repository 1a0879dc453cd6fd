// SPDX-License-Identifier: Apache-2.0
#include "exporters/short_form.h"

#include <gtest/gtest.h>

#include <limits>

namespace mcufit {
namespace {

constexpr std::int32_t kLimit = 1 << 30;

// Two channels of two taps each, far inside of the form's reach.
template <typename Step>
Step inside() {
  Step step{};
  step.fields.requantization.output_min = -128;
  step.fields.requantization.output_max = 127;
  step.tables = {.filter = {1, 2, 3, 4}, .bias = {5, 6}, .multiplier = {7, 8}, .shift = {-1, -21}};
  return step;
}

template <typename Step>
class ShortForm : public ::testing::Test {};
using Steps = ::testing::Types<Conv2dStep, DepthwiseConv2dStep, FullyConnectedStep>;
TYPED_TEST_SUITE(ShortForm, Steps);

TYPED_TEST(ShortForm, HoldsInside) { EXPECT_TRUE(short_form(inside<TypeParam>())); }

TYPED_TEST(ShortForm, AsksForShiftsToTheRightBy1To21Bits) {
  for (const int shift : {0, 1, 30, -22, -31}) {
    TypeParam step = inside<TypeParam>();
    step.tables.shift[1] = static_cast<std::int8_t>(shift);
    EXPECT_FALSE(short_form(step)) << shift;
  }
}

TYPED_TEST(ShortForm, AsksForAllOfInt8) {
  TypeParam step = inside<TypeParam>();
  step.fields.requantization.output_min = -127;
  EXPECT_FALSE(short_form(step));
  step = inside<TypeParam>();
  step.fields.requantization.output_max = 126;
  EXPECT_FALSE(short_form(step));
}

TYPED_TEST(ShortForm, AsksForSumsBelowItsLimit) {
  for (const std::int32_t sign : {1, -1}) {
    TypeParam step = inside<TypeParam>();
    step.tables.filter = {0, 0, 0, 0};
    step.tables.bias[1] = sign * (kLimit - 1);
    EXPECT_TRUE(short_form(step));
    step.tables.bias[1] = sign * kLimit;
    EXPECT_FALSE(short_form(step));
  }
  TypeParam step = inside<TypeParam>();
  step.tables.bias = {std::numeric_limits<std::int32_t>::min(), 0};
  EXPECT_FALSE(short_form(step));
}

// Taps of a channel count for it alone: 3 and 4 of the second output, or 2 and 4 of the second channel.
TEST(ShortFormTaps, CountForTheirChannel) {
  const auto holds = [](auto step, std::int32_t taps, std::int32_t more) {
    step.tables.bias[1] = kLimit - 1 - 128 * taps + more;
    return short_form(step);
  };
  EXPECT_TRUE(holds(inside<Conv2dStep>(), 7, 0));
  EXPECT_FALSE(holds(inside<Conv2dStep>(), 7, 1));
  EXPECT_TRUE(holds(inside<FullyConnectedStep>(), 7, 0));
  EXPECT_FALSE(holds(inside<FullyConnectedStep>(), 7, 1));
  EXPECT_TRUE(holds(inside<DepthwiseConv2dStep>(), 6, 0));
  EXPECT_FALSE(holds(inside<DepthwiseConv2dStep>(), 6, 1));
}

}  // namespace
}  // namespace mcufit
