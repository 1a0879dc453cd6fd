// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "blocks/foundation/random.h"
#include "blocks/graph.h"
#include "cost-models/plan.h"

namespace mcufit::testing {

// A plan with random groups of at most `longest` nodes; single nodes run whole or by rows.
MemoryPlan random_plan(Random& random, const Graph& lowered, NodeId longest);

// Every node behind the input in groups as long as may be.
MemoryPlan longest_groups(const Graph& lowered);

}  // namespace mcufit::testing
