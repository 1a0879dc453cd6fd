// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "cost-models/invert.h"

namespace mcufit {

// What the members of a box need beside filters and activations (steps, code, lookup tables; stack), at
// least, whichever plan of the budget's choice they get. A lower bound, since no member has fewer nodes of
// any op than the box's bottom corner, a node's step has the size of its op, code and stack grow with the set
// of kernels, and lookup tables are per node. A plan by rows changes the kernels of means and averages, for
// which the smaller of both counts, and adds the constants and the function by which groups run. What wide
// filters cost is left out: it can fall when channels fill their last block of four.
struct Overhead {
  std::int64_t flash_bytes = 0;
  std::int64_t ram_bytes = 0;
  std::int64_t whole_ram_bytes = 0;  // of layer-by-layer plans
};
Overhead overhead_of(const Architecture& bottom_corner, const Budget& budget, const CodeSizesForTarget& code);

// Flash that a member with this closed form cannot do without. Exact where the member has the bottom corner's
// nodes and no wide filters: lower() gives every layer with weights a bias and a multiplier per output
// channel.
std::int64_t flash_lower_bound(const Footprint& footprint, const Overhead& overhead);

// RAM that no layer-by-layer plan of a member with this closed form can do without: whole tensors, so that
// what is live at once while one op runs lies side by side in the arena. Does not fall when the footprint
// rises.
std::int64_t whole_ram_lower_bound(const Footprint& footprint, const Overhead& overhead);

// RAM that no plan can do without: the arena holds the input whole when the first step begins.
std::int64_t input_ram_lower_bound(const Shape& input, const Overhead& overhead);

// RAM that no candidate's plan (price_candidate()) can do without, of a member whose lowered graph has the
// same nodes, inputs and heights of windows as this one, in each tensor the same rows and in none fewer bytes
// per row.
// Proof: a candidate runs layer by layer or in groups of at most kQuickGroup nodes, both of which
// least_live_bytes(..., kQuickGroup) bounds; with a MAC factor above 1 in any groups, in tiles too. It is the
// least over groupings of the most, over the calls of their steps, of a sum over tensors of (rows that are
// live) x (bytes per row). Which groupings there are, the order of their calls and which rows are live depend
// on nodes, inputs, windows' heights and rows alone; so each such sum, and with it the most and the least of
// them, does not fall when bytes per row rise. Which groups may run in tiles depends on nodes and columns,
// which are as many as in this graph where the rows are.
std::int64_t row_ram_lower_bound(const Graph& lowered, const Overhead& overhead, const Budget& budget);
// Whether that is within the budget, which takes less to find out.
bool rows_may_fit(const Graph& lowered, const Overhead& overhead, const Budget& budget);

// Use of the budget by every member of a box whose bottom corner has this closed form and input, at least:
// hold_against() never says less.
Fit bound(const Footprint& bottom_corner, const Shape& input, const Overhead& overhead, const Budget& budget);

}  // namespace mcufit
