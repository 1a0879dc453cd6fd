// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "exporters/steps.h"

namespace mcufit {

// A filter as kernels with DSP instructions read it. Of conv2d and fully_connected a half word w of two
// outputs is w0 + 256 * w1, so that sum(w * x) = sum(w0 * x) + 256 * sum(w1 * x) brings both sums with one
// product of two half words an element (SMLAD) and one more for w0 alone, which SXTB16 widens. Bytes do not
// change in number; the steps in mcufit_runtime.h have their order.
struct InterleavedFilter {
  std::vector<std::int8_t> bytes;  // of all outputs: those that are not interleaved follow as they were
  std::int16_t outputs = 0;        // that are interleaved, the first ones
};

// Of int8 weights [outputs][inputs], with inputs by fours; no output where the node's kernel would not take
// it. No w1 = -128 may stand beside a negative w0: the half word would not hold them.

// Of fully_connected, by fours: as many outputs from the first on as may be, whose sums of both outputs stay
// below 2^31 whatever the input is. Those of up to 510 inputs always do.
InterleavedFilter interleave_fours(std::span<const std::int8_t> filter, std::int16_t outputs);

// Of conv2d, by twos: all or none, and none of an odd number or of fewer than 24 inputs. Its kernel takes
// the sums apart after 144 inputs.
InterleavedFilter interleave_twos(std::span<const std::int8_t> filter, std::int16_t outputs);

InterleavedFilter interleave(const Conv2dStep& step);
InterleavedFilter interleave(const FullyConnectedStep& step);

// Of depthwise_conv2d by fours, so that SXTB16 gives one of them two taps: all outputs, or none where each
// four would not have four inputs of their own or the kernel no room.
InterleavedFilter interleave(const DepthwiseConv2dStep& step);

// What the kernel makes of that for every call, in the words that it computes with: blocks as in
// mcufit_runtime.h, two to five times the bytes of the filter. No outputs where those are none.
InterleavedFilter widen(const DepthwiseConv2dStep& step);

}  // namespace mcufit
