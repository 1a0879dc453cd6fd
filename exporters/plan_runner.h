// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "blocks/quantized_graph.h"
#include "cost-models/plan.h"
#include "cost-models/row_schedule.h"
#include "exporters/row_tables.h"
#include "exporters/steps.h"

namespace mcufit {

// Executes a memory plan on the host as a package does on a microcontroller: the same kernels, the same
// constants, the same order of rows, in an arena of the plan's size.
class PlanRunner {
 public:
  // Throws what make_step() and row_tables() throw.
  PlanRunner(const QuantizedGraph& graph, const MemoryPlan& plan);

  PlanRunner(const PlanRunner&) = delete;  // the tables point into the steps
  PlanRunner& operator=(const PlanRunner&) = delete;

  // The output for a sample, which is delivered row by row where the plan streams the input, in tiles once
  // for each. What `arena`, of the plan's size, holds before makes no difference.
  std::vector<std::int8_t> run(std::span<const std::int8_t> input, std::span<std::int8_t> arena) const;

  // The calls of number `step` of steps(), in order.
  std::vector<RowCall> calls(std::size_t step) const;

  const std::vector<ExecutedStep>& steps() const { return executed_; }

 private:
  template <typename Run>
  void each_call(std::size_t step, const Run& run) const;

  static void run_row(const RuntimeStep& call, std::int16_t row, std::span<const std::int8_t> input,
                      std::span<std::int8_t> arena);

  bool streamed_;
  Placement input_, output_;
  std::vector<ExecutedStep> executed_;
  std::vector<std::size_t> first_place_;  // of each executed step
  std::vector<RuntimeStep> calls_;        // by place
  RowTables tables_;
};

}  // namespace mcufit
