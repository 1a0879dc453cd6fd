// SPDX-License-Identifier: Apache-2.0
#include "exporters/plan_runner.h"

#include <algorithm>

#include "cost-models/layout.h"

namespace mcufit {
namespace {

std::int16_t end_of(const RuntimeStep& step) {
  return std::visit([](const auto& s) { return s.end; }, step);
}

}  // namespace

PlanRunner::PlanRunner(const QuantizedGraph& graph, const MemoryPlan& plan)
    : streamed_(streams_input(plan)),
      input_(plan.placement(0)),
      output_(plan.placement(graph.graph.size() - 1)),
      executed_(executed_steps(graph.graph, plan)),
      tables_(row_tables(graph, plan)) {
  std::vector<std::size_t> place_of(graph.graph.nodes.size());
  for (const ExecutedStep& step : executed_) {
    first_place_.push_back(calls_.size());
    for (const NodeId id : step.nodes) {
      place_of[static_cast<std::size_t>(id)] = calls_.size();
      calls_.push_back(make_step(graph, plan, id, step.tile));
    }
  }
  for (std::size_t i = 0; i < tables_.needs.size(); ++i) {
    if (const auto resize = tables_.resizes[i]) {
      const std::size_t place = place_of[static_cast<std::size_t>(*resize)];
      tables_.needs[i].sources = std::get<ResizeStep>(calls_[place]).rows.data();
    }
  }
}

// As <name>_advance() of a package.
template <typename Run>
void PlanRunner::each_call(std::size_t step, const Run& run) const {
  const mcufit_row_call* calls = tables_.calls.data() + first_place_[step];
  const auto last = static_cast<std::int16_t>(executed_[step].nodes.size() - 1);
  std::vector<mcufit_row_progress> progress(executed_[step].nodes.size());
  for (std::int16_t i = -1; i < last; ++i) {
    const std::int16_t goal = i < 0 ? last : i;
    std::int16_t at = goal;
    while (progress[static_cast<std::size_t>(goal)].done < calls[goal].kept) {
      at = mcufit_row_order(calls, tables_.needs.data(), progress.data(), at);
      mcufit_row_progress& place = progress[static_cast<std::size_t>(at)];
      run(static_cast<std::size_t>(at), place.done);
      ++place.done;
      if (at != goal) at = place.asker;
    }
  }
}

void PlanRunner::run_row(const RuntimeStep& call, std::int16_t row, std::span<const std::int8_t> input,
                         std::span<std::int8_t> arena) {
  if (const auto* fed = std::get_if<InputRowStep>(&call)) {
    const auto& [view, sample_stride, first_column, columns] = fed->fields;
    const auto piece = input.begin() + std::ptrdiff_t{row} * sample_stride +
                       std::ptrdiff_t{first_column} * view.pixel_stride;
    std::copy_n(piece, columns * view.pixel_stride, arena.begin() + view.offset + mcufit_row(&view, row));
    return;
  }
  const bool by_rows = !std::holds_alternative<FullyConnectedStep>(call);  // its range are outputs
  run_step(call, arena.data(), by_rows ? row : std::int16_t{0},
           by_rows ? static_cast<std::int16_t>(row + 1) : end_of(call));
}

std::vector<std::int8_t> PlanRunner::run(std::span<const std::int8_t> input,
                                         std::span<std::int8_t> arena) const {
  if (!streamed_) std::copy(input.begin(), input.end(), arena.begin() + input_.offset);
  for (std::size_t step = 0; step < executed_.size(); ++step) {
    if (!executed_[step].by_rows) {
      const RuntimeStep& call = calls_[first_place_[step]];
      run_step(call, arena.data(), 0, end_of(call));
      continue;
    }
    each_call(step, [&](std::size_t at, std::int16_t row) {
      run_row(calls_[first_place_[step] + at], row, input, arena);
    });
  }
  const auto output = arena.subspan(static_cast<std::size_t>(output_.offset));
  return {output.begin(), output.begin() + output_.bytes};
}

std::vector<RowCall> PlanRunner::calls(std::size_t step) const {
  std::vector<RowCall> calls;
  each_call(step, [&](std::size_t at, std::int16_t row) {
    calls.push_back({executed_[step].nodes[at], row, row + 1});
  });
  return calls;
}

}  // namespace mcufit
