// SPDX-License-Identifier: Apache-2.0
#include "cost-models/certify.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "blocks/foundation/text.h"
#include "cost-models/descent.h"
#include "cost-models/front.h"

namespace mcufit {
namespace {

// Members priced side by side before one is looked at: few at first, since often the first one fits.
constexpr std::size_t kFirstBatch = 4, kMostBatch = 64;
constexpr std::size_t kMostNearMisses = 4096;

Capacity capacity(const Member& m) { return mcufit::capacity(m.footprint); }

std::vector<Box> take(Descent& descent, std::size_t count) {
  std::vector<Box> boxes;
  while (boxes.size() < count) {
    const auto candidate = descent.next();
    if (!candidate) break;
    boxes.push_back(candidate->box);
  }
  return boxes;
}

// Rounding to channels makes one network of several members.
bool is_new(const Member& member, const std::vector<Member>& found) {
  const auto same = [&](const Member& m) {
    return capacity(m) == capacity(member) && m.architecture.build() == member.architecture.build();
  };
  return std::none_of(found.begin(), found.end(), same);
}

// The largest members that fit, at most `count`.
std::vector<Member> find_best(Descent& descent, const BoundedLattice& bounded, std::size_t count) {
  std::vector<Member> best;
  for (std::size_t batch = kFirstBatch;; batch = std::min(2 * batch, kMostBatch)) {
    const std::vector<Box> boxes = take(descent, batch);
    for (Member& member : bounded.price_all(boxes)) {
      if (!member.fit.fits() || !is_new(member, best)) continue;
      best.push_back(std::move(member));
      if (best.size() == count) return best;
    }
    if (boxes.size() < batch) return best;
  }
}

// Of a box's members above `floor` the least, unless `least` is no larger.
void find_least_above(const BoxedLattice& boxes, const Corners& box, const Capacity& floor,
                      std::optional<Corners>& least) {
  if (mcufit::capacity(box.top) <= floor) return;
  if (least && mcufit::capacity(box.bottom) >= mcufit::capacity(least->bottom)) return;
  if (mcufit::capacity(box.bottom) > floor) {
    least = box;  // its bottom corner
    return;
  }
  const auto [cheaper, dearer] = split(boxes, box);
  find_least_above(boxes, cheaper, floor, least);
  find_least_above(boxes, dearer, floor, least);
}

// Halves boxes until there are enough for all cores.
std::vector<Corners> shared_out(const BoxedLattice& boxes) {
  constexpr std::size_t kEnough = 64;
  std::vector<Corners> all;
  for (std::uint32_t s = 0; s < boxes.structures(); ++s) all.push_back(corners_of(boxes, boxes.whole(s)));
  for (bool halved = true; halved && all.size() < kEnough;) {
    halved = false;
    std::vector<Corners> halves;
    for (const Corners& box : all) {
      if (box.box.single()) {
        halves.push_back(box);
        continue;
      }
      const auto [cheaper, dearer] = split(boxes, box);
      halves.push_back(cheaper);
      halves.push_back(dearer);
      halved = true;
    }
    all = std::move(halves);
  }
  return all;
}

std::optional<Member> find_next_larger(const BoundedLattice& bounded, const Capacity& floor) {
  const std::vector<Corners> boxes = shared_out(bounded.boxes());
  std::vector<std::optional<Corners>> least(boxes.size());
  tbb::parallel_for(std::size_t{0}, boxes.size(),
                    [&](std::size_t i) { find_least_above(bounded.boxes(), boxes[i], floor, least[i]); });
  const Corners* next = nullptr;
  for (const auto& l : least) {
    if (l && (next == nullptr || mcufit::capacity(l->bottom) < mcufit::capacity(next->bottom))) next = &*l;
  }
  if (next == nullptr) return std::nullopt;
  Box corner = next->box;
  corner.high = corner.low;
  return bounded.price(corner);
}

// A box by the least use of the budget that its bottom corner leaves possible.
struct Miss {
  double use = 0;
  Corners corners;
  bool operator<(const Miss& other) const {  // the least use on top of a heap
    return use != other.use ? use > other.use : corners.box > other.corners.box;
  }
};

class MissSearch {
 public:
  explicit MissSearch(const BoundedLattice& bounded) : bounded_(bounded) {
    const BoxedLattice& boxes = bounded.boxes();
    for (std::uint32_t s = 0; s < boxes.structures(); ++s) push(corners_of(boxes, boxes.whole(s)));
  }

  // Opens boxes in the order of their bounds until no bound is below the least exact use.
  void run(Certificate& answer) {
    while (!heap_.empty() && priced_ < kMostNearMisses) {
      if (nearest_ && heap_.front().use >= nearest_->fit.use) break;
      std::pop_heap(heap_.begin(), heap_.end());
      const Miss miss = heap_.back();
      heap_.pop_back();
      if (miss.corners.box.single()) {
        price(miss.corners.box);
        continue;
      }
      const auto [cheaper, dearer] = split(bounded_.boxes(), miss.corners);
      push(cheaper);
      push(dearer);
    }
    answer.proof.priced_misses = static_cast<std::int64_t>(priced_);
    answer.miss_bound = nearest_->fit.use;
    if (!heap_.empty()) answer.miss_bound = std::min(answer.miss_bound, heap_.front().use);
    answer.binding = nearest_->fit.binding;
    answer.nearest_miss = std::move(nearest_);
  }

 private:
  void push(const Corners& corners) {
    const double use = bounded_.bound(corners.box, corners.bottom).use;
    heap_.push_back({std::max(use, bounded_.graph_bound(corners.box, corners.bottom).use), corners});
    std::push_heap(heap_.begin(), heap_.end());
  }

  void price(const Box& single) {
    Member member = bounded_.price(single);
    ++priced_;
    if (!nearest_ || member.fit.use < nearest_->fit.use) nearest_ = std::move(member);
  }

  const BoundedLattice& bounded_;
  std::vector<Miss> heap_;
  std::optional<Member> nearest_;
  std::size_t priced_ = 0;
};

Member find_smallest(const BoundedLattice& bounded) {
  const BoxedLattice& boxes = bounded.boxes();
  std::optional<Corners> least;
  for (std::uint32_t s = 0; s < boxes.structures(); ++s)
    find_least_above(boxes, corners_of(boxes, boxes.whole(s)), Capacity{-1, -1}, least);
  Box corner = least->box;
  corner.high = corner.low;
  return bounded.price(corner);
}

}  // namespace

Certificate certify(const Lattice& lattice, const Budget& budget, const CodeSizesForTarget& code,
                    const CertifyOptions& options) {
  Certificate answer;
  answer.family = lattice.family;
  const BoundedLattice bounded(lattice, budget, code, options.law);
  Descent descent(bounded);
  answer.best = find_best(descent, bounded, options.top);
  answer.proof = {.members = lattice.members(),
                  .structures = bounded.boxes().structures(),
                  .ruled_out = descent.ruled_out(),
                  .priced = descent.yielded(),
                  .smaller = descent.unopened(),
                  .closed_forms = descent.closed_forms()};
  if (answer.best.empty()) {
    answer.smallest = find_smallest(bounded);
    MissSearch(bounded).run(answer);
    return answer;
  }
  answer.next_larger = find_next_larger(bounded, capacity(answer.best.front()));
  if (answer.next_larger) answer.binding = answer.next_larger->fit.binding;
  if (options.front) {
    Budget whole = budget;
    whole.plan = PlanChoice::layer_by_layer;
    answer.front = find_front(BoundedLattice(lattice, whole, code, options.law));
  }
  return answer;
}

nlohmann::json to_json(const Certificate& c) {
  const auto list = [](const std::vector<Member>& members) {
    nlohmann::json j = nlohmann::json::array();
    for (const Member& m : members) j.push_back(to_json(m));
    return j;
  };
  nlohmann::json j = {{"family", c.family->name()},
                      {"fits", !c.best.empty()},
                      {"binding", to_string(c.binding)},
                      {"fitting", list(c.best)},
                      {"proof",
                       {{"lattice_members", c.proof.members},
                        {"priced_members", c.proof.priced_exactly()},
                        {"ruled_out_members", c.proof.ruled_out},
                        {"smaller_members", c.proof.smaller},
                        {"structures", c.proof.structures},
                        {"closed_forms", c.proof.closed_forms}}}};
  if (c.next_larger) j["next_larger"] = to_json(*c.next_larger);
  if (c.smallest) j["smallest"] = to_json(*c.smallest);
  if (c.nearest_miss) {
    j["nearest_miss"] = to_json(*c.nearest_miss);
    j["least_use"] = c.miss_bound;
  }
  if (c.front) {
    j["front"] = list(c.front->members);
    j["front_priced_members"] = c.front->priced;
  }
  return j;
}

std::string explain(const Proof& p, bool fits) {
  std::string text = fmt::format(
      "  {} members of {} structures: {} ruled out with a box whose smallest corner's bound exceeds the "
      "budget, {} priced exactly ({} of them for the bounds)",
      with_separators(p.members), with_separators(p.structures), with_separators(p.ruled_out),
      with_separators(p.priced_exactly()), with_separators(p.structures));
  if (fits) text += fmt::format(", {} not larger than the last one shown", with_separators(p.smaller));
  return text + fmt::format("; {} closed forms evaluated\n", with_separators(p.closed_forms));
}

}  // namespace mcufit
