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

// How hard to try.
struct Effort {
  int attempts = 0;           // random changes of the best order, the same ones every time
  std::int64_t expected = 0;  // bytes that are likely to do: without attempts it stops there
  std::int64_t bound = 0;     // no arrangement is below: with attempts it stops there
};

// Gives every block an offset and returns the arena's bytes. Each block goes where it widens the arena least,
// in several orders and then in changed ones.
std::int64_t arrange(std::vector<Block>& blocks, const std::vector<Following>& follows, const Effort& effort);

}  // namespace mcufit
