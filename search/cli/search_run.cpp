// SPDX-License-Identifier: Apache-2.0
#include "search/cli/search_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "blocks/foundation/files.h"
#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/subprocess.h"
#include "blocks/foundation/text.h"
#include "blocks/foundation/version.h"
#include "blocks/weights.h"
#include "exporters/fast_interpreter.h"
#include "exporters/package.h"
#include "exporters/test_vectors.h"
#include "search/cli/evaluation.h"
#include "search/cli/interruption.h"
#include "search/cli/worker_request.h"
#include "search/pareto.h"
#include "search/study.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::hours kTrialTimeLimit{48};

std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

fs::path trial_folder(const fs::path& run, const Trial& trial) {
  return run / "trials" / fmt::format("{:04}", trial.number);
}

// --- inversion
// ------------------------------------------------------------------------------------------------------

[[noreturn]] void throw_nothing_fits(const SearchResult& result) {
  std::string text =
      fmt::format("{}: nothing fits flash {} and RAM {} bytes", result.job.name,
                  with_separators(result.budget.flash_bytes), with_separators(result.budget.ram_bytes));
  for (const Inversion& inversion : result.inversions) {
    if (!inversion.nearest_miss) continue;
    const Member& m = *inversion.nearest_miss;
    text += fmt::format("\n  nearest miss: {} needs {:.1f} times the {} (flash {}, RAM {}, {} MACs)",
                        to_string(m.architecture), m.fit.use, to_string(m.fit.binding),
                        with_separators(m.cost.flash.total()), with_separators(m.cost.ram.total()),
                        with_separators(m.cost.macs));
  }
  throw Error(ExitCode::constraint_not_met, text + "\n  try wider limits, another family or a smaller input");
}

void invert_families(SearchResult& result, const Task& task, Progress& progress) {
  const CodeSizesForTarget code = load_code_sizes(result.target);
  const std::optional<TargetLaw> law = load_latency_law(result.target);
  bool any = false;
  for (const std::string& name : result.job.families) {
    result.inversions.push_back(invert(family(name), task, result.budget, code, law ? &*law : nullptr));
    const Inversion& inversion = result.inversions.back();
    any |= !inversion.fitting.empty();
    progress.say(fmt::format(
        "{}: {} of {} members fit ({} distinct networks, {} members priced exactly), binding: {}", name,
        with_separators(inversion.fitting_members), with_separators(inversion.lattice_members),
        inversion.fitting.size(), with_separators(inversion.priced_members), to_string(inversion.binding)));
  }
  if (!any) throw_nothing_fits(result);
}

// --- trials
// ---------------------------------------------------------------------------------------------------------

std::string last_line(const std::string& text) {
  std::string trimmed = text;
  while (!trimmed.empty() && trimmed.back() == '\n') trimmed.pop_back();
  return trimmed.substr(trimmed.rfind('\n') + 1);
}

void show_epoch(const Trial& trial, std::string_view line, Progress& progress) {
  const auto event = nlohmann::json::parse(line, nullptr, false);
  if (!event.is_object() || event.value("event", "") != "epoch") return;
  const int epoch = event.value("epoch", 0);
  const int epochs = event.value("epochs", 0);
  const double left = event.value("seconds", 0.0) * (epochs - epoch);
  progress.update(trial.number, fmt::format("trial {} epoch {}/{} {} ({:.0f} s left)", trial.number, epoch,
                                            epochs, percent(event.value("validation_accuracy", 0.0)), left));
}

// Trains one trial in a child process. A child that a signal killed is started once more and goes on from its
// checkpoint.
Metrics run_worker(const Job& job, const Trial& trial, const fs::path& run_folder, Progress& progress) {
  const fs::path folder = fs::absolute(trial_folder(run_folder, trial));
  write_file(folder / "request.json", to_json(request_for(job, trial, folder)).dump(2) + "\n");
  fs::remove(folder / "result.json");
  const Command command{.program = (program_folder() / "mcufit-worker").string(),
                        .arguments = {(folder / "request.json").string()},
                        .environment = {{"OMP_NUM_THREADS", "1"}, {"OMP_WAIT_POLICY", "passive"}},
                        .folder = {},
                        .time_limit = kTrialTimeLimit};
  constexpr int kSignalled = 128;
  for (int attempt = 1;; ++attempt) {
    progress.update(trial.number, fmt::format("trial {} starts", trial.number));
    const Finished child = run(
        command, [&](std::string_view line) { show_epoch(trial, line, progress); }, Interruption::requested);
    write_file(folder / "worker.log", child.out + child.err);
    if (Interruption::requested()) throw Error(ExitCode::interrupted, "interrupted");
    if (child.exit_code == 0) break;
    if (child.exit_code > kSignalled && attempt == 1) {
      progress.say(fmt::format("trial {}: its worker was killed by signal {}; once more from its checkpoint",
                               trial.number, child.exit_code - kSignalled));
      continue;
    }
    const std::string reason = child.exit_code > kSignalled
                                   ? fmt::format("killed by signal {}", child.exit_code - kSignalled)
                                   : last_line(child.err);
    throw Error(ExitCode::internal, fmt::format("worker of trial {}: {} (log: {})", trial.number, reason,
                                                (folder / "worker.log").string()));
  }
  return read_config<Metrics>(JsonDocument::read(folder / "result.json"), read_metrics);
}

std::string describe_end(const Trial& trial) {
  if (trial.state == TrialState::failed)
    return fmt::format("trial {:>2}  failed: {}", trial.number, trial.failure);
  return fmt::format("trial {:>2}  rung {}  int8 {}  float {}  {:>4.0f} s  {}", trial.number, trial.rung,
                     percent(trial.metrics->accuracy_int8), percent(trial.metrics->accuracy_float),
                     trial.seconds, to_string(trial.architecture));
}

StudyKey study_key(const SearchResult& result) {
  const nlohmann::json all = {
      {"job", to_json(result.job)}, {"target", to_json(result.target)}, {"data", result.data_sha256}};
  return {result.job.name, sha256(all.dump())};
}

void search_trials(SearchResult& result, const RunOptions& options, Progress& progress) {
  if (options.fresh) {
    for (const char* name : {"study.sqlite", "study.sqlite-wal", "study.sqlite-shm", "trials"})
      fs::remove_all(options.folder / name);
  }
  const StudyKey key = study_key(result);
  result.study_sha256 = key.sha256;
  Store store(options.folder / "study.sqlite", key);
  const StudyEvents events{
      .asked =
          [&](const std::vector<Trial>& asked) {
            const Fidelity& f = result.job.rungs[static_cast<std::size_t>(asked.front().rung)];
            progress.say(fmt::format("rung {}: {} trials of {} epochs on {} samples, {} at a time",
                                     asked.front().rung, asked.size(), f.epochs,
                                     f.samples == 0 ? "all" : with_separators(f.samples), options.workers));
          },
      .ended =
          [&](const Trial& trial) {
            progress.done(trial.number);
            progress.say(describe_end(trial));
          }};
  result.trials = run_study(
      store, strategy(result.job.strategy), SearchSpace{result.inversions},
      StrategyOptions{result.job.seed, result.job.rungs},
      [&](const Trial& trial) { return run_worker(result.job, trial, options.folder, progress); }, events,
      StudyOptions{options.workers, Interruption::requested});
}

// --- candidates
// -----------------------------------------------------------------------------------------------------

// Each architecture once, at its highest rung; the winner first among the last rung's by int8 accuracy, then
// flash.
void rank_candidates(SearchResult& result) {
  std::map<std::string, const Trial*> highest;
  for (const Trial& t : result.trials) {
    if (t.state != TrialState::complete) continue;
    const Trial*& entry = highest[to_json(t.architecture).dump()];
    if (entry == nullptr || t.rung > entry->rung) entry = &t;
  }
  if (highest.empty()) {
    throw Error(ExitCode::internal,
                fmt::format("{}: every trial failed; the first one's reason: {}", result.job.name,
                            result.trials.empty() ? "none was asked for" : result.trials.front().failure));
  }
  const CodeSizesForTarget code = load_code_sizes(result.target);
  const std::optional<TargetLaw> law = load_latency_law(result.target);
  for (const auto& [architecture, trial] : highest) {
    Candidate c;
    c.trial = *trial;
    c.fidelity = result.job.rungs[static_cast<std::size_t>(trial->rung)];
    c.member = price_member(trial->architecture, result.budget, code, law ? &*law : nullptr);
    result.candidates.push_back(std::move(c));
  }
  std::sort(result.candidates.begin(), result.candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (a.trial.rung != b.trial.rung) return a.trial.rung > b.trial.rung;
    if (a.trial.metrics->accuracy_int8 != b.trial.metrics->accuracy_int8) {
      return a.trial.metrics->accuracy_int8 > b.trial.metrics->accuracy_int8;
    }
    return a.trial.number < b.trial.number;
  });
  result.candidates.front().winner = true;
  std::vector<std::vector<double>> points;
  for (const Candidate& c : result.candidates) {
    points.push_back({-c.trial.metrics->accuracy_int8, static_cast<double>(c.member.cost.flash.total()),
                      static_cast<double>(c.member.cost.ram.total()),
                      static_cast<double>(c.member.cost.macs)});
  }
  const std::vector<bool> kept = non_dominated(points);
  for (std::size_t i = 0; i < kept.size(); ++i) result.candidates[i].pareto = kept[i];
}

QuantizedGraph quantized_of(const SearchResult& result, const Candidate& c, const Samples& ranges) {
  const Graph graph = c.trial.architecture.build();
  return quantize_trained(
      graph, read_weights(trial_folder(result.folder, c.trial) / "weights.safetensors", graph), ranges);
}

// Test data are read once, for the finalists.
void test_finalists(SearchResult& result, const Samples& test, const Samples& ranges, Progress& progress) {
  result.test_samples = test.size();
  for (Candidate& c : result.candidates) {
    if (c.trial.rung != result.candidates.front().trial.rung) continue;
    const Graph graph = c.trial.architecture.build();
    const Weights weights = read_weights(trial_folder(result.folder, c.trial) / "weights.safetensors", graph);
    c.test_accuracy_float = float_accuracy(lower(graph, weights), test);
    c.test_accuracy_int8 = int8_accuracy(quantize_trained(graph, weights, ranges), test);
    progress.say(fmt::format("trial {:>2}  test ({} images)  int8 {}  float {}", c.trial.number,
                             with_separators(test.size()), percent(*c.test_accuracy_int8),
                             percent(*c.test_accuracy_float)));
    if (Interruption::requested()) throw Error(ExitCode::interrupted, "interrupted");
  }
}

// --- package and device
// ---------------------------------------------------------------------------------------------

std::string package_name(const Job& job) {
  std::string name = job.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return std::isdigit(static_cast<unsigned char>(name.front())) != 0 ? "net_" + name : name;
}

std::vector<TestVector> test_vectors(const QuantizedGraph& graph, const Samples& samples,
                                     std::int64_t count) {
  std::vector<std::vector<std::int8_t>> inputs;
  for (std::int64_t i = 0; i < std::min(count, samples.size()); ++i)
    inputs.push_back(int8_input(samples.sample(i)));
  auto outputs = FastInterpreter(graph).run_all(inputs);
  std::vector<TestVector> vectors;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    vectors.push_back({std::move(inputs[i]), std::move(outputs[i])});
  return vectors;
}

void package_winner(SearchResult& result, const std::vector<TestVector>& vectors) {
  constexpr std::size_t kSelfTestVectors = 4;
  const Candidate& winner = result.winner();
  nlohmann::json provenance = {{"job", to_json(result.job)},
                               {"study_sha256", result.study_sha256},
                               {"data_sha256", result.data_sha256},
                               {"architecture", to_json(winner.trial.architecture)},
                               {"trial", winner.trial.number},
                               {"weights_sha256", winner.trial.metrics->weights_sha256},
                               {"accuracy_float", *winner.test_accuracy_float},
                               {"accuracy_int8", *winner.test_accuracy_int8}};
  const std::vector<TestVector> self_test(
      vectors.begin(),
      vectors.begin() + static_cast<std::ptrdiff_t>(std::min(kSelfTestVectors, vectors.size())));
  result.package = result.folder / "package";
  write_vectors(result.folder / "vectors.bin", vectors);
  write_package(result.package, result.deployed.graph(), result.deployed.cost,
                {package_name(result.job), result.target, self_test, &provenance});
}

void validate_winner(SearchResult& result, const QuantizedGraph& graph,
                     const std::vector<TestVector>& vectors, const Samples& test, Progress& progress) {
  try {
    result.device = validate({result.package, result.folder / "device", "", &graph}, vectors);
  } catch (const Error& error) {
    if (error.code() != ExitCode::device_not_found) throw;
    result.not_validated = error.what();
    progress.say("not validated: " + result.not_validated);
    return;
  }
  std::int64_t correct = 0;
  for (std::size_t i = 0; i < result.device->outputs.size(); ++i)
    correct += argmax(result.device->outputs[i]) == test.labels[i] ? 1 : 0;
  result.device_accuracy = static_cast<double>(correct) / static_cast<double>(result.device->samples);
  for (Candidate& c : result.candidates) {
    if (c.winner) c.instructions_per_inference = result.device->instructions_per_inference;
  }
}

// Instructions of the other finalists and members of the Pareto set, one sample each: a kernel's count hardly
// depends on its data.
void measure_others(SearchResult& result, const Samples& test, const Samples& ranges, Progress& progress) {
  const CodeSizesForTarget code = load_code_sizes(result.target);
  for (Candidate& c : result.candidates) {
    if ((!c.pareto && !c.test_accuracy_int8) || c.winner) continue;
    const Deployed deployed = deploy(quantized_of(result, c, ranges), code, result.budget);
    const std::vector<TestVector> vectors = test_vectors(deployed.graph(), test, 1);
    const fs::path folder = trial_folder(result.folder, c.trial);
    write_package(folder / "package", deployed.graph(), deployed.cost,
                  {fmt::format("trial{}", c.trial.number), result.target, vectors, nullptr});
    const DeviceReport report =
        validate({folder / "package", folder / "device", "", &deployed.graph()}, vectors);
    c.instructions_per_inference = report.instructions_per_inference;
    progress.say(fmt::format("trial {:>2}  {} instructions per inference", c.trial.number,
                             with_separators(report.instructions_per_inference)));
    if (Interruption::requested()) throw Error(ExitCode::interrupted, "interrupted");
  }
}

}  // namespace

SearchResult run_search(const Job& job, const RunOptions& options, Progress& progress) {
  SearchResult result;
  result.job = job;
  result.folder = options.folder;
  result.target = load_target(job.target);
  result.budget = derive(result.target, job.limits);
  result.budget.plan = job.plan;
  result.budget.mac_factor = job.mac_factor;
  result.budget.wide_filters = job.wide_filters;
  const Dataset& data = dataset(job.data.name);
  result.data_sha256 = data.sha256(job.data.folder);
  const Task task{data.shape(), static_cast<std::int32_t>(data.classes().size())};
  invert_families(result, task, progress);
  // Damaged files are found now and not after minutes of training; nothing is measured on the test samples
  // before the end.
  const Split parts = split(data.train(job.data.folder), job.data.validation_samples, job.seed);
  const Samples ranges = range_samples(parts.train, job.range_samples, job.seed);
  Samples test = data.test(job.data.folder);
  if (job.data.test_samples > 0) test = subset(test, job.data.test_samples, job.seed);

  search_trials(result, options, progress);
  rank_candidates(result);
  test_finalists(result, test, ranges, progress);

  const QuantizedGraph winner = quantized_of(result, result.winner(), ranges);
  result.deployed = deploy(winner, load_code_sizes(result.target), result.budget);
  // Of the network before its rewrites, so that the device's bytes judge these too.
  const std::vector<TestVector> vectors = test_vectors(winner, test, job.device_samples);
  package_winner(result, vectors);
  progress.say(fmt::format("package: {}", result.package.string()));
  validate_winner(result, winner, vectors, test, progress);
  if (result.device) measure_others(result, test, ranges, progress);
  return result;
}

}  // namespace mcufit
