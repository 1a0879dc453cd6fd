// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "blocks/graph.h"
#include "cost-models/plan.h"

namespace mcufit {

// Kernels work in the arena, where the plan has room for those of one instruction set, plan.isa. A package
// compiles for any: kernels of another one work behind what is planned, one after the other at the same
// place, and the arena is longer there.

// By how many bytes: what the largest node's kernel works with; 0 for plan.isa and for portable kernels.
std::int64_t scratch_bytes_behind(const Graph& lowered, const MemoryPlan& plan, Isa isa);

// True where that is above 0 for some instruction set.
bool has_scratch_behind(const Graph& lowered, const MemoryPlan& plan);

// Throws Error(internal) unless each step has what its nodes' kernels for plan.isa work with: they would
// overwrite tensors.
void check_scratch(const Graph& lowered, const MemoryPlan& plan);

// C text of <name>.h, which includes mcufit_isa.h where there is scratch behind: <NAME>_ARENA_BYTES.
std::string arena_macros(const Graph& lowered, const MemoryPlan& plan, const std::string& name);

// C text of <name>_steps.c, which includes <name>.h where there is scratch behind: where a kernel works, from
// where it does by plan. Empty where no step asks for it.
std::string scratch_macro(const Graph& lowered, const MemoryPlan& plan, const std::string& name);

// <NAME>_SCRATCH, what that defines.
std::string scratch_macro_name(std::string_view name);

}  // namespace mcufit
