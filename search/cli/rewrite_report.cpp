// SPDX-License-Identifier: Apache-2.0
#include "search/cli/rewrite_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "blocks/foundation/text.h"
#include "cost-models/price_plan.h"

namespace mcufit {

Deployed deploy(const QuantizedGraph& graph, const CodeSizesForTarget& code, const Budget& budget,
                const RewriteOptions& options) {
  Deployed deployed{.rewritten = rewrite(graph, options), .cost = {}};
  deployed.cost = price_package(deployed.graph().graph, code, budget);
  return deployed;
}

std::string rewrite_table(const Rewritten& rewritten) {
  std::vector<std::vector<std::string>> rows{
      {"rewrite", "nodes removed", "channels removed", "MACs saved", "filter B saved"}};
  for (const RewriteReport& r : rewritten.reports) {
    if (r.nodes_removed == 0 && r.channels_removed == 0 && r.macs_saved == 0) continue;
    rows.push_back({std::string(r.pass), with_separators(r.nodes_removed),
                    with_separators(r.channels_removed), with_separators(r.macs_saved),
                    with_separators(r.weights_bytes_saved)});
  }
  return rows.size() == 1 ? "rewrites: none changes this network\n" : aligned_table(rows);
}

nlohmann::json to_json(const Rewritten& rewritten) {
  nlohmann::json passes = nlohmann::json::array();
  for (const RewriteReport& r : rewritten.reports)
    passes.push_back({{"pass", r.pass},
                      {"nodes_removed", r.nodes_removed},
                      {"channels_removed", r.channels_removed},
                      {"macs_saved", r.macs_saved},
                      {"weights_bytes_saved", r.weights_bytes_saved}});
  return {
      {"macs_before", rewritten.macs_before}, {"macs", rewritten.macs_after}, {"passes", std::move(passes)}};
}

std::string rewrite_help() {
  std::string text = "passes to skip: all, none, or names joined by commas";
  for (const RewritePass& pass : rewrite_passes()) text += fmt::format("\n{}: {}", pass.name, pass.summary);
  return text;
}

}  // namespace mcufit
