// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mcufit {

// The filter of a fully_connected node as kernels with DSP instructions read it: a half word w of two outputs
// is w0 + 256 * w1, so that sum(w * x) = sum(w0 * x) + 256 * sum(w1 * x) brings both sums with one product
// of two half words an element (SMLAD) and one more for w0 alone, which SXTB16 widens. Bytes do not change in
// number; mcufit_fully_connected_s8_step in mcufit_runtime.h has their order.
struct InterleavedFilter {
  std::vector<std::int8_t> bytes;  // of all outputs: those that are not interleaved follow as they were
  std::int16_t outputs = 0;        // the first ones, by fours
};

// Of int8 weights [outputs][inputs]: as many outputs from the first on as come by fours with inputs by fours,
// in which no w1 = -128 stands beside a negative w0 (the half word would not hold them), and whose sums of
// both outputs stay below 2^31 (those of up to 510 inputs always do).
InterleavedFilter interleave(std::span<const std::int8_t> filter, std::int16_t outputs);

}  // namespace mcufit
