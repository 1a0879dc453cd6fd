// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "blocks/quantized_graph.h"
#include "cost-models/plan.h"

namespace mcufit {

// The C text of <name>_run(), which executes a package's list of calls: by rows where the plan asks for it,
// with the tables by which groups run. Packages without groups have nothing of that.
std::string run_source(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name);

// Declarations of what runs a group call by call; empty without groups.
std::string row_declarations(const MemoryPlan& plan, const std::string& name);

}  // namespace mcufit
