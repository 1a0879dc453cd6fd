// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "blocks/foundation/random.h"
#include "blocks/graph.h"
#include "cost-models/plan.h"

namespace mcufit::testing {

// A plan with random groups of at most `longest` nodes; single nodes run whole or by rows.
MemoryPlan random_plan(Random& random, const Graph& lowered, NodeId longest);

// The same where groups that may run in tiles do so, cut at random columns.
MemoryPlan random_tiled_plan(Random& random, const Graph& lowered, NodeId longest);

// Every node behind the input that may run in tiles in groups as long as may be, in tiles of three columns;
// the others one by one.
MemoryPlan tiled_groups(const Graph& lowered);

// Every node behind the input in groups as long as may be.
MemoryPlan longest_groups(const Graph& lowered);

}  // namespace mcufit::testing
