// SPDX-License-Identifier: Apache-2.0
#include "cost-models/front.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace mcufit {
namespace {

constexpr std::size_t kBatch = 32;

// Flash and RAM of members met so far, those that no other one undercuts in both.
class Staircase {
 public:
  bool covers(std::int64_t flash_bytes, std::int64_t ram_bytes) const {
    const auto above = ram_of_.upper_bound(flash_bytes);
    return above != ram_of_.begin() && std::prev(above)->second <= ram_bytes;
  }

  void add(std::int64_t flash_bytes, std::int64_t ram_bytes) {
    if (covers(flash_bytes, ram_bytes)) return;
    auto at = ram_of_.insert_or_assign(flash_bytes, ram_bytes).first;
    for (++at; at != ram_of_.end() && at->second >= ram_bytes;) at = ram_of_.erase(at);
  }

 private:
  std::map<std::int64_t, std::int64_t> ram_of_;  // RAM falls as flash rises
};

// Of members in any order those that no other dominates, the first of equals.
std::vector<Member> non_dominated(std::vector<Member> members) {
  std::stable_sort(members.begin(), members.end(), [](const Member& a, const Member& b) {
    const auto key = [](const Member& m) { return std::tuple(m.cost.flash.total(), m.cost.ram.total()); };
    const Capacity ca = capacity(a.footprint), cb = capacity(b.footprint);
    return ca != cb ? ca > cb : key(a) < key(b);
  });
  Staircase met;
  std::vector<Member> front;
  for (Member& m : members) {
    if (met.covers(m.cost.flash.total(), m.cost.ram.total())) continue;
    met.add(m.cost.flash.total(), m.cost.ram.total());
    front.push_back(std::move(m));
  }
  return front;
}

}  // namespace

Front find_front(const BoundedLattice& bounded) {
  Staircase met;
  Descent descent(bounded, [&](const Corners& c) {
    const Overhead& overhead = bounded.overhead(c.box);
    return met.covers(flash_lower_bound(c.bottom, overhead), whole_ram_lower_bound(c.bottom, overhead));
  });
  Front front;
  std::vector<Member> found;
  for (bool more = true; more;) {
    std::vector<Box> batch;
    while (batch.size() < kBatch) {
      const auto candidate = descent.next();
      more = candidate.has_value();
      if (!more) break;
      batch.push_back(candidate->box);
    }
    for (Member& m : bounded.price_all(batch)) {
      if (!m.fit.fits() || met.covers(m.cost.flash.total(), m.cost.ram.total())) continue;
      met.add(m.cost.flash.total(), m.cost.ram.total());
      found.push_back(std::move(m));
    }
  }
  front.members = non_dominated(std::move(found));
  front.ruled_out = descent.ruled_out();
  front.dominated_unpriced = descent.dispensed();
  front.priced = descent.yielded();
  return front;
}

}  // namespace mcufit
