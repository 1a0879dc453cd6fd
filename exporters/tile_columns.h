// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "blocks/graph.h"
#include "cost-models/layout.h"
#include "cost-models/plan.h"
#include "cost-models/row_schedule.h"

namespace mcufit {

// The columns of its output and inputs that one kernel call works on, and where they lie: whole rows, but of
// a group in tiles those of one tile. What the group reads from outside and its last output lie there whole;
// the line buffers between begin with the first column that the tile makes.
class TileColumns {
 public:
  TileColumns(const Graph& lowered, const MemoryPlan& plan, NodeId id, std::int32_t tile);

  struct Part {
    NodeId node = 0;
    ColumnRange columns;         // of the tensor
    std::int64_t start = 0;      // bytes from the tensor's placement to the first of them
    std::int64_t row_bytes = 0;  // from one row to the next
  };

  // Of the node itself, or of one of its inputs.
  const Part& part(NodeId id) const;

 private:
  std::vector<Part> parts_;  // the output, then the inputs
};

// Of a call's output.
TileColumns::Part made_part(const Graph& lowered, const MemoryPlan& plan, const KernelCall& call);

}  // namespace mcufit
