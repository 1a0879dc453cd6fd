// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "blocks/graph.h"
#include "cost-models/plan.h"

namespace mcufit {

// The plan that runs these steps with each tensor, line buffer, sum and scratch at a place of its own, for
// what measures or tests the execution of steps and not their placement. Verified; throws what verify()
// throws.
MemoryPlan unshared_plan(const Graph& lowered, std::vector<Step> steps, Isa isa = Isa::portable);

}  // namespace mcufit
