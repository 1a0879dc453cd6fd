// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cost-models/grouping.h"
#include "cost-models/plan.h"
#include "cost-models/row_schedule.h"

namespace mcufit {

// The plans of one network in the quick mode, whose groups are worked out once. They are not verified.
class QuickPlans {
 public:
  // `layers` is its plan layer by layer.
  QuickPlans(const Graph& lowered, MemoryPlan layers, bool input_streamed);

  MemoryPlan smallest() const;

  // The plan layer by layer where that keeps to the limit, else of the few that are tried the one with the
  // fewest calls that does, else one in tiles that multiplies the MACs by no more than the factor. Nothing
  // where none of them does.
  std::optional<MemoryPlan> within(std::int64_t bytes, double most_mac_factor) const;

 private:
  std::optional<MemoryPlan> in_tiles(std::int64_t bytes, double most_mac_factor) const;

  const Graph& lowered_;
  RowGraph graph_;
  bool input_streamed_;
  MemoryPlan layers_;
  std::vector<Grouping> groupings_;
};

// So many MACs more than the network's, for pareto_tilings().
std::int64_t most_extra_macs(const Graph& lowered, double most_mac_factor);

}  // namespace mcufit
