// SPDX-License-Identifier: Apache-2.0
#include "cost-models/descent.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <utility>

#include "blocks/lower.h"

namespace mcufit {

BoundedLattice::BoundedLattice(Lattice lattice, const Budget& budget, const CodeSizesForTarget& code,
                               const TargetLaw* law)
    : boxes_(std::move(lattice)), budget_(budget), code_(&code), law_(law) {
  std::vector<Box> smallest;
  for (std::uint32_t s = 0; s < boxes_.structures(); ++s) {
    smallest.push_back(boxes_.whole(s));
    smallest.back().high = smallest.back().low;
  }
  for (const Member& member : price_all(smallest)) overheads_.push_back(overhead_of(member));
}

Member BoundedLattice::price(const Box& single) const {
  return price_member(boxes_.bottom(single), budget_, *code_, law_);
}

Fit BoundedLattice::speed_bound(const Box& box) const {
  Fit fit;
  if (!limits_speed()) return fit;
  std::optional<Speed> speed;
  if (law_ != nullptr) speed = estimate_speed(lower(boxes_.bottom(box).build()), *law_);
  hold_speed(fit, speed, budget_);
  return fit;
}

std::vector<Member> BoundedLattice::price_all(const std::vector<Box>& singles) const {
  std::vector<Member> members(singles.size());
  tbb::parallel_for(std::size_t{0}, singles.size(), [&](std::size_t i) { members[i] = price(singles[i]); });
  return members;
}

Corners corners_of(const BoxedLattice& boxes, const Box& box) {
  return {box, boxes.bottom(box).footprint(), boxes.top(box).footprint()};
}

std::pair<Corners, Corners> split(const BoxedLattice& boxes, const Corners& whole) {
  const auto [cheaper, dearer] = BoxedLattice::split(whole.box);
  return {{cheaper, whole.bottom, cheaper.single() ? whole.bottom : boxes.top(cheaper).footprint(),
           whole.in_time},
          {dearer, dearer.single() ? whole.top : boxes.bottom(dearer).footprint(), whole.top}};
}

// Of equally large ones a box is opened before a member is yielded, and members come in the lattice's order.
bool Descent::Open::operator<(const Open& other) const {
  if (most != other.most) return most < other.most;
  const bool single = corners.box.single();
  if (single != other.corners.box.single()) return single;
  return corners.box > other.corners.box;
}

Descent::Descent(const BoundedLattice& bounded, Dispensable dispensable)
    : bounded_(bounded), dispensable_(std::move(dispensable)) {
  const BoxedLattice& boxes = bounded_.boxes();
  for (std::uint32_t s = 0; s < boxes.structures(); ++s) {
    closed_forms_ += 2;
    push(corners_of(boxes, boxes.whole(s)));
  }
}

void Descent::push(const Corners& corners) {
  if (!bounded_.bound(corners.box, corners.bottom).fits()) {
    ruled_out_ += corners.box.members();
    return;
  }
  Capacity most = capacity(corners.top);
  const auto& limit = bounded_.budget().macs;
  if (limit && most.macs > *limit) most.macs = *limit;
  open_.push_back({corners, most});
  std::push_heap(open_.begin(), open_.end());
}

std::optional<Descent::Candidate> Descent::next() {
  while (!open_.empty()) {
    std::pop_heap(open_.begin(), open_.end());
    Corners corners = open_.back().corners;
    open_.pop_back();
    if (dispensable_ && dispensable_(corners)) {
      dispensed_ += corners.box.members();
      continue;
    }
    // The law takes a graph to be built and is asked late, once for each bottom corner.
    if (!corners.in_time && !bounded_.speed_bound(corners.box).fits()) {
      ruled_out_ += corners.box.members();
      continue;
    }
    corners.in_time = true;
    if (corners.box.single()) {
      ++yielded_;
      return Candidate{corners.box, corners.bottom};
    }
    const auto [cheaper, dearer] = split(bounded_.boxes(), corners);
    closed_forms_ += (cheaper.box.single() ? 0 : 1) + (dearer.box.single() ? 0 : 1);
    push(cheaper);
    push(dearer);
  }
  return std::nullopt;
}

std::int64_t Descent::unopened() const {
  std::int64_t members = 0;
  for (const Open& o : open_) members += o.corners.box.members();
  return members;
}

}  // namespace mcufit
