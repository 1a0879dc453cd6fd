// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cost-models/invert.h"
#include "exporters/device/device.h"
#include "search/cli/job.h"
#include "search/cli/progress.h"
#include "search/cli/rewrite_report.h"
#include "search/trial.h"

namespace mcufit {

struct RunOptions {
  std::filesystem::path folder;  // everything of the run lies in it
  int workers = 2;
  bool fresh = false;  // discard an earlier study found there
};

// One network of the study, at the highest fidelity it reached.
struct Candidate {
  Trial trial;
  Fidelity fidelity;
  Member member;        // priced before training, with dense weights
  bool pareto = false;  // nobody has better int8 accuracy, flash, RAM and MACs
  bool winner = false;
  std::optional<double> test_accuracy_float;  // of finalists alone
  std::optional<double> test_accuracy_int8;
  std::optional<std::int64_t> instructions_per_inference;  // of the Pareto set, where there is an emulator
};

// Everything that a search found out.
struct SearchResult {
  Job job;
  Target target;
  Budget budget;
  std::string data_sha256;
  std::string study_sha256;
  std::int64_t test_samples = 0;
  std::vector<Inversion> inversions;
  std::vector<Trial> trials;
  std::vector<Candidate> candidates;  // best int8 validation accuracy first
  std::filesystem::path folder;
  std::filesystem::path package;
  Deployed deployed;  // the winner
  std::optional<DeviceReport> device;
  double device_accuracy = 0;  // on the device's samples
  std::string not_validated;   // why there is no device report; empty where there is one

  const Candidate& winner() const { return candidates[winner_index]; }
  std::size_t winner_index = 0;
};

// The main job: inverts, searches, trains, quantizes, packages, validates; goes on where an earlier call with
// the same job and folder stopped. Throws Error: constraint_not_met when nothing fits (the message names the
// nearest misses), interrupted after a signal (the study is on disk), store_busy for another job's folder.
SearchResult run_search(const Job& job, const RunOptions& options, Progress& progress);

}  // namespace mcufit
