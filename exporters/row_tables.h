// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "blocks/quantized_graph.h"
#include "cost-models/plan.h"
#include "exporters/runtime/mcufit_runtime.h"

namespace mcufit {

// The constants by which mcufit_row_order() gives the calls of a plan's groups in the order of
// row_schedule(). A place is a call's number in kernel_calls().
struct RowTables {
  std::vector<mcufit_row_call> calls;          // of each place, and an end
  std::vector<mcufit_row_need> needs;          // `sources` null; one of zeros where there is none
  std::vector<std::optional<NodeId>> resizes;  // of each need the resize whose rows it reads
};

// Throws Error(input) naming the node when a number does not fit its field.
RowTables row_tables(const QuantizedGraph& graph, const MemoryPlan& plan);

// One step as a package executes it.
struct ExecutedStep {
  std::vector<NodeId> nodes;  // called ones
  bool by_rows = false;
  std::int32_t tile = 0;
};

// The steps of a plan that call a kernel; a group in tiles is a step for each. A streamed input is the first
// node of the first, or of the first for each tile of it.
std::vector<ExecutedStep> executed_steps(const Graph& lowered, const MemoryPlan& plan);

}  // namespace mcufit
