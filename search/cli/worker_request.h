// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "blocks/family.h"
#include "search/cli/job.h"
#include "search/trial.h"
#include "trainers/trainer.h"

namespace mcufit {

// What one mcufit-worker process does: train an architecture, quantize it, measure both on the validation
// split. It leaves weights.safetensors, checkpoint files and result.json in `folder`, and tells its epochs as
// JSON lines on standard output.
struct WorkerRequest {
  Architecture architecture;
  DataOptions data;
  std::uint64_t split_seed = 1;
  std::int64_t samples = 0;  // training samples used; 0: all
  std::int64_t range_samples = 500;
  TrainOptions training;
  std::filesystem::path folder;
};

// The request for a trial of a job; its seeds derive from the job's seed and the trial's number.
WorkerRequest request_for(const Job& job, const Trial& trial, const std::filesystem::path& folder);

WorkerRequest read_worker_request(ObjectReader& reader);
nlohmann::json to_json(const WorkerRequest& request);

// The samples from which a job's activation ranges are observed, of its training split.
Samples range_samples(const Samples& train, std::int64_t count, std::uint64_t split_seed);

nlohmann::json to_json(const Metrics& metrics);
Metrics read_metrics(ObjectReader& reader);

}  // namespace mcufit
