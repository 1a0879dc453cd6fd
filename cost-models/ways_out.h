// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "blocks/family.h"
#include "cost-models/invert.h"
#include "cost-models/price.h"
#include "cost-models/target.h"

namespace mcufit {

// Why a network does not fit a budget's memories: the one it exceeds by the larger share (RAM or flash), the
// step of its plan that needs most of that one, and the bytes that are missing.
struct Shortage {
  Resource binding = Resource::none;  // none where both memories hold it
  std::string step;                   // "block1/expand .. block1/project": a group's first and last node
  std::int64_t step_bytes = 0;        // of the arena that it occupies; of flash its constants
  std::int64_t missing_bytes = 0;
};
Shortage find_shortage(const Graph& lowered, const Cost& cost, const Budget& budget);

// One change that makes a network need less, or gives it more, and what it costs then.
struct WayOut {
  std::string change;  // "input 64x64x3 instead of 96x96x3"
  Cost cost;
  bool fits = false;  // flash and RAM
};

// What can be changed on any network that costs `cost`: plans by rows where the budget does not allow them,
// an input that arrives row by row where that needs less RAM, packed filters where wide ones exceed the
// flash, and of the known targets the one with the least RAM that holds it. Those that fit come first, of
// them those that keep most MACs.
std::vector<WayOut> ways_out(const Graph& lowered, const Cost& cost, const Budget& budget,
                             const CodeSizesForTarget& code);

// The same for a member of a family, and instead of a target the largest smaller input of the same
// proportions and the largest smaller width (the family's first parameter) that fit, each alone.
std::vector<WayOut> ways_out(const Architecture& architecture, const Cost& cost, const Budget& budget,
                             const CodeSizesForTarget& code);

}  // namespace mcufit
