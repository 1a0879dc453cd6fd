// SPDX-License-Identifier: Apache-2.0
#include "cost-models/price_plan.h"

#include <algorithm>
#include <utility>

#include "cost-models/layout.h"

namespace mcufit {
namespace {

// Of two prices of one network the one with less RAM, the first of equals.
Cost smaller(Cost a, Cost b) { return b.ram.total() < a.ram.total() ? std::move(b) : std::move(a); }

Cost least(const Graph& lowered, const CodeSizesForTarget& code, PlanMode mode) {
  return price(lowered, code, plan(lowered, {.mode = mode}));
}

// The fewest calls of the mode's plans that the RAM holds, else the least RAM.
Cost fewest_calls(const Graph& lowered, const CodeSizesForTarget& code, PlanMode mode,
                  std::int64_t ram_bytes) {
  Cost smallest = least(lowered, code, mode);
  if (smallest.ram.total() > ram_bytes) return smallest;
  const std::int64_t others = smallest.ram.total() - smallest.ram.arena_bytes;
  Cost fewest = price(lowered, code, plan(lowered, {.mode = mode, .ram_limit = ram_bytes - others}));
  return fewest.ram.total() <= ram_bytes ? fewest : smallest;
}

// Without speed.
Cost candidate(const Graph& lowered, const CodeSizesForTarget& code, const Budget& budget) {
  Cost whole = price(lowered, code);
  switch (budget.plan) {
    case PlanChoice::layer_by_layer:
      return whole;
    case PlanChoice::least_ram:
      return smaller(std::move(whole), least(lowered, code, PlanMode::quick));
    case PlanChoice::fits:
      break;
  }
  if (whole.ram.total() <= budget.ram_bytes) return whole;
  return smaller(std::move(whole), fewest_calls(lowered, code, PlanMode::quick, budget.ram_bytes));
}

bool runs_whole(const Cost& priced, const Budget& budget) {
  if (budget.plan == PlanChoice::layer_by_layer) return true;
  return budget.plan == PlanChoice::fits && !has_row_steps(priced.plan) &&
         priced.ram.total() <= budget.ram_bytes;
}

Cost with_speed(Cost cost, const Graph& lowered, const TargetLaw* law) {
  if (law != nullptr) cost.speed = estimate_speed(lowered, *law);
  return cost;
}

}  // namespace

Cost price_candidate(const Graph& lowered, const CodeSizesForTarget& code, const Budget& budget,
                     const TargetLaw* law) {
  return with_speed(candidate(lowered, code, budget), lowered, law);
}

Cost price_package(const Graph& lowered, const CodeSizesForTarget& code, const Budget& budget,
                   const TargetLaw* law) {
  Cost quick = candidate(lowered, code, budget);
  if (runs_whole(quick, budget)) return with_speed(std::move(quick), lowered, law);
  Cost best =
      budget.plan == PlanChoice::least_ram
          ? least(lowered, code, PlanMode::best)
          : fewest_calls(lowered, code, PlanMode::best, std::min(quick.ram.total(), budget.ram_bytes));
  const bool no_larger = best.ram.total() <= quick.ram.total() &&
                         best.flash.total() <= std::max(quick.flash.total(), budget.flash_bytes);
  return with_speed(no_larger ? std::move(best) : std::move(quick), lowered, law);
}

std::optional<Cost> price_package_fed_by_rows(const Graph& lowered, const CodeSizesForTarget& code,
                                              const Budget& budget, const TargetLaw* law) {
  const std::int64_t ram_bytes = budget.plan == PlanChoice::fits ? budget.ram_bytes : 0;
  std::optional<Cost> chosen;
  for (FrontPoint& point : plan_front(lowered, {.input_streamed = true})) {
    if (!streams_input(point.plan)) continue;
    Cost cost = price(lowered, code, std::move(point.plan));
    const std::int64_t bytes = cost.ram.total();
    if (!chosen || bytes <= ram_bytes || bytes < chosen->ram.total()) chosen = std::move(cost);
  }
  if (chosen) chosen = with_speed(std::move(*chosen), lowered, law);
  return chosen;
}

}  // namespace mcufit
