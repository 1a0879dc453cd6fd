// SPDX-License-Identifier: Apache-2.0
#include "cost-models/placement.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "blocks/foundation/random.h"
#include "cost-models/plan.h"

namespace mcufit {
namespace {

// The offsets that one block must not have beside a neighbour, relative to it: those strictly between.
struct Conflict {
  std::size_t neighbour;
  std::int64_t above, below;
};

// An order of placing, and for each block whether it prefers the high end where both are as good.
struct Order {
  std::vector<std::size_t> blocks;
  std::vector<bool> high;
};

class Arrangement {
 public:
  Arrangement(const std::vector<Block>& blocks, const std::vector<Following>& follows)
      : blocks_(blocks), conflicts_(blocks.size()), offset_(blocks.size()), placed_(blocks.size()) {
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      for (std::size_t j = 0; j < blocks.size(); ++j) {
        const bool together =
            blocks[i].first_step <= blocks[j].last_step && blocks[j].first_step <= blocks[i].last_step;
        if (i != j && together) conflicts_[i].push_back({j, -blocks[i].bytes, blocks[j].bytes});
      }
    }
    for (const Following& f : follows) {
      for (Conflict& c : conflicts_[f.to]) {
        if (c.neighbour == f.from) c.above = std::max(c.above, -f.distance);
      }
      for (Conflict& c : conflicts_[f.from]) {
        if (c.neighbour == f.to) c.below = std::min(c.below, f.distance);
      }
    }
  }

  // Places the blocks in this order inside of [0, window) as far as they fit; returns the sum of the bytes by
  // which they do not, `most` or more being of no interest. That guides a search better than the arena's
  // size: mending one of two equal faults is progress.
  std::int64_t overflow(const Order& order, std::int64_t window, std::int64_t most) {
    std::fill(placed_.begin(), placed_.end(), false);
    low_ = 0;
    high_ = window;
    std::int64_t sum = 0;
    for (const std::size_t block : order.blocks) {
      const std::int64_t at = best_offset(block, order.high[block]);
      offset_[block] = at;
      placed_[block] = true;
      sum += std::max<std::int64_t>(0, -at) + std::max<std::int64_t>(0, at + blocks_[block].bytes - window);
      if (sum >= most) break;
    }
    return sum;
  }

  // The arena's bytes when the blocks are placed in this order; `least` or more are of no interest. `start`
  // bytes are there from the start, so that both ends can be used before it grows.
  std::int64_t place(const Order& order, std::int64_t start, std::int64_t least) {
    std::fill(placed_.begin(), placed_.end(), false);
    low_ = 0;
    high_ = start;
    for (const std::size_t block : order.blocks) {
      const std::int64_t at = best_offset(block, order.high[block]);
      offset_[block] = at;
      placed_[block] = true;
      low_ = std::min(low_, at);
      high_ = std::max(high_, at + blocks_[block].bytes);
      if (high_ - low_ >= least) break;
    }
    return high_ - low_;
  }

  // One that is needed together with `block`; itself when there is none.
  std::size_t neighbour(std::size_t block, Random& random) const {
    const std::vector<Conflict>& all = conflicts_[block];
    return all.empty() ? block : all[random.below(all.size())].neighbour;
  }

  // Bytes from the lowest offset of the last full placing to the highest end.
  std::int64_t arena() const {
    std::int64_t end = offset_[0];
    for (std::size_t i = 0; i < blocks_.size(); ++i) end = std::max(end, offset_[i] + blocks_[i].bytes);
    return end - *std::min_element(offset_.begin(), offset_.end());
  }

  const std::vector<std::int64_t>& offsets() const { return offset_; }

 private:
  // Beside its neighbours or at an end of the arena so far, wherever the arena grows least.
  std::int64_t best_offset(std::size_t block, bool high) {
    taken_.clear();
    candidates_.clear();
    candidates_.push_back(low_);
    candidates_.push_back(high_ - blocks_[block].bytes);
    for (const Conflict& c : conflicts_[block]) {
      if (!placed_[c.neighbour] || c.above >= c.below) continue;
      const std::int64_t at = offset_[c.neighbour];
      taken_.push_back({at + c.above, at + c.below});
      candidates_.push_back(at + c.above);
      candidates_.push_back(at + c.below);
    }
    std::int64_t best = 0, least = std::numeric_limits<std::int64_t>::max();
    for (const std::int64_t at : candidates_) {
      const std::int64_t span = std::max(high_, at + blocks_[block].bytes) - std::min(low_, at);
      const bool better = span < least || (span == least && (high ? at > best : at < best));
      if (better && free(at)) {
        best = at;
        least = span;
      }
    }
    return best;
  }

  bool free(std::int64_t at) const {
    return std::none_of(taken_.begin(), taken_.end(),
                        [&](const Taken& t) { return t.above < at && at < t.below; });
  }

  struct Taken {
    std::int64_t above, below;
  };

  const std::vector<Block>& blocks_;
  std::vector<std::vector<Conflict>> conflicts_;
  std::vector<std::int64_t> offset_;
  std::vector<bool> placed_;
  std::int64_t low_ = 0, high_ = 0;
  std::vector<Taken> taken_;
  std::vector<std::int64_t> candidates_;
};

// For each block the most bytes that are needed at once in its life: where it is tight, it is placed first.
std::vector<std::int64_t> pressures(const std::vector<Block>& blocks) {
  std::int32_t steps = 0;
  for (const Block& b : blocks) steps = std::max(steps, b.last_step + 1);
  std::vector<std::int64_t> live(static_cast<std::size_t>(steps));
  for (const Block& b : blocks) {
    for (std::int32_t s = b.first_step; s <= b.last_step; ++s) live[static_cast<std::size_t>(s)] += b.bytes;
  }
  std::vector<std::int64_t> pressure;
  pressure.reserve(blocks.size());
  for (const Block& b : blocks) {
    pressure.push_back(*std::max_element(live.begin() + b.first_step, live.begin() + b.last_step + 1));
  }
  return pressure;
}

// Each block prefers the end that the one before it does not: neighbours in a chain then lie at both ends.
std::vector<bool> alternating(std::size_t blocks) {
  std::vector<bool> high(blocks);
  for (std::size_t i = 0; i < blocks; ++i) high[i] = i % 2 == 1;
  return high;
}

// The same, but what is followed lies high, that there is room for its follower just below it, and what is
// needed in one step alone lies low.
std::vector<bool> followers_high(const std::vector<Block>& blocks, const std::vector<Following>& follows) {
  std::vector<bool> high = alternating(blocks.size());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i].first_step == blocks[i].last_step) high[i] = false;
  }
  for (const Following& f : follows) {
    const bool both_stay = blocks[f.from].first_step < blocks[f.from].last_step &&
                           blocks[f.to].first_step < blocks[f.to].last_step;
    if (both_stay) high[f.from] = high[f.to] = true;
  }
  return high;
}

std::vector<Order> first_orders(const std::vector<Block>& blocks, const std::vector<Following>& follows) {
  const std::vector<std::int64_t> pressure = pressures(blocks);
  std::vector<std::size_t> born(blocks.size());
  std::iota(born.begin(), born.end(), 0);
  std::vector<std::size_t> large = born, tight = born;
  std::stable_sort(born.begin(), born.end(),
                   [&](std::size_t a, std::size_t b) { return blocks[a].first_step < blocks[b].first_step; });
  std::stable_sort(large.begin(), large.end(),
                   [&](std::size_t a, std::size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  std::stable_sort(tight.begin(), tight.end(), [&](std::size_t a, std::size_t b) {
    return pressure[a] != pressure[b] ? pressure[a] > pressure[b] : blocks[a].bytes > blocks[b].bytes;
  });
  std::vector<Order> orders;
  for (const auto& order : {tight, large, born}) {
    orders.push_back({order, followers_high(blocks, follows)});
    orders.push_back({order, alternating(blocks.size())});
  }
  return orders;
}

// Up, so that what lies at the window's end is aligned as well.
std::int64_t aligned(std::int64_t bytes) {
  return (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

// Tries orders and keeps the best.
class Placing {
 public:
  Placing(const std::vector<Block>& blocks, const std::vector<Following>& follows, std::int64_t window)
      : blocks_(blocks), arrangement_(blocks, follows), window_(aligned(window)) {}

  // Where the arena grows from nothing.
  void try_growing(const Order& order) {
    if (arrangement_.place(order, 0, arena_) < arena_) keep();
  }

  void try_window(Order order) {
    const std::int64_t overflow = arrangement_.overflow(order, window_, overflow_ + 1);
    if (overflow > overflow_) return;
    overflow_ = overflow;
    best_ = std::move(order);
    at_ = arrangement_.offsets();
    if (arrangement_.arena() < arena_) keep();
  }

  // The best order with a block that leaves the window, or one beside it, placed earlier or turned around.
  Order changed(Random& random) const {
    Order order = best_;
    std::vector<std::size_t> outside;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (at_[i] < 0 || at_[i] + blocks_[i].bytes > window_) outside.push_back(i);
    }
    if (outside.empty()) return order;
    std::size_t block = outside[random.below(outside.size())];
    if (random.below(2) == 0) block = arrangement_.neighbour(block, random);
    const auto at = std::find(order.blocks.begin(), order.blocks.end(), block);
    const auto to =
        order.blocks.begin() +
        static_cast<std::ptrdiff_t>(random.below(static_cast<std::uint64_t>(at - order.blocks.begin()) + 1));
    if (random.below(3) > 0) std::rotate(to, at, at + 1);
    if (random.below(2) == 0) order.high[block] = !order.high[block];
    return order;
  }

  // Asks for less than was reached.
  void shrink(std::int64_t bound) {
    window_ = std::max(aligned(bound),
                       arena_ - std::max<std::int64_t>(kTensorAlignment,
                                                       arena_ / 256 / kTensorAlignment * kTensorAlignment));
    overflow_ = std::int64_t{1} << 60;
    const Order order = best_;
    try_window(order);
  }

  bool fits() const { return overflow_ == 0; }
  std::int64_t arena() const { return arena_; }

  void write(std::vector<Block>& blocks) const {
    const std::int64_t start = *std::min_element(kept_.begin(), kept_.end());
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i].offset = kept_[i] - start;
  }

 private:
  void keep() {
    kept_ = arrangement_.offsets();
    arena_ = arrangement_.arena();
  }

  const std::vector<Block>& blocks_;
  Arrangement arrangement_;
  std::int64_t window_;
  Order best_;                      // that overflows the window least
  std::vector<std::int64_t> at_;    // its offsets
  std::vector<std::int64_t> kept_;  // of the smallest arena
  std::int64_t overflow_ = std::int64_t{1} << 60;
  std::int64_t arena_ = std::int64_t{1} << 60;
};

}  // namespace

std::int64_t arrange(std::vector<Block>& blocks, const std::vector<Following>& follows,
                     const Effort& effort) {
  Placing placing(blocks, follows, effort.expected);
  for (const Order& order : first_orders(blocks, follows)) {
    placing.try_window(order);
    if (placing.fits() && effort.attempts == 0) break;
    placing.try_growing(order);
  }
  Random random(1);
  for (int i = 0; i < effort.attempts && placing.arena() > effort.bound; ++i) {
    if (placing.fits()) placing.shrink(effort.bound);
    placing.try_window(placing.changed(random));
  }
  placing.write(blocks);
  return placing.arena();
}

}  // namespace mcufit
