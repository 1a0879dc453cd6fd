// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "blocks/quantized_graph.h"
#include "cost-models/plan.h"
#include "exporters/package.h"

namespace mcufit {

// What a user of a package includes and calls, as C text: <name>.h and <name>.c, which has the arena. A plan
// with a whole input gives <name>_input() and <name>_invoke(), one that streams it <name>_start(),
// <name>_next_input_row(), <name>_next_input_piece(), <name>_feed_row() and <name>_invoke_from(). No
// function's size depends on the network.
std::string public_header(const QuantizedGraph& graph, const MemoryPlan& plan, const PackageRequest& request);
std::string model_source(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name);

// The function of a package that calls all others.
std::string outermost_function(bool input_streamed, const std::string& name);

}  // namespace mcufit
