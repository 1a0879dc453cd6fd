// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace mcufit {

// The inner loops of the fast interpreter, compiled for several instruction sets and chosen when the program
// starts. They take 16-bit values since processors multiply and add pairs of them in one instruction; every
// sum fits 32 bits where verify() passed.

// Rows of filters and of patches are zero-padded to a multiple of this; so are numbers of filters.
inline constexpr std::size_t kDepthStep = 16;
inline constexpr std::size_t kFilterStep = 4;

// sums[patch][filter] = bias[filter] + dot product of both rows. `depth` is a multiple of kDepthStep,
// `filters` of kFilterStep.
struct Products {
  const std::int16_t* patches = nullptr;  // [patch][depth]
  const std::int16_t* weights = nullptr;  // [filter][depth]
  const std::int32_t* bias = nullptr;     // [filter]
  std::size_t patch_count = 0, filters = 0, depth = 0;
};
void multiply(const Products& products, std::int32_t* sums);

// sums[c] += values[c] * weights[c]
void accumulate(const std::int16_t* values, const std::int16_t* weights, std::size_t channels,
                std::int32_t* sums);

// wide[i] = values[i]
void widen(const std::int8_t* values, std::size_t count, std::int16_t* wide);

// sums[c] += values[c]; largest[c] = max(largest[c], values[c])
void add_bytes(const std::int8_t* values, std::size_t channels, std::int32_t* sums);
void keep_largest(const std::int8_t* values, std::size_t channels, std::int8_t* largest);

// output[c] = sums[c] rescaled by its channel's multiplier and shift, plus the zero point, clamped.
struct ChannelScales {
  const std::int32_t* multipliers = nullptr;
  const std::int32_t* shifts = nullptr;
  std::size_t channels = 0;
  std::int32_t zero_point = 0, minimum = -128, maximum = 127;
};
void requantize(const std::int32_t* sums, const ChannelScales& scales, std::int8_t* output);

}  // namespace mcufit
