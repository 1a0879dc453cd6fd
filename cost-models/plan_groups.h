// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "cost-models/grouping.h"
#include "cost-models/plan.h"
#include "cost-models/row_schedule.h"

namespace mcufit {

// Places the tensors, line buffers and sums of a grouping, with so many attempts beyond the first ones (see
// arrange()). Its bound is the most bytes that one step was estimated to
// need. Not yet verified.
MemoryPlan place_groups(const RowGraph& graph, const Grouping& grouping, int attempts, std::int64_t bound);

}  // namespace mcufit
