// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "blocks/foundation/random.h"
#include "blocks/graph.h"
#include "cost-models/plan.h"

namespace mcufit::testing {

// Whether the sender delivers the input whole, or row by row inside of the first group: in tiles, once for
// each.
enum class InputUse { whole, streamed };

// A plan with random groups of at most `longest` nodes; single nodes run whole or by rows. Every tensor has a
// place of its own.
MemoryPlan random_plan(Random& random, const Graph& lowered, NodeId longest,
                       InputUse input = InputUse::whole);

// The same where groups that may run in tiles do so, cut at random columns.
MemoryPlan random_tiled_plan(Random& random, const Graph& lowered, NodeId longest,
                             InputUse input = InputUse::whole);

// Such groups placed as the planner places them: bytes are shared wherever that is safe. Verified.
MemoryPlan packed_tiled_plan(Random& random, const Graph& lowered, NodeId longest, InputUse input);

// Every node that may run in tiles in groups as long as may be, in tiles of three columns; the others one by
// one. The input whole is one of the others.
MemoryPlan tiled_groups(const Graph& lowered, InputUse input = InputUse::whole);

// Every node behind the input in groups as long as may be.
MemoryPlan longest_groups(const Graph& lowered, InputUse input = InputUse::whole);

// Random groups placed as the planner places them: bytes are shared wherever that is safe. Verified, with the
// bound of all groupings.
MemoryPlan packed_plan(Random& random, const Graph& lowered, NodeId longest, InputUse input);

// A plan for portable kernels with room for those of an instruction set, behind the tensors, of all steps at
// the same place.
MemoryPlan with_scratch(MemoryPlan plan, const Graph& lowered, Isa isa);

// Bytes of the arena that lie in any tensor, line buffer or sum of the plan, but for those of nodes of which
// nobody reads a row.
std::int64_t covered_bytes(const MemoryPlan& plan, const Graph& lowered);

// With those that kernels of an instruction set may work with besides, in the plan or behind it.
std::int64_t covered_bytes(const MemoryPlan& plan, const Graph& lowered, Isa isa);

}  // namespace mcufit::testing
