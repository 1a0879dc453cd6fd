// SPDX-License-Identifier: Apache-2.0
#include "cost-models/descent.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <utility>

#include "blocks/lower.h"

namespace mcufit {

BoundedLattice::BoundedLattice(Lattice lattice, const Budget& budget, const CodeSizesForTarget& code,
                               const TargetLaw* law)
    : boxes_(std::move(lattice),
             budget.plan == PlanChoice::layer_by_layer ? RowAxes::kept : RowAxes::enumerated),
      budget_(budget),
      code_(&code),
      law_(law),
      overheads_(boxes_.structures()) {
  if (law != nullptr) bound_law_ = without_uneven(*law);
  tbb::parallel_for(std::uint32_t{0}, boxes_.structures(), [&](std::uint32_t s) {
    overheads_[s] = overhead_of(boxes_.bottom(boxes_.whole(s)), budget_, *code_);
  });
}

Member BoundedLattice::price(const Box& single) const {
  return price_member(boxes_.bottom(single), budget_, *code_, law_);
}

bool BoundedLattice::limits_rows(const Box& box, const Footprint& bottom) const {
  if (budget_.plan == PlanChoice::layer_by_layer) return false;
  return budget_.plan == PlanChoice::least_ram ||
         whole_ram_lower_bound(bottom, overhead(box)) > budget_.ram_bytes;
}

Fit BoundedLattice::graph_bound(const Box& box, const Footprint& bottom) const {
  Fit fit;
  const bool by_rows = limits_rows(box, bottom);
  if (!by_rows && !limits_speed()) return fit;
  const Graph lowered = lower(boxes_.bottom(box).build());
  if (by_rows)
    fit.hold(Resource::ram, row_ram_lower_bound(lowered, overhead(box), budget_), budget_.ram_bytes);
  hold_time(fit, lowered);
  return fit;
}

bool BoundedLattice::graph_rules_out(const Box& box, const Footprint& bottom) const {
  const bool by_rows = limits_rows(box, bottom);
  if (!by_rows && !limits_speed()) return false;
  const Graph lowered = lower(boxes_.bottom(box).build());
  Fit fit;
  hold_time(fit, lowered);
  return !fit.fits() || (by_rows && !rows_may_fit(lowered, overhead(box), budget_));
}

void BoundedLattice::hold_time(Fit& fit, const Graph& lowered) const {
  std::optional<Speed> speed;
  if (limits_speed() && bound_law_) speed = estimate_speed(lowered, *bound_law_);
  hold_speed(fit, speed, budget_);
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
  return {
      {cheaper, whole.bottom, cheaper.single() ? whole.bottom : boxes.top(cheaper).footprint(), whole.passed},
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
    // What takes a graph to be built is asked late, once for each bottom corner.
    if (!corners.passed && bounded_.graph_rules_out(corners.box, corners.bottom)) {
      ruled_out_ += corners.box.members();
      continue;
    }
    corners.passed = true;
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
