// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "blocks/graph.h"
#include "cost-models/price.h"
#include "cost-models/target.h"

namespace mcufit {

// The one place that decides which plan a network gets: by the budget's choice and its RAM limit. Where no
// plan fits, the one with the least RAM. `law`, which may be null, adds the speed.

// As a search prices a candidate: plans of the quick mode, in tiles where no other of them fits.
Cost price_candidate(const Graph& lowered, const CodeSizesForTarget& code, const Budget& budget,
                     const TargetLaw* law = nullptr);

// As a network is exported: layer by layer where a candidate is, else with plans of the best mode, in tiles
// where no other fits or the least RAM is asked for. Never needs more RAM than the candidate's price of the
// same graph, but that it makes nothing twice where it fits without, and fits its flash limit where that
// does.
Cost price_package(const Graph& lowered, const CodeSizesForTarget& code, const Budget& budget,
                   const TargetLaw* law = nullptr);

// As a network is exported whose sender delivers the input row by row: the plan that takes it so with the
// fewest calls that the RAM holds, else, or by PlanChoice::least_ram, with the least RAM. Nothing where no
// plan needs a smaller arena when its input comes so.
std::optional<Cost> price_package_fed_by_rows(const Graph& lowered, const CodeSizesForTarget& code,
                                              const Budget& budget, const TargetLaw* law = nullptr);

}  // namespace mcufit
