// SPDX-License-Identifier: Apache-2.0
#include "search/cli/fit_report.h"

#include <fmt/format.h>

#include "blocks/foundation/text.h"
#include "search/cli/report.h"

namespace mcufit {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::vector<std::string> row(const char* mark, const Member& m) {
  return {mark,
          to_string(m.architecture.task.input),
          with_separators(m.footprint.params),
          with_separators(m.cost.macs),
          with_separators(m.cost.flash.total()),
          with_separators(m.cost.ram.total()),
          fmt::format("{} {:.1f} %", to_string(m.fit.binding), 100 * m.fit.use),
          to_string(m.architecture)};
}

Rows header() { return {{"", "input", "params", "MACs", "flash B", "RAM B", "most used", "architecture"}}; }

// What a member needs of each resource and what there is of it.
std::string demand(const Member& m, const Budget& budget) {
  std::string text;
  const auto add = [&](const char* name, std::int64_t needed, std::int64_t there) {
    if (needed > there)
      text += fmt::format("{}{} {} of {} ({} too much)", text.empty() ? "" : ", ", name,
                          with_separators(needed), with_separators(there), with_separators(needed - there));
  };
  add("flash", m.cost.flash.total(), budget.flash_bytes);
  add("RAM", m.cost.ram.total(), budget.ram_bytes);
  if (budget.macs) add("MACs", m.cost.macs, *budget.macs);
  if (budget.params) add("params", m.footprint.params, *budget.params);
  const auto add_estimate = [&](const char* name, std::optional<double> needed, std::optional<double> there) {
    if (needed && there && *needed > *there)
      text += fmt::format("{}{} {:.0f} of {:.0f}", text.empty() ? "" : ", ", name, *needed, *there);
  };
  if (m.cost.speed) {
    add_estimate("latency us", m.cost.speed->latency_us, budget.latency_us);
    add_estimate("energy uJ", m.cost.speed->energy_uj, budget.energy_uj);
  }
  return text;
}

std::string best_text(const Certificate& c, const Budget& budget) {
  Rows rows = header();
  for (std::size_t i = 0; i < c.best.size(); ++i) rows.push_back(row(i == 0 ? "best" : "", c.best[i]));
  if (c.next_larger) rows.push_back(row("next larger, does not fit", *c.next_larger));
  std::string text = aligned_table(rows);
  text += c.next_larger ? fmt::format("  binding: {}; the next larger member needs {}\n",
                                      to_string(c.binding), demand(*c.next_larger, budget))
                        : "  binding: none; the largest member of the family's lattice fits\n";
  return text;
}

std::string miss_text(const Certificate& c, const Budget& budget) {
  Rows rows = header();
  rows.push_back(row("nearest miss", *c.nearest_miss));
  rows.push_back(row("smallest member", *c.smallest));
  return aligned_table(rows) +
         fmt::format(
             "  nothing fits: the nearest miss needs {}; the smallest member needs {}; every member uses at "
             "least {:.1f} % of a limit\n",
             demand(*c.nearest_miss, budget), demand(*c.smallest, budget), 100 * c.miss_bound);
}

std::string front_text(const Front& front) {
  Rows rows = header();
  for (const Member& m : front.members) rows.push_back(row("", m));
  return fmt::format(
             "\n  non-dominated in capacity, flash and RAM, layer by layer: {} members; {} priced exactly, "
             "{} dominated by "
             "their "
             "bounds, {} over the budget by their bounds\n",
             with_separators(static_cast<std::int64_t>(front.members.size())), with_separators(front.priced),
             with_separators(front.dominated_unpriced), with_separators(front.ruled_out)) +
         aligned_table(rows);
}

// The knobs whose corners bound a box.
std::string trends(const Family& family) {
  std::vector<std::string> rising, falling;
  for (const Parameter& p : family.parameters()) {
    if (p.fine_values().size() < 2) continue;
    if (p.trend == Trend::rising) rising.emplace_back(p.name);
    if (p.trend == Trend::falling) falling.emplace_back(p.name);
  }
  return fmt::format("  bounds: demands rise with {}{}{}; all other knobs are enumerated\n", join(rising),
                     falling.empty() ? "" : " and fall with ", join(falling));
}

}  // namespace

std::string fit_text(const Certificate& c, const Budget& budget, bool explained) {
  std::string text = fmt::format("\n{}: {} members, {} priced exactly, all decided\n", c.family->name(),
                                 with_separators(c.proof.members), with_separators(c.proof.priced_exactly()));
  text += c.best.empty() ? miss_text(c, budget) : best_text(c, budget);
  if (explained) {
    text += trends(*c.family) + explain(c.proof, !c.best.empty());
    if (!c.best.empty()) {
      const Cost& cost = c.best.front().cost;
      text += fmt::format("  the best one's plan: {}\n\n{}", describe(cost),
                          ledger_table(cost.flash, cost.ram, nullptr));
    }
  }
  if (c.front) text += front_text(*c.front);
  return text;
}

}  // namespace mcufit
