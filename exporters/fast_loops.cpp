// SPDX-License-Identifier: Apache-2.0
#include "exporters/fast_loops.h"

#include <algorithm>

#include "exporters/runtime/mcufit_rounding.h"

// GCC compiles a marked function once per instruction set. Sanitizers cannot be running yet when the choice
// is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define MCUFIT_CLONES __attribute__((target_clones("arch=skylake-avx512", "avx2", "default")))
#else
#define MCUFIT_CLONES
#endif

namespace mcufit {
namespace {

// Four filters at a time, so that a patch is read once for all of them. Scalars, since GCC 12 vectorises no
// array of sums.
[[gnu::always_inline]] inline void four_products(const std::int16_t* __restrict x,
                                                 const std::int16_t* __restrict w, std::size_t depth,
                                                 const std::int32_t* bias, std::int32_t* sums) {
  const std::int16_t *w1 = w + depth, *w2 = w1 + depth, *w3 = w2 + depth;
  std::int32_t s0 = bias[0], s1 = bias[1], s2 = bias[2], s3 = bias[3];
  for (std::size_t i = 0; i < depth; ++i) {
    const std::int32_t value = x[i];
    s0 += value * w[i];
    s1 += value * w1[i];
    s2 += value * w2[i];
    s3 += value * w3[i];
  }
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
}

// The same for two patches, so that a filter too is read once.
[[gnu::always_inline]] inline void eight_products(const std::int16_t* __restrict x,
                                                  const std::int16_t* __restrict w, std::size_t depth,
                                                  const std::int32_t* bias, std::int32_t* sums,
                                                  std::int32_t* next_sums) {
  const std::int16_t *y = x + depth, *w1 = w + depth, *w2 = w1 + depth, *w3 = w2 + depth;
  std::int32_t s0 = bias[0], s1 = bias[1], s2 = bias[2], s3 = bias[3];
  std::int32_t t0 = s0, t1 = s1, t2 = s2, t3 = s3;
  for (std::size_t i = 0; i < depth; ++i) {
    const std::int32_t value = x[i], next = y[i];
    s0 += value * w[i];
    s1 += value * w1[i];
    s2 += value * w2[i];
    s3 += value * w3[i];
    t0 += next * w[i];
    t1 += next * w1[i];
    t2 += next * w2[i];
    t3 += next * w3[i];
  }
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
  next_sums[0] = t0;
  next_sums[1] = t1;
  next_sums[2] = t2;
  next_sums[3] = t3;
}

}  // namespace

MCUFIT_CLONES void multiply(const Products& p, std::int32_t* sums) {
  const std::size_t depth = p.depth / kDepthStep * kDepthStep;  // says to the compiler that no rest is left
  const std::size_t pairs = p.patch_count / 2;
  for (std::size_t filter = 0; filter < p.filters; filter += kFilterStep) {
    const std::int16_t* w = p.weights + filter * depth;
    for (std::size_t pair = 0; pair < pairs; ++pair) {
      std::int32_t* to = sums + 2 * pair * p.filters + filter;
      eight_products(p.patches + 2 * pair * depth, w, depth, p.bias + filter, to, to + p.filters);
    }
    if (p.patch_count % 2 != 0) {
      const std::size_t last = p.patch_count - 1;
      four_products(p.patches + last * depth, w, depth, p.bias + filter, sums + last * p.filters + filter);
    }
  }
}

MCUFIT_CLONES void accumulate(const std::int16_t* __restrict values, const std::int16_t* __restrict weights,
                              std::size_t channels, std::int32_t* __restrict sums) {
  for (std::size_t c = 0; c < channels; ++c) sums[c] += std::int32_t{values[c]} * weights[c];
}

MCUFIT_CLONES void widen(const std::int8_t* __restrict values, std::size_t count,
                         std::int16_t* __restrict wide) {
  // NOLINTNEXTLINE(bugprone-signed-char-misuse): numbers, not characters
  for (std::size_t i = 0; i < count; ++i) wide[i] = values[i];
}

MCUFIT_CLONES void add_bytes(const std::int8_t* __restrict values, std::size_t channels,
                             std::int32_t* __restrict sums) {
  for (std::size_t c = 0; c < channels; ++c) sums[c] += values[c];
}

MCUFIT_CLONES void keep_largest(const std::int8_t* __restrict values, std::size_t channels,
                                std::int8_t* __restrict largest) {
  for (std::size_t c = 0; c < channels; ++c) largest[c] = std::max(largest[c], values[c]);
}

MCUFIT_CLONES void requantize(const std::int32_t* __restrict sums, const ChannelScales& scales,
                              std::int8_t* __restrict output) {
  const std::int32_t* __restrict multipliers = scales.multipliers;
  const std::int32_t* __restrict shifts = scales.shifts;
  const std::int32_t zero_point = scales.zero_point, minimum = scales.minimum, maximum = scales.maximum;
  for (std::size_t c = 0; c < scales.channels; ++c) {
    const std::int32_t value = mcufit_requantize(sums[c], multipliers[c], shifts[c]) + zero_point;
    output[c] = static_cast<std::int8_t>(std::min(std::max(value, minimum), maximum));
  }
}

}  // namespace mcufit
