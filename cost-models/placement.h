// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mcufit {

// Bytes that something needs in the arena during steps [first_step, last_step].
struct Block {
  std::int64_t bytes = 0;  // a multiple of kTensorAlignment
  std::int32_t first_step = 0;
  std::int32_t last_step = 0;
  std::int64_t offset = 0;  // filled in by arrange()
};

// Two blocks that may share bytes although both are needed, if offset(to) + distance <= offset(from): the
// rows of `to` follow the dying rows of `from`.
struct Following {
  std::size_t from = 0;
  std::size_t to = 0;
  std::int64_t distance = 0;  // a multiple of kTensorAlignment, may be negative
};

// Gives every block an offset and returns the arena's bytes. Each block goes where it widens the arena least;
// several orders are tried, then `attempts` random changes of the best one (the same ones every time), until
// the arena is no larger than `bound`.
std::int64_t arrange(std::vector<Block>& blocks, const std::vector<Following>& follows, int attempts,
                     std::int64_t bound);

}  // namespace mcufit
