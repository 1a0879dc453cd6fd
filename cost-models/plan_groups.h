// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "cost-models/grouping.h"
#include "cost-models/plan.h"
#include "cost-models/row_schedule.h"

namespace mcufit {

// Places the tensors, line buffers and sums of a grouping; `attempts` as in arrange(). Its bound is the most
// bytes that one step needs. Not yet verified.
MemoryPlan place_groups(const RowGraph& graph, const Grouping& grouping, int attempts);

}  // namespace mcufit
