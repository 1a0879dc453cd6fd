// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "cost-models/bound.h"
#include "cost-models/lattice.h"

namespace mcufit {

// A lattice's boxes held against a budget by the closed forms of their corners.
class BoundedLattice {
 public:
  // Prices the smallest member of every structure, for its overhead. Where the budget allows plans by rows,
  // what changes rows is enumerated (BoxedLattice), so that the bottom corner's rows are every member's.
  // `law` may be null where the budget limits neither latency nor energy. Both are kept by reference.
  BoundedLattice(Lattice lattice, const Budget& budget, const CodeSizesForTarget& code,
                 const TargetLaw* law = nullptr);

  const BoxedLattice& boxes() const { return boxes_; }
  const Budget& budget() const { return budget_; }
  const CodeSizesForTarget& code() const { return *code_; }
  const Overhead& overhead(const Box& box) const { return overheads_[box.structure]; }
  // Of every member of a box with this bottom corner, at least.
  Fit bound(const Box& box, const Footprint& bottom) const {
    return mcufit::bound(bottom, boxes_.bottom(box).task.input, overhead(box), budget_);
  }

  // The same by what takes the bottom corner's graph. Latency and energy: the law's answer for it, a lower
  // bound, since a law is a sum over nodes of sizes, none with a coefficient below zero; the one of them that
  // may fall within the box is left out. RAM of plans by rows, where no member can run layer by layer.
  Fit graph_bound(const Box& box, const Footprint& bottom) const;
  // Whether that exceeds the budget, which takes less to find out.
  bool graph_rules_out(const Box& box, const Footprint& bottom) const;

  Member price(const Box& single) const;
  // In the given order, on all cores.
  std::vector<Member> price_all(const std::vector<Box>& singles) const;

 private:
  BoxedLattice boxes_;
  Budget budget_;
  const CodeSizesForTarget* code_;
  const TargetLaw* law_;
  std::optional<TargetLaw> bound_law_;  // below law_ in every member of a box whose least one it is asked of
  bool limits_speed() const { return budget_.latency_us || budget_.energy_uj; }
  bool limits_rows(const Box& box, const Footprint& bottom) const;
  void hold_time(Fit& fit, const Graph& lowered) const;

  std::vector<Overhead> overheads_;
};

// A box with the closed forms of its corners, between which all its members' lie.
struct Corners {
  Box box;
  Footprint bottom, top;
  bool passed = false;  // the bottom corner's graph_bound() is known to be within the budget
};
Corners corners_of(const BoxedLattice& boxes, const Box& box);
// The halves, with two closed forms evaluated: each has one corner of the whole.
std::pair<Corners, Corners> split(const BoxedLattice& boxes, const Corners& whole);

// Branch and bound: yields members by capacity, largest first, that their bounds do not rule out. A box is
// opened only when no other may hold a larger member, and dropped unopened when its bottom corner's bound
// exceeds the budget. Of a lattice it holds the open boxes alone.
class Descent {
 public:
  // Tells that no member of a box is of interest, whatever its price; may change its mind to true later.
  using Dispensable = std::function<bool(const Corners&)>;
  explicit Descent(const BoundedLattice& bounded, Dispensable dispensable = {});

  struct Candidate {
    Box box;  // single
    Footprint footprint;
  };
  std::optional<Candidate> next();

  // Members so far: ruled out by bounds, dispensed with, yielded; and those in boxes still closed, none of
  // them larger than the last one yielded. Together the whole lattice.
  std::int64_t ruled_out() const { return ruled_out_; }
  std::int64_t dispensed() const { return dispensed_; }
  std::int64_t yielded() const { return yielded_; }
  std::int64_t unopened() const;
  std::int64_t closed_forms() const { return closed_forms_; }

 private:
  struct Open {
    Corners corners;
    Capacity most;  // of any member of the box that fits
    bool operator<(const Open& other) const;
  };
  void push(const Corners& corners);

  const BoundedLattice& bounded_;
  Dispensable dispensable_;
  std::vector<Open> open_;  // a heap
  std::int64_t ruled_out_ = 0, dispensed_ = 0, yielded_ = 0, closed_forms_ = 0;
};

}  // namespace mcufit
