// SPDX-License-Identifier: Apache-2.0
#include "cost-models/ways_out.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "blocks/foundation/error.h"
#include "blocks/foundation/text.h"
#include "blocks/lower.h"
#include "cost-models/layout.h"
#include "cost-models/price_plan.h"

namespace mcufit {
namespace {

bool holds(const Budget& budget, const Cost& cost) {
  return cost.flash.total() <= budget.flash_bytes && cost.ram.total() <= budget.ram_bytes;
}

WayOut way(std::string change, Cost cost, const Budget& budget) {
  const bool fits = holds(budget, cost);
  return {std::move(change), std::move(cost), fits};
}

std::int64_t constants(const Graph& lowered, const Cost& cost, const Step& step) {
  return std::accumulate(
      step.nodes.begin(), step.nodes.end(), std::int64_t{0},
      [&](std::int64_t sum, NodeId id) { return sum + constant_bytes(cost, lowered, id); });
}

// Bytes of the arena in which something lies during a step, overlaps counted once.
std::int64_t occupied(const MemoryPlan& plan, std::int32_t step) {
  std::vector<std::pair<std::int64_t, std::int64_t>> stretches;  // begin, end
  for (const Placement& p : plan.placements) {
    if (step < p.first_step || step > p.last_step) continue;
    stretches.emplace_back(p.offset, p.offset + p.bytes);
    if (step == p.first_step) stretches.emplace_back(p.sums_offset, p.sums_offset + p.sums_bytes);
  }
  const Step& s = plan.steps[static_cast<std::size_t>(step)];
  stretches.emplace_back(s.scratch_offset, s.scratch_offset + s.scratch_bytes);
  std::sort(stretches.begin(), stretches.end());
  std::int64_t bytes = 0, covered = 0;
  for (const auto& [begin, end] : stretches) {
    bytes += std::max<std::int64_t>(end - std::max(begin, covered), 0);
    covered = std::max(covered, end);
  }
  return bytes;
}

std::string name_of(const Graph& lowered, const Step& step) {
  const std::string& first = lowered.node(step.nodes.front()).name;
  return step.nodes.size() == 1 ? first : first + " .. " + lowered.node(step.nodes.back()).name;
}

// The sender delivers rows when they are asked for.
std::optional<WayOut> streamed_input(const Graph& lowered, const Cost& cost, Budget budget,
                                     const CodeSizesForTarget& code) {
  if (streams_input(cost.plan)) return std::nullopt;
  if (budget.plan == PlanChoice::layer_by_layer) budget.plan = PlanChoice::fits;
  std::optional<Cost> fed = price_package_fed_by_rows(lowered, code, budget);
  if (!fed || fed->ram.total() >= price_package(lowered, code, budget).ram.total()) return std::nullopt;
  return way("input delivered row by row", std::move(*fed), budget);
}

std::optional<WayOut> plans_by_rows(const Graph& lowered, Budget budget, const CodeSizesForTarget& code) {
  if (budget.plan != PlanChoice::layer_by_layer) return std::nullopt;
  budget.plan = PlanChoice::fits;
  return way("groups of layers by rows (--plan fits)", price_package(lowered, code, budget), budget);
}

std::optional<WayOut> packed_filters(const Graph& lowered, const Cost& cost, Budget budget,
                                     const CodeSizesForTarget& code) {
  if (!cost.wide_filters() || cost.flash.total() <= budget.flash_bytes) return std::nullopt;
  budget.wide_filters = false;
  return way("packed filters (without --wide-filters)", price_package(lowered, code, budget), budget);
}

std::optional<WayOut> larger_target(const Graph& lowered, const Budget& asked) {
  std::vector<std::pair<Budget, Target>> targets;
  for (const std::string& name : target_names()) {
    Target target = load_target(name);
    Budget budget = derive(target, {});
    budget.plan = asked.plan;
    budget.wide_filters = asked.wide_filters;
    targets.emplace_back(budget, std::move(target));
  }
  std::stable_sort(targets.begin(), targets.end(), [](const auto& a, const auto& b) {
    return a.first.ram_bytes != b.first.ram_bytes ? a.first.ram_bytes < b.first.ram_bytes
                                                  : a.first.flash_bytes < b.first.flash_bytes;
  });
  for (const auto& [budget, target] : targets) {
    const CodeSizesForTarget code = load_code_sizes(target);
    if (!holds(budget, price_candidate(lowered, code, budget))) continue;
    return way(fmt::format("target {} ({} bytes of RAM, {} of flash)", target.name,
                           with_separators(budget.ram_bytes), with_separators(budget.flash_bytes)),
               price_package(lowered, code, budget), budget);
  }
  return std::nullopt;
}

// Smaller inputs of the same proportions, largest first: square ones by sides that are multiples of 8, others
// by sixteenths.
std::vector<Shape> smaller_inputs(const Shape& input) {
  std::vector<Shape> smaller;
  const bool square = input.height == input.width;
  const std::int32_t parts = square ? (input.height + 7) / 8 : 16;
  for (std::int32_t part = parts - 1; part > 0; --part) {
    const auto scaled = [&](std::int32_t extent) {
      return square ? 8 * part : std::max(extent * part / parts, 1);
    };
    smaller.push_back({scaled(input.height), scaled(input.width), input.channels});
  }
  return smaller;
}

std::optional<Graph> lowered_form(const Architecture& architecture) {
  try {
    return lower(architecture.build());
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) throw;
    return std::nullopt;  // the input is too small for its strides
  }
}

// The first that fits, else the last that can be built: it needs least.
std::optional<WayOut> first_that_fits(const std::vector<std::pair<std::string, Architecture>>& changed,
                                      const Budget& budget, const CodeSizesForTarget& code) {
  const std::string* change = nullptr;
  std::optional<Graph> last;
  for (const auto& [what, architecture] : changed) {
    auto lowered = lowered_form(architecture);
    if (!lowered) break;
    last = std::move(lowered);
    change = &what;
    if (holds(budget, price_candidate(*last, code, budget))) break;
  }
  if (!last) return std::nullopt;
  return way(*change, price_package(*last, code, budget), budget);
}

std::optional<WayOut> smaller_input(const Architecture& a, const Budget& budget,
                                    const CodeSizesForTarget& code) {
  std::vector<std::pair<std::string, Architecture>> changed;
  for (const Shape& input : smaller_inputs(a.task.input)) {
    Architecture other = a;
    other.task.input = input;
    changed.emplace_back(fmt::format("input {} instead of {}", to_string(input), to_string(a.task.input)),
                         other);
  }
  return first_that_fits(changed, budget, code);
}

std::optional<WayOut> smaller_width(const Architecture& a, const Budget& budget,
                                    const CodeSizesForTarget& code) {
  const Parameter& width = a.family->parameters()[0];
  std::vector<std::pair<std::string, Architecture>> changed;
  const auto values = width.fine_values();
  for (auto value = values.rbegin(); value != values.rend(); ++value) {
    if (*value >= a.hyperparameters[0]) continue;
    Architecture other = a;
    other.hyperparameters[0] = *value;
    changed.emplace_back(fmt::format("{} {} instead of {}", width.name, *value, a.hyperparameters[0]), other);
  }
  return first_that_fits(changed, budget, code);
}

std::vector<WayOut> cheapest_first(std::vector<WayOut> ways) {
  std::stable_sort(ways.begin(), ways.end(), [](const WayOut& a, const WayOut& b) {
    return a.fits != b.fits ? a.fits : a.cost.macs > b.cost.macs;
  });
  return ways;
}

void add(std::vector<WayOut>& ways, std::optional<WayOut> found) {
  if (found) ways.push_back(std::move(*found));
}

}  // namespace

Shortage find_shortage(const Graph& lowered, const Cost& cost, const Budget& budget) {
  Fit fit;
  fit.hold(Resource::flash, cost.flash.total(), budget.flash_bytes);
  fit.hold(Resource::ram, cost.ram.total(), budget.ram_bytes);
  Shortage shortage;
  if (fit.fits()) return shortage;
  shortage.binding = fit.binding;
  const bool ram = fit.binding == Resource::ram;
  shortage.missing_bytes =
      ram ? cost.ram.total() - budget.ram_bytes : cost.flash.total() - budget.flash_bytes;
  for (const Step& step : cost.plan.steps) {
    const auto number = static_cast<std::int32_t>(&step - cost.plan.steps.data());
    const std::int64_t bytes = ram ? occupied(cost.plan, number) : constants(lowered, cost, step);
    if (bytes <= shortage.step_bytes) continue;
    shortage.step_bytes = bytes;
    shortage.step = name_of(lowered, step);
  }
  return shortage;
}

std::vector<WayOut> ways_out(const Graph& lowered, const Cost& cost, const Budget& budget,
                             const CodeSizesForTarget& code) {
  std::vector<WayOut> ways;
  add(ways, plans_by_rows(lowered, budget, code));
  add(ways, streamed_input(lowered, cost, budget, code));
  add(ways, packed_filters(lowered, cost, budget, code));
  add(ways, larger_target(lowered, budget));
  return cheapest_first(std::move(ways));
}

std::vector<WayOut> ways_out(const Architecture& architecture, const Cost& cost, const Budget& budget,
                             const CodeSizesForTarget& code) {
  const Graph lowered = lower(architecture.build());
  std::vector<WayOut> ways;
  add(ways, plans_by_rows(lowered, budget, code));
  add(ways, streamed_input(lowered, cost, budget, code));
  add(ways, packed_filters(lowered, cost, budget, code));
  add(ways, smaller_input(architecture, budget, code));
  add(ways, smaller_width(architecture, budget, code));
  return cheapest_first(std::move(ways));
}

}  // namespace mcufit
