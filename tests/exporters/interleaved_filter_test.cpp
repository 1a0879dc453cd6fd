// SPDX-License-Identifier: Apache-2.0
#include "exporters/interleaved_filter.h"

#include <gtest/gtest.h>

#include "blocks/foundation/random.h"
#include "tests/exporters/random_graphs.h"

namespace mcufit::testing {
namespace {

// [outputs][inputs] of weights above -128.
std::vector<std::int8_t> random_filter(Random& random, int outputs, int inputs) {
  std::vector<std::int8_t> filter(static_cast<std::size_t>(outputs * inputs));
  for (std::int8_t& w : filter) w = static_cast<std::int8_t>(random.between(-127, 127));
  return filter;
}

int weight(const std::vector<std::int8_t>& filter, int at) {
  return int{filter[static_cast<std::size_t>(at)]};
}

// The half word of outputs `pair` and `pair` + 1 for an input.
int half_word(const InterleavedFilter& f, int inputs, int pair, int input) {
  constexpr int place[] = {0, 2, 1, 3};  // of an input among four
  const int at = pair / 4 * 4 * inputs + input / 4 * 16 + pair % 4 * 4 + place[input % 4] * 2;
  return weight(f.bytes, at + 1) * 256 + static_cast<std::uint8_t>(weight(f.bytes, at));
}

TEST(InterleavedFilter, HalfWordsAreSumsOfTwoOutputs) {
  Random random(test_seed(), {0});
  constexpr int outputs = 8, inputs = 12;
  const std::vector<std::int8_t> filter = random_filter(random, outputs, inputs);
  const InterleavedFilter result = interleave_fours(filter, outputs);
  ASSERT_EQ(result.outputs, outputs);
  ASSERT_EQ(result.bytes.size(), filter.size());
  for (int pair = 0; pair < outputs; pair += 2) {
    for (int i = 0; i < inputs; ++i) {
      const int first = weight(filter, pair * inputs + i);
      const int second = weight(filter, (pair + 1) * inputs + i);
      EXPECT_EQ(half_word(result, inputs, pair, i), first + 256 * second) << pair << ", " << i;
    }
  }
}

TEST(InterleavedFilter, OfConvolutionsTwoOutputsLieTogether) {
  Random random(test_seed(), {3});
  constexpr int inputs = 24;
  const std::vector<std::int8_t> filter = random_filter(random, 4, inputs);
  const InterleavedFilter result = interleave_twos(filter, 4);
  ASSERT_EQ(result.outputs, 4);
  ASSERT_EQ(result.bytes.size(), filter.size());
  constexpr int order[] = {0, 2, 1, 3};
  for (int i = 0; i < 2 * inputs; ++i) {  // outputs 2 and 3
    const int input = i / 2 / 4 * 4 + order[i / 2 % 4];
    const int first = weight(filter, 2 * inputs + input);
    const int second = weight(filter, 3 * inputs + input) - (first < 0 ? 1 : 0);
    EXPECT_EQ(weight(result.bytes, 2 * inputs + i), i % 2 == 0 ? first : second) << i;
  }
}

TEST(InterleavedFilter, ConvolutionsAreInterleavedAsAWholeOrNotAtAll) {
  std::vector<std::int8_t> filter(8 * 24, 1);
  filter[96] = -1;     // output 4
  filter[120] = -128;  // output 5, the same input
  const InterleavedFilter result = interleave_twos(filter, 8);
  EXPECT_EQ(result.outputs, 0);
  EXPECT_EQ(result.bytes, filter);
  filter[120] = -127;
  EXPECT_EQ(interleave_twos(filter, 8).outputs, 8);
}

// The kernel has a loop for single channels that is faster there.
TEST(InterleavedFilter, ConvolutionsOfAnOddOutputOrFewInputsStayAsTheyWere) {
  Random random(test_seed(), {4});
  for (const auto& [outputs, inputs] : {std::pair{5, 24}, {8, 20}, {8, 26}}) {
    const std::vector<std::int8_t> filter = random_filter(random, outputs, inputs);
    const InterleavedFilter result = interleave_twos(filter, static_cast<std::int16_t>(outputs));
    EXPECT_EQ(result.outputs, 0) << outputs << ", " << inputs;
    EXPECT_EQ(result.bytes, filter);
  }
}

TEST(InterleavedFilter, OutputsAfterTheLastFourStayAsTheyWere) {
  Random random(test_seed(), {1});
  const std::vector<std::int8_t> filter = random_filter(random, 7, 8);
  const InterleavedFilter result = interleave_fours(filter, 7);
  EXPECT_EQ(result.outputs, 4);
  EXPECT_TRUE(std::equal(filter.begin() + 32, filter.end(), result.bytes.begin() + 32));
}

TEST(InterleavedFilter, InputsThatComeNotByFoursStayAsTheyWere) {
  Random random(test_seed(), {2});
  const std::vector<std::int8_t> filter = random_filter(random, 8, 6);
  const InterleavedFilter result = interleave_fours(filter, 8);
  EXPECT_EQ(result.outputs, 0);
  EXPECT_EQ(result.bytes, filter);
}

TEST(InterleavedFilter, StopsWhereAHalfWordDoesNotHoldBothWeights) {
  std::vector<std::int8_t> filter(32, 1);
  filter[16] = -1;    // output 4
  filter[20] = -128;  // output 5, the same input
  EXPECT_EQ(interleave_fours(filter, 8).outputs, 4);
  filter[16] = 0;
  EXPECT_EQ(interleave_fours(filter, 8).outputs, 8);
}

TEST(InterleavedFilter, StopsWhereASumOfBothDoesNotFit) {
  constexpr std::size_t inputs = 520;  // 127 * 257 * 128 * 515 passes 2^31
  std::vector<std::int8_t> filter(inputs * 4, 127);
  EXPECT_EQ(interleave_fours(filter, 4).outputs, 0);
  filter.resize(std::size_t{512} * 4);
  EXPECT_EQ(interleave_fours(filter, 4).outputs, 4);
}

// A filter [2 rows][2 columns][channels] whose byte is 10 * its tap, counted column by column, and its
// channel.
DepthwiseConv2dStep numbered_depthwise(std::int16_t channels) {
  DepthwiseConv2dStep step{};
  mcufit_window& w = step.fields.window;
  w.input_channels = w.output_channels = channels;
  w.kernel_height = w.kernel_width = 2;
  w.stride_height = w.stride_width = w.dilation_height = w.dilation_width = 1;
  for (const int tap : {0, 2, 1, 3})
    for (int c = 0; c < channels; ++c) step.tables.filter.push_back(static_cast<std::int8_t>(10 * tap + c));
  return step;
}

TEST(InterleavedFilter, DepthwiseChannelsLieByFoursAndTapsByTwos) {
  const InterleavedFilter result = interleave(numbered_depthwise(8));
  EXPECT_EQ(result.outputs, 8);
  EXPECT_EQ(result.bytes,
            (std::vector<std::int8_t>{0, 1, 10, 11, 2, 3, 12, 13, 20, 21, 30, 31, 22, 23, 32, 33,
                                      4, 5, 14, 15, 6, 7, 16, 17, 24, 25, 34, 35, 26, 27, 36, 37}));
}

TEST(InterleavedFilter, ASingleDepthwiseTapStandsAlone) {
  DepthwiseConv2dStep step = numbered_depthwise(4);
  step.fields.window.kernel_height = 3;
  step.fields.window.kernel_width = 1;
  step.tables.filter.resize(12);  // rows 0, 20, 10
  EXPECT_EQ(interleave(step).bytes, (std::vector<std::int8_t>{0, 1, 20, 21, 2, 3, 22, 23, 10, 11, 12, 13}));
}

TEST(InterleavedFilter, LastDepthwiseChannelsLieTapByTapWhereTheyComeNotByFours) {
  const InterleavedFilter result = interleave(numbered_depthwise(9));
  EXPECT_EQ(result.outputs, 9);
  const std::vector<std::int8_t> first(result.bytes.begin(), result.bytes.begin() + 4);
  EXPECT_EQ(first, (std::vector<std::int8_t>{0, 1, 10, 11}));
  const std::vector<std::int8_t> rest(result.bytes.begin() + 16, result.bytes.end());
  EXPECT_EQ(rest, (std::vector<std::int8_t>{4,  5,  6,  7,  8,  14, 15, 16, 17, 18,
                                            24, 25, 26, 27, 28, 34, 35, 36, 37, 38}));
}

TEST(InterleavedFilter, DepthwiseFiltersThatBlocksDoNotTakeStayAsTheyWere) {
  const auto stays = [](const DepthwiseConv2dStep& step) {
    const InterleavedFilter result = interleave(step);
    return result.outputs == 0 && result.bytes == step.tables.filter;
  };
  EXPECT_TRUE(stays(numbered_depthwise(3)));
  DepthwiseConv2dStep step = numbered_depthwise(8);
  step.fields.window.input_channels = 4;
  EXPECT_TRUE(stays(step));
  step = numbered_depthwise(8);
  step.fields.window.dilation_width = 2;
  EXPECT_TRUE(stays(step));
  step = numbered_depthwise(4);
  step.fields.window.kernel_width = 26;
  step.tables.filter.resize(std::size_t{52} * 4);
  EXPECT_TRUE(stays(step));
}

std::int32_t word_of(const InterleavedFilter& filter, std::size_t word) {
  std::uint32_t value = 0;
  for (std::size_t i = 4 * word + 4; i-- > 4 * word;)
    value = value << 8 | static_cast<std::uint8_t>(filter.bytes[i]);
  return static_cast<std::int32_t>(value);
}

DepthwiseConv2dStep wide_depthwise(std::int16_t channels) {
  DepthwiseConv2dStep step = numbered_depthwise(channels);
  step.fields.requantization.short_form = 1;
  step.fields.requantization.output_zero_point = -3;
  for (int c = 0; c < channels; ++c) {
    step.tables.bias.push_back(100 * c - 100);
    step.tables.multiplier.push_back((1 << 30) + c);
    step.tables.shift.push_back(static_cast<std::int8_t>(-1 - c));
  }
  return step;
}

TEST(InterleavedFilter, WideBlocksAreWhatTheKernelComputesWith) {
  const InterleavedFilter wide = widen(wide_depthwise(8));
  constexpr std::size_t block = 4 + 4 * 2 + 12;
  EXPECT_EQ(wide.outputs, 8);
  ASSERT_EQ(wide.bytes.size(), 2 * block * 4);
  EXPECT_EQ(word_of(wide, 0), -200);
  EXPECT_EQ(word_of(wide, block + 1), 800);             // bias of channel 5
  EXPECT_EQ(word_of(wide, 4), 20 << 16);                // taps 0 and 1 of channel 0
  EXPECT_EQ(word_of(wide, block + 9), 70 << 16 | 50);   // taps 2 and 3 of channel 5
  EXPECT_EQ(word_of(wide, block + 15), (1 << 30) + 5);  // its scale
  EXPECT_EQ(word_of(wide, block + 16), -5 * (1 << 5));
  EXPECT_EQ(word_of(wide, block + 17), 6);
}

TEST(InterleavedFilter, TheLastWideBlockOverlaps) {
  const InterleavedFilter wide = widen(wide_depthwise(6));
  constexpr std::size_t block = 4 + 4 * 2 + 12;
  ASSERT_EQ(wide.bytes.size(), 2 * block * 4);
  EXPECT_EQ(word_of(wide, block), 200);  // bias of channel 2
  EXPECT_EQ(word_of(wide, block + 4), 24 << 16 | 4);
}

TEST(InterleavedFilter, WideBlocksWithoutTheShortFormHaveTapsAlone) {
  DepthwiseConv2dStep step = wide_depthwise(4);
  step.fields.requantization.short_form = 0;
  step.tables.filter[0] = -1;
  const InterleavedFilter wide = widen(step);
  constexpr std::size_t block = 4 + 4 * 2 + 12;
  ASSERT_EQ(wide.bytes.size(), block * 4);
  for (std::size_t i = 0; i < block; ++i) {
    if (i < 4 || i >= 12) {
      EXPECT_EQ(word_of(wide, i), 0) << i;
    }
  }
  EXPECT_EQ(word_of(wide, 4), 20 << 16 | 0xFFFE);
}

}  // namespace
}  // namespace mcufit::testing
