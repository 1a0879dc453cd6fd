// SPDX-License-Identifier: Apache-2.0
#include "search/cli/shortage_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "blocks/foundation/text.h"

namespace mcufit {

std::optional<ShortageReport> report_shortage(const Graph& lowered, const Cost& cost, const Budget& budget,
                                              const CodeSizesForTarget& code, const Architecture* member) {
  const Shortage shortage = find_shortage(lowered, cost, budget);
  if (shortage.binding == Resource::none) return std::nullopt;
  return ShortageReport{shortage, member != nullptr ? ways_out(*member, cost, budget, code)
                                                    : ways_out(lowered, cost, budget, code)};
}

std::string to_string(const ShortageReport& report) {
  const Shortage& s = report.shortage;
  std::string text = fmt::format("{} binds: {} bytes are missing; the largest step is {} with {} bytes\n",
                                 to_string(s.binding), with_separators(s.missing_bytes), s.step,
                                 with_separators(s.step_bytes));
  text += "ways out, each alone:\n";
  for (const WayOut& w : report.ways)
    text += fmt::format("  {}: RAM {}, flash {}, {} MACs, {}\n", w.change,
                        with_separators(w.cost.ram.total()), with_separators(w.cost.flash.total()),
                        with_separators(w.cost.macs), w.fits ? "fits" : "still too large");
  return text;
}

nlohmann::json to_json(const ShortageReport& report) {
  const Shortage& s = report.shortage;
  nlohmann::json ways = nlohmann::json::array();
  for (const WayOut& w : report.ways)
    ways.push_back({{"change", w.change},
                    {"flash_bytes", w.cost.flash.total()},
                    {"ram_bytes", w.cost.ram.total()},
                    {"macs", w.cost.macs},
                    {"fits", w.fits}});
  return {{"binding", to_string(s.binding)},
          {"step", s.step},
          {"step_bytes", s.step_bytes},
          {"missing_bytes", s.missing_bytes},
          {"ways_out", std::move(ways)}};
}

}  // namespace mcufit
