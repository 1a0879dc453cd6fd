// SPDX-License-Identifier: Apache-2.0
#include "search/cli/subspace_report.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "blocks/foundation/text.h"

namespace mcufit {
namespace {

// The MACs that a share of the fitting samples do not exceed.
std::int64_t quantile(const std::vector<std::int64_t>& ascending, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(ascending.size())));
  return ascending[rank == 0 ? 0 : rank - 1];
}

}  // namespace

std::string subspace_text(const Family& family, const std::vector<Subspace>& ranked, std::size_t top,
                          std::int32_t samples) {
  const std::string width(family.parameters().front().name);
  std::vector<std::vector<std::string>> rows{
      {"rank", "input", width, "fit %", "mean MACs", "25 %", "50 %", "75 %", "most"}};
  for (std::size_t i = 0; i < std::min(top, ranked.size()); ++i) {
    const Subspace& s = ranked[i];
    rows.push_back({std::to_string(i + 1), to_string(s.input), fmt::format("{}", s.width),
                    fmt::format("{:.1f}", 100.0 * static_cast<double>(s.macs.size()) / samples),
                    with_separators(std::llround(s.mean_macs()))});
    for (const double share : {.25, .5, .75, 1.0})
      rows.back().push_back(s.macs.empty() ? "-" : with_separators(quantile(s.macs, share)));
  }
  return fmt::format(
             "\n{}: {} sub-spaces of input x {}, {} samples of each; by mean MACs of those that fit\n",
             family.name(), ranked.size(), width, with_separators(samples)) +
         aligned_table(rows);
}

nlohmann::json subspace_json(const Family& family, const std::vector<Subspace>& ranked,
                             std::int32_t samples) {
  constexpr int kPoints = 20;
  nlohmann::json list = nlohmann::json::array();
  for (const Subspace& s : ranked) {
    nlohmann::json cdf = nlohmann::json::array();
    for (int i = 0; i <= kPoints && !s.macs.empty(); ++i) {
      const double share = static_cast<double>(i) / kPoints;
      cdf.push_back({{"share", share}, {"macs", quantile(s.macs, share)}});
    }
    list.push_back({{"input", {s.input.height, s.input.width, s.input.channels}},
                    {"width", s.width},
                    {"samples", samples},
                    {"fitting", s.macs.size()},
                    {"mean_macs", s.mean_macs()},
                    {"cdf", std::move(cdf)}});
  }
  return {{"family", family.name()}, {"subspaces", std::move(list)}};
}

}  // namespace mcufit
