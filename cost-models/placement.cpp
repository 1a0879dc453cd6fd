// SPDX-License-Identifier: Apache-2.0
#include "cost-models/placement.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "blocks/foundation/random.h"

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

  // The arena's bytes when the blocks are placed in this order; no more than `least` are of interest.
  std::int64_t place(const Order& order, std::int64_t least) {
    std::fill(placed_.begin(), placed_.end(), false);
    low_ = high_ = 0;
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

  // The offsets of the last place() that went through, from 0 on.
  void write(std::vector<Block>& blocks) const {
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i].offset = offset_[i] - low_;
  }

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
  for (const Block& b : blocks) {
    pressure.push_back(*std::max_element(live.begin() + b.first_step, live.begin() + b.last_step + 1));
  }
  return pressure;
}

std::vector<Order> first_orders(const std::vector<Block>& blocks) {
  const std::vector<std::int64_t> pressure = pressures(blocks);
  const std::size_t n = blocks.size();
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::vector<Order> orders;
  std::vector<bool> alternating(n);
  for (std::size_t i = 0; i < n; ++i) alternating[i] = i % 2 == 1;
  const auto add = [&](auto before) {
    std::vector<std::size_t> sorted = order;
    std::stable_sort(sorted.begin(), sorted.end(), before);
    orders.push_back({sorted, std::vector<bool>(n, true)});
    orders.push_back({sorted, alternating});
  };
  add([&](std::size_t a, std::size_t b) {
    return pressure[a] != pressure[b] ? pressure[a] > pressure[b] : blocks[a].bytes > blocks[b].bytes;
  });
  add([&](std::size_t a, std::size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  add([&](std::size_t a, std::size_t b) { return blocks[a].first_step < blocks[b].first_step; });
  return orders;
}

Order changed(Order order, Random& random) {
  const std::size_t n = order.blocks.size();
  const std::size_t a = random.below(n), b = random.below(n);
  switch (random.below(3)) {
    case 0:
      std::swap(order.blocks[a], order.blocks[b]);
      break;
    case 1: {
      const std::size_t block = order.blocks[a];
      order.blocks.erase(order.blocks.begin() + static_cast<std::ptrdiff_t>(a));
      order.blocks.insert(order.blocks.begin() + static_cast<std::ptrdiff_t>(b), block);
      break;
    }
    case 2:
      order.high[a] = !order.high[a];
      break;
  }
  return order;
}

}  // namespace

std::int64_t arrange(std::vector<Block>& blocks, const std::vector<Following>& follows, int attempts,
                     std::int64_t bound) {
  Arrangement arrangement(blocks, follows);
  Order best;
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (Order& order : first_orders(blocks)) {
    const std::int64_t arena = arrangement.place(order, least);
    if (arena >= least) continue;
    least = arena;
    best = std::move(order);
    arrangement.write(blocks);
    if (least <= bound) return least;
  }
  Random random(1);
  for (int i = 0; i < attempts && least > bound; ++i) {
    Order order = changed(best, random);
    const std::int64_t arena = arrangement.place(order, least + 1);
    if (arena > least) continue;
    least = arena;
    best = std::move(order);
    arrangement.write(blocks);
  }
  return least;
}

}  // namespace mcufit
