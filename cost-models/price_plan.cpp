// SPDX-License-Identifier: Apache-2.0
#include "cost-models/price_plan.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "cost-models/count.h"
#include "cost-models/layout.h"
#include "cost-models/quick_plans.h"

namespace mcufit {
namespace {

// A network on a core, priced with whatever plan it is given.
struct Network {
  const Graph& lowered;
  const CodeSizesForTarget& code;
  bool wide_filters;

  Network(const Graph& graph, const CodeSizesForTarget& sizes, const Budget& budget)
      : lowered(graph), code(sizes), wide_filters(budget.wide_filters) {}

  Cost priced(MemoryPlan plan) const {
    Cost cost = price(lowered, code, std::move(plan));
    if (wide_filters) store_wide_filters(cost, lowered, code);
    return cost;
  }
};

// Of two prices of one network the one with less RAM, the first of equals.
Cost smaller(Cost a, Cost b) { return b.ram.total() < a.ram.total() ? std::move(b) : std::move(a); }

// Of the quick plans by rows the one with the fewest calls that the RAM holds, where what it needs beside the
// arena is as much as in `like`. Nothing where none is found.
std::optional<Cost> fewest_calls(const Network& network, const QuickPlans& plans, std::int64_t ram_bytes,
                                 const Cost& like) {
  const std::int64_t others = like.ram.total() - like.ram.arena_bytes;
  std::optional<MemoryPlan> plan = plans.within(ram_bytes - others, 1.0);
  if (!plan) return std::nullopt;
  Cost cost = network.priced(std::move(*plan));
  return cost.ram.total() <= ram_bytes ? std::optional(std::move(cost)) : std::nullopt;
}

// The same by rows, or the least RAM where none is found; 0 bytes hold none. Most networks that fit do so by
// the first attempt, which needs no smallest plan.
Cost quick_by_rows(const Network& network, const Cost& whole, std::int64_t ram_bytes) {
  const QuickPlans plans(network.lowered, whole.plan, false);
  std::optional<Cost> chosen;
  if (ram_bytes > 0) chosen = fewest_calls(network, plans, ram_bytes, whole);
  if (!chosen) {
    Cost smallest = network.priced(plans.smallest());
    if (smallest.ram.total() <= ram_bytes) chosen = fewest_calls(network, plans, ram_bytes, smallest);
    if (!chosen) chosen = std::move(smallest);
  }
  verify(chosen->plan, network.lowered);
  return std::move(*chosen);
}

// A candidate without extra MACs.
Cost quick_candidate(const Network& network, const Budget& budget) {
  Cost whole = network.priced(plan(network.lowered, isa_of(network.code)));
  const bool least = budget.plan == PlanChoice::least_ram;
  const bool stays = budget.plan == PlanChoice::layer_by_layer ||
                     (budget.plan == PlanChoice::fits && whole.ram.total() <= budget.ram_bytes);
  if (stays) return whole;
  Cost by_rows = quick_by_rows(network, whole, least ? 0 : budget.ram_bytes);
  return smaller(std::move(whole), std::move(by_rows));
}

// What a plan is chosen for.
struct Wanted {
  std::int64_t ram_bytes = 0;  // 0: the least RAM
  std::int64_t flash_bytes = 0;
  bool input_streamed = false;
  double mac_factor = 1.0;
};

// Of the best mode's plans the one with the fewest MACs and calls that RAM and flash hold; else of those that
// the flash holds, else of all, the one with the least RAM. Nothing where no plan streams an input that is to
// be streamed.
std::optional<Cost> best(const Network& network, const Wanted& wanted) {
  using Rank = std::tuple<int, std::int64_t, std::int64_t>;
  std::optional<std::pair<Rank, Cost>> chosen;
  for (FrontPoint& point : plan_front(network.lowered, {.input_streamed = wanted.input_streamed,
                                                       .most_mac_factor = wanted.mac_factor,
                                                       .isa = isa_of(network.code)})) {
    if (wanted.input_streamed && !streams_input(point.plan)) continue;
    Cost cost = network.priced(std::move(point.plan));
    const std::int64_t ram = cost.ram.total();
    const bool in_flash = cost.flash.total() <= wanted.flash_bytes;
    const Rank rank = in_flash && ram <= wanted.ram_bytes ? Rank{0, point.macs, point.calls}
                                                          : Rank{in_flash ? 1 : 2, ram, point.macs};
    if (!chosen || rank < chosen->first) chosen = {rank, std::move(cost)};
  }
  return chosen ? std::optional(std::move(chosen->second)) : std::nullopt;
}

// The budget's factor, as far as its limit of MACs allows.
double mac_factor(const Graph& lowered, const Budget& budget) {
  if (!budget.macs) return budget.mac_factor;
  const auto macs = static_cast<double>(std::max<std::int64_t>(count(lowered).macs, 1));
  return std::clamp(static_cast<double>(*budget.macs) / macs, 1.0, budget.mac_factor);
}

// The best plan without extra MACs; with them where it is too large, or the least RAM is asked for.
std::optional<Cost> best_with_tiles(const Network& network, const Budget& budget, Wanted wanted) {
  const double factor = mac_factor(network.lowered, budget);
  if (budget.plan == PlanChoice::least_ram) {
    wanted.ram_bytes = 0;
    wanted.mac_factor = factor;
  }
  std::optional<Cost> plain = best(network, wanted);
  if (factor == wanted.mac_factor || (plain && plain->ram.total() <= wanted.ram_bytes)) return plain;
  wanted.mac_factor = factor;
  return best(network, wanted);
}

// Where the quick plan does not fit: a quick one in tiles that does.
std::optional<Cost> tiled_candidate(const Network& network, const Budget& budget, const Cost& quick) {
  if (budget.plan == PlanChoice::layer_by_layer || quick.ram.total() <= budget.ram_bytes) return std::nullopt;
  const double factor = mac_factor(network.lowered, budget);
  if (factor <= 1) return std::nullopt;
  const std::int64_t others = quick.ram.total() - quick.ram.arena_bytes;
  Cost tiled = network.priced(plan(network.lowered, {.mode = PlanMode::quick,
                                                     .ram_limit = budget.ram_bytes - others,
                                                     .most_mac_factor = factor,
                                                     .isa = isa_of(network.code)}));
  const bool fits = tiled.ram.total() <= budget.ram_bytes &&
                    tiled.flash.total() <= std::max(quick.flash.total(), budget.flash_bytes);
  return fits ? std::optional(std::move(tiled)) : std::nullopt;
}

bool runs_whole(const Cost& quick, const Budget& budget) {
  if (budget.plan == PlanChoice::layer_by_layer) return true;
  return budget.plan == PlanChoice::fits && !has_row_steps(quick.plan) &&
         quick.ram.total() <= budget.ram_bytes;
}

Cost package(const Network& network, const Budget& budget) {
  Cost quick = quick_candidate(network, budget);
  if (runs_whole(quick, budget)) return quick;
  const std::int64_t flash_bytes = std::max(quick.flash.total(), budget.flash_bytes);
  std::optional<Cost> found = best_with_tiles(
      network, budget,
      {.ram_bytes = std::min(quick.ram.total(), budget.ram_bytes), .flash_bytes = flash_bytes});
  const bool no_larger = found->ram.total() <= quick.ram.total() && found->flash.total() <= flash_bytes;
  if (no_larger) quick = std::move(*found);
  const auto tiled = tiled_candidate(network, budget, quick);
  return tiled ? *tiled : quick;
}

Cost with_speed(Cost cost, const Graph& lowered, const TargetLaw* law) {
  if (law != nullptr) cost.speed = estimate_speed(lowered, cost.plan, *law);
  return cost;
}

}  // namespace

Cost price_candidate(const Graph& lowered, const CodeSizesForTarget& code, const Budget& budget,
                     const TargetLaw* law) {
  const Network network(lowered, code, budget);
  Cost quick = quick_candidate(network, budget);
  if (auto tiled = tiled_candidate(network, budget, quick)) quick = std::move(*tiled);
  return with_speed(std::move(quick), lowered, law);
}

Cost price_package(const Graph& lowered, const CodeSizesForTarget& code, const Budget& budget,
                   const TargetLaw* law) {
  return with_speed(package({lowered, code, budget}, budget), lowered, law);
}

std::optional<Cost> price_package_fed_by_rows(const Graph& lowered, const CodeSizesForTarget& code,
                                              const Budget& budget, const TargetLaw* law) {
  std::optional<Cost> fed = best_with_tiles(
      {lowered, code, budget}, budget,
      {.ram_bytes = budget.ram_bytes, .flash_bytes = budget.flash_bytes, .input_streamed = true});
  if (fed) fed = with_speed(std::move(*fed), lowered, law);
  return fed;
}

}  // namespace mcufit
