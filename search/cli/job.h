// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cost-models/target.h"
#include "search/trial.h"
#include "trainers/trainer.h"

namespace mcufit {

// Which data a job uses, and how much of it.
struct DataOptions {
  std::string name;                        // of a data set
  std::string folder;                      // empty: where its package puts it
  std::int64_t validation_samples = 5000;  // cut from the training samples with the job's seed
  std::int64_t test_samples = 0;           // 0: all
};

// A search job, configs/jobs/*.json: from a target's limits to a package.
struct Job {
  std::string name;
  std::string target;
  Limits limits;
  PlanChoice plan = PlanChoice::fits;  // of candidates and packages
  double mac_factor = 1.0;             // by which these may multiply the MACs, as a budget's
  bool wide_filters = false;           // of candidates and packages, as a budget's
  DataOptions data;
  std::vector<std::string> families;
  std::string strategy;
  std::uint64_t seed = 1;
  int workers = 2;  // trials side by side, a process and a thread each; does not change results
  std::vector<Fidelity> rungs;
  TrainOptions training;              // epochs and seed are set per trial
  std::int64_t range_samples = 500;   // training samples from which activation ranges are observed
  std::int64_t device_samples = 200;  // test samples that run on the device
};

Job read_job(ObjectReader& reader);
Job load_job(const std::filesystem::path& path);

// Everything that results depend on; `workers` and the data folder are left out.
nlohmann::json to_json(const Job& job);

void read_training(ObjectReader& reader, TrainOptions& options);
nlohmann::json to_json(const TrainOptions& options);

}  // namespace mcufit
