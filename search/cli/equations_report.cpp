// SPDX-License-Identifier: Apache-2.0
#include "search/cli/equations_report.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "blocks/foundation/text.h"

namespace mcufit {
namespace {

const Parameter& parameter(const Architecture& a, std::string_view name, std::size_t& index) {
  const auto parameters = a.family->parameters();
  for (index = 0; parameters[index].name != name;) ++index;
  return parameters[index];
}

double knob(const Architecture& a, std::string_view name) {
  std::size_t i = 0;
  parameter(a, name, i);
  return a.hyperparameters[i];
}

// Behind the stem, which strides.
PhiNetFrame frame_of(const Architecture& a) {
  const auto stride = static_cast<std::int32_t>(knob(a, "stem_stride"));
  const auto behind = [&](std::int32_t extent) { return (extent + stride - 1) / stride; };
  PhiNetFrame frame;
  frame.height = behind(a.task.input.height);
  frame.width = behind(a.task.input.width);
  frame.num_layers = static_cast<std::int32_t>(knob(a, "num_layers"));
  frame.downsampling = {static_cast<std::int32_t>(knob(a, "downsampling1")),
                        static_cast<std::int32_t>(knob(a, "downsampling2"))};
  return frame;
}

// The same network with other knobs; nothing where they lie outside the family's bounds.
std::optional<Architecture> with(Architecture a, const PhiNetKnobs& knobs) {
  for (const auto& [name, value] :
       {std::pair{"alpha", knobs.alpha}, std::pair{"beta", knobs.beta}, std::pair{"t_zero", knobs.t_zero}}) {
    std::size_t i = 0;
    const Parameter& p = parameter(a, name, i);
    if (!(value >= p.minimum && value <= p.maximum)) return std::nullopt;
    a.hyperparameters[i] = value;
  }
  return a;
}

EquationsRow row_of(std::string what, const PhiNetKnobs& knobs, const PhiNetFrame& frame) {
  return {std::move(what), knobs, phinet_demands(knobs, frame), std::nullopt};
}

std::string compared(double equations, std::int64_t exact) {
  return fmt::format("{:+.1f}", 100 * (equations - static_cast<double>(exact)) / static_cast<double>(exact));
}

}  // namespace

EquationsReport compare_equations(const Certificate& certificate, const Budget& budget,
                                  const CodeSizesForTarget& code) {
  const bool fits = !certificate.best.empty();
  const Member& best = fits ? certificate.best.front() : *certificate.nearest_miss;
  const Architecture& a = best.architecture;
  EquationsReport report;
  report.frame = frame_of(a);
  report.rows.push_back(row_of(fits ? "certified best" : "nearest miss",
                               {knob(a, "alpha"), knob(a, "beta"), knob(a, "t_zero")}, report.frame));
  report.rows.back().exact = best;
  Budget sizes = budget;  // the equations know no time
  sizes.latency_us = sizes.energy_uj = std::nullopt;
  const auto invert_for = [&](const PhiNetDemands& demands, const char* whose) {
    std::size_t number = 0;
    for (const PhiNetRoot& root : invert_phinet_equations(demands, report.frame)) {
      report.rows.push_back(
          row_of(fmt::format("{} root {}{}", whose, ++number, root.plausible ? "" : ", implausible"),
                 root.knobs, report.frame));
      const auto member = with(a, root.knobs);
      if (member) report.rows.back().exact = price_member(*member, sizes, code);
    }
    return number;
  };
  report.roots = invert_for(PhiNetDemands(report.rows.front().equations), "its");
  if (!budget.macs) return report;
  report.limits = PhiNetDemands{static_cast<double>(budget.params.value_or(budget.flash_bytes)),
                                static_cast<double>(*budget.macs), static_cast<double>(budget.ram_bytes)};
  report.roots_of_limits = invert_for(*report.limits, "the limits'");
  return report;
}

std::string equations_text(const EquationsReport& report) {
  std::vector<std::vector<std::string>> rows{
      {"", "alpha", "beta", "t_zero", "params", "exact", "%", "MACs", "exact", "%", "RAM B", "exact", "%"}};
  for (const EquationsRow& r : report.rows) {
    rows.push_back({r.what, fmt::format("{:.4f}", r.knobs.alpha), fmt::format("{:.4f}", r.knobs.beta),
                    fmt::format("{:.4f}", r.knobs.t_zero)});
    const auto add = [&](double equations, std::int64_t Footprint::*exact) {
      rows.back().push_back(with_separators(std::llround(equations)));
      const bool known = r.exact.has_value();
      rows.back().push_back(known ? with_separators(r.exact->footprint.*exact) : "-");
      rows.back().push_back(known ? compared(equations, r.exact->footprint.*exact) : "-");
    };
    add(r.equations.params, &Footprint::params);
    add(r.equations.macs, &Footprint::macs);
    add(r.equations.ram_bytes, &Footprint::peak_activation_bytes);
  }
  const PhiNetFrame& f = report.frame;
  std::string text = fmt::format(
      "\n  the paper's equations at {}x{} behind the stem, {} blocks; exact: params, MACs and activation "
      "peak of the "
      "network; %: how far the equations are off; their figures for the best member have {} roots",
      f.height, f.width, f.num_layers, report.roots);
  if (report.limits)
    text += fmt::format(", the limits (params {}, MACs {}, RAM {}) {}",
                        with_separators(std::llround(report.limits->params)),
                        with_separators(std::llround(report.limits->macs)),
                        with_separators(std::llround(report.limits->ram_bytes)), report.roots_of_limits);
  return text + "\n" + aligned_table(rows);
}

nlohmann::json to_json(const EquationsReport& report) {
  const auto demands = [](const PhiNetDemands& d) {
    return nlohmann::json{{"params", d.params}, {"macs", d.macs}, {"ram_bytes", d.ram_bytes}};
  };
  nlohmann::json rows = nlohmann::json::array();
  for (const EquationsRow& r : report.rows) {
    nlohmann::json row = {{"what", r.what},
                          {"alpha", r.knobs.alpha},
                          {"beta", r.knobs.beta},
                          {"t_zero", r.knobs.t_zero},
                          {"equations", demands(r.equations)}};
    if (r.exact) row["exact"] = to_json(*r.exact);
    rows.push_back(std::move(row));
  }
  nlohmann::json j = {
      {"roots", report.roots}, {"roots_of_limits", report.roots_of_limits}, {"rows", std::move(rows)}};
  if (report.limits) j["limits"] = demands(*report.limits);
  return j;
}

}  // namespace mcufit
