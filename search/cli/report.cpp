// SPDX-License-Identifier: Apache-2.0
#include "search/cli/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "blocks/foundation/text.h"
#include "blocks/foundation/version.h"
#include "cost-models/layout.h"
#include "cost-models/plan.h"
#include "search/cli/plan_choice.h"

namespace mcufit {
namespace {

using nlohmann::json;

std::string percent(double share) { return fmt::format("{:.2f}", 100 * share); }

std::string percent(const std::optional<double>& share) { return share ? percent(*share) : "-"; }

std::string count_or_dash(const std::optional<std::int64_t>& value) {
  return value ? with_separators(*value) : "-";
}

std::string fidelity_text(const Fidelity& f) {
  return f.samples == 0 ? fmt::format("{} x all", f.epochs)
                        : fmt::format("{} x {}", f.epochs, with_separators(f.samples));
}

std::string pareto_table(const SearchResult& result) {
  std::vector<std::vector<std::string>> rows{{"", "trial", "epochs x samples", "val float %", "val int8 %",
                                              "test float %", "test int8 %", "model B", "flash B", "RAM B",
                                              "MACs", "instructions", "architecture"}};
  for (const Candidate& c : result.candidates) {
    if (!c.pareto && !c.test_accuracy_int8) continue;
    rows.push_back({c.winner ? "*" : (c.pareto ? "+" : ""), std::to_string(c.trial.number),
                    fidelity_text(c.fidelity), percent(c.trial.metrics->accuracy_float),
                    percent(c.trial.metrics->accuracy_int8), percent(c.test_accuracy_float),
                    percent(c.test_accuracy_int8), with_separators(c.member.cost.flash.model_bytes()),
                    with_separators(c.member.cost.flash.total()), with_separators(c.member.cost.ram.total()),
                    with_separators(c.member.cost.macs), count_or_dash(c.instructions_per_inference),
                    to_string(c.trial.architecture)});
  }
  std::vector<std::string> limits{"",
                                  "",
                                  "limit",
                                  "",
                                  "",
                                  "",
                                  "",
                                  "",
                                  with_separators(result.budget.flash_bytes),
                                  with_separators(result.budget.ram_bytes),
                                  result.budget.macs ? with_separators(*result.budget.macs) : "",
                                  "",
                                  ""};
  rows.push_back(std::move(limits));
  return aligned_table(rows);
}

std::string device_text(const SearchResult& result) {
  if (!result.device) return fmt::format("not validated on the emulated core: {}\n", result.not_validated);
  return describe(*result.device) +
         fmt::format("  accuracy on these images {:.2f} %\n", 100 * result.device_accuracy);
}

json trial_json(const Trial& t) {
  json j = {{"number", t.number},
            {"rung", t.rung},
            {"architecture", to_json(t.architecture)},
            {"seconds", t.seconds}};
  if (t.promoted_from) j["promoted_from"] = *t.promoted_from;
  if (t.metrics) {
    j["state"] = "complete";
    j["validation"] = {{"accuracy_float", t.metrics->accuracy_float},
                       {"accuracy_int8", t.metrics->accuracy_int8}};
    j["weights_sha256"] = t.metrics->weights_sha256;
  } else {
    j["state"] = "failed";
    j["failure"] = t.failure;
  }
  return j;
}

json candidate_json(const Candidate& c) {
  json j = to_json(c.member);
  j["trial"] = c.trial.number;
  j["epochs"] = c.fidelity.epochs;
  j["samples"] = c.fidelity.samples;
  j["pareto"] = c.pareto;
  j["winner"] = c.winner;
  j["validation"] = {{"accuracy_float", c.trial.metrics->accuracy_float},
                     {"accuracy_int8", c.trial.metrics->accuracy_int8}};
  if (c.test_accuracy_float) j["accuracy_float"] = *c.test_accuracy_float;
  if (c.test_accuracy_int8) j["accuracy_int8"] = *c.test_accuracy_int8;
  if (c.instructions_per_inference) j["instructions_per_inference"] = *c.instructions_per_inference;
  return j;
}

}  // namespace

namespace {

std::string layer_text(const LayerMismatch& m) {
  const std::string where =
      fmt::format("\n  first differing layer: node {} {} ({})", m.step.node, m.step.name, m.step.op);
  if (!m.index) return where + fmt::format(", in sample {}, by its checksum", m.sample);
  return where + fmt::format(", byte {}: expected {}, found {}", *m.index, m.expected, m.found);
}

}  // namespace

std::string describe(const DeviceReport& d) {
  const std::string verdict =
      d.first_mismatch
          ? fmt::format("DIFFERS from the interpreter first in sample {}, byte {}: expected {}, found {}",
                        d.first_mismatch->sample, d.first_mismatch->index, d.first_mismatch->expected,
                        d.first_mismatch->found) +
                (d.first_mismatch->layer ? layer_text(*d.first_mismatch->layer) : "")
          : "every byte equal to the integer interpreter's";
  const std::string per_row =
      d.instructions_most_per_row == 0
          ? ""
          : fmt::format(", at most {} from row to row", with_separators(d.instructions_most_per_row));
  const std::string counted =
      d.counts.empty()
          ? ""
          : fmt::format("  {} to {} {} per inference{}; stack: {} bytes used, bound {}\n",
                        with_separators(d.instructions_least), with_separators(d.instructions_per_inference),
                        d.counts, per_row, d.stack_bytes, d.stack_bound_bytes);
  return fmt::format("{}: {} samples, {}\n", d.device, d.samples, verdict) + counted;
}

std::string ledger_table(const FlashLedger& flash, const RamLedger& ram, const DeviceReport* device) {
  const bool linked = device != nullptr && !device->linked.sections.empty();
  std::vector<std::vector<std::string>> rows{{"ledger", linked ? "predicted B" : "bytes"}};
  if (linked) rows[0].insert(rows[0].end(), {"linker map B", "difference"});
  const LinkedSizes none;
  const LinkedSizes& found = linked ? device->linked : none;
  const auto row = [&](const char* owner, std::int64_t predicted, std::int64_t placed) {
    rows.push_back({owner, with_separators(predicted)});
    if (!linked) return;
    rows.back().push_back(with_separators(placed));
    rows.back().push_back(with_separators(placed - predicted));
  };
  row("flash: weights", flash.weights_bytes, found.flash.weights_bytes);
  if (flash.wider_filter_bytes > 0 || found.flash.wider_filter_bytes > 0)
    row("flash: wider filters", flash.wider_filter_bytes, found.flash.wider_filter_bytes);
  row("flash: biases", flash.bias_bytes, found.flash.bias_bytes);
  row("flash: requantization tables", flash.table_bytes, found.flash.table_bytes);
  row("flash: steps", flash.step_bytes, found.flash.step_bytes);
  row("flash: code", flash.code_bytes, found.flash.code_bytes);
  row("flash: total", flash.total(), found.flash.total());
  row("RAM: arena (input and output in it)", ram.arena_bytes, found.arena_bytes);
  row("RAM: data and bss", ram.data_bss_bytes, found.data_bss_bytes);
  // Where programs of an operating system run, nobody bounds it.
  if (!linked || device->stack_bound_bytes > 0)
    row("RAM: stack (bound)", ram.stack_bytes, linked ? device->stack_bound_bytes : 0);
  return aligned_table(rows);
}

std::string ram_over_time(const MemoryPlan& plan, const Graph& lowered) {
  return fmt::format("RAM over time ({}; arena {} bytes, no {} needs less than {})\n{}", describe(plan),
                     with_separators(plan.arena_bytes), has_row_steps(plan) ? "plan" : "layer-by-layer plan",
                     with_separators(plan.lower_bound_bytes), picture(plan, lowered));
}

std::string report_text(const SearchResult& result) {
  const Candidate& w = result.winner();
  const Cost& cost = result.deployed.cost;
  std::string text =
      fmt::format("\n{} on {} ({}): {} candidates; * winner, + Pareto set, others: finalists\n",
                  result.job.name, result.target.name, result.target.board, result.candidates.size());
  text += pareto_table(result);
  text += fmt::format("\nint8 test accuracy {:.2f} % on {} images, {:.2f} points below float\n\n",
                      100 * *w.test_accuracy_int8, with_separators(result.test_samples),
                      100 * (*w.test_accuracy_float - *w.test_accuracy_int8));
  text += device_text(result) + "\n";
  text += rewrite_table(result.deployed.rewritten) + "\n";
  text += ledger_table(cost.flash, cost.ram, result.device ? &*result.device : nullptr);
  text += "\n" + ram_over_time(cost.plan, result.deployed.graph().graph);
  text += wide_filters_note(result.budget, load_code_sizes(result.target), &cost);
  if (cost.extra_macs != 0) text += fmt::format("runs {}\n", describe(cost));
  text += fmt::format("\npackage  {}\nreport   {}\nstudy    {}\n", result.package.string(),
                      (result.folder / "report.json").string(), (result.folder / "study.sqlite").string());
  return text;
}

json report_json(const SearchResult& result) {
  const Candidate& w = result.winner();
  json trials = json::array(), candidates = json::array(), inversions = json::array();
  for (const Trial& t : result.trials) trials.push_back(trial_json(t));
  for (const Candidate& c : result.candidates) candidates.push_back(candidate_json(c));
  for (const Inversion& i : result.inversions) inversions.push_back(to_json(i, 1));
  json j = {{"tool", {{"version", version()}, {"commit", commit()}, {"compiler", compiler()}}},
            {"job", to_json(result.job)},
            {"target", to_json(result.target)},
            {"budget", to_json(result.budget)},
            {"hashes", {{"study_sha256", result.study_sha256}, {"data_sha256", result.data_sha256}}},
            {"inversions", std::move(inversions)},
            {"trials", std::move(trials)},
            {"candidates", std::move(candidates)},
            {"winner", candidate_json(w)},
            {"test_samples", result.test_samples},
            {"deployed",
             {{"cost", to_json(result.deployed.cost)}, {"rewrites", to_json(result.deployed.rewritten)}}},
            {"plan", to_json(result.deployed.cost.plan)},
            {"package", result.package.string()}};
  if (result.device) {
    j["device"] = to_json(*result.device);
    j["device"]["accuracy"] = result.device_accuracy;
  } else {
    j["not_validated"] = result.not_validated;
  }
  return j;
}

}  // namespace mcufit
