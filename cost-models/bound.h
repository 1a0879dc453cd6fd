// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "cost-models/invert.h"

namespace mcufit {

// What the members of a box need beside filters and activations (steps, code, lookup tables; stack), at
// least: the exact price of the box's bottom corner less what its closed form explains. A lower bound, since
// no member has fewer nodes of any op than the bottom corner, a node's step has the size of its op, code and
// stack grow with the set of kernels, and lookup tables are per node.
struct Overhead {
  std::int64_t flash_bytes = 0;
  std::int64_t ram_bytes = 0;
};
Overhead overhead_of(const Member& bottom_corner);

// Flash that a member with this closed form cannot do without. Exact where the member has the bottom corner's
// nodes: lower() gives every layer with weights a bias and a multiplier per output channel.
std::int64_t flash_lower_bound(const Footprint& footprint, const Overhead& overhead);

// RAM that a member with this closed form cannot do without. Contract: never above the RAM of the plan that
// price() makes, and not falling when the footprint rises. Today's plans run layer by layer and hold whole
// tensors, so that what is live at once while one op runs lies side by side in the arena. A planner that
// holds less needs another bound here, and nowhere else.
std::int64_t ram_lower_bound(const Footprint& footprint, const Overhead& overhead);

// Use of the budget by every member of a box whose bottom corner has this closed form, at least:
// hold_against() never says less.
Fit bound(const Footprint& bottom_corner, const Overhead& overhead, const Budget& budget);

}  // namespace mcufit
