// SPDX-License-Identifier: Apache-2.0
#include "search/cli/worker_request.h"

#include <nlohmann/json.hpp>

#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/random.h"

namespace mcufit {
namespace {

constexpr std::int64_t kMostSeed = std::int64_t{1} << 53;  // exact in every JSON reader
constexpr std::int64_t kMostSamples = 100'000'000;

enum Stream : std::uint64_t { kTrainingStream = 1, kRangeStream };

}  // namespace

WorkerRequest request_for(const Job& job, const Trial& trial, const std::filesystem::path& folder) {
  const Fidelity& fidelity = job.rungs[static_cast<std::size_t>(trial.rung)];
  WorkerRequest request{.architecture = trial.architecture,
                        .data = job.data,
                        .split_seed = job.seed,
                        .samples = fidelity.samples,
                        .range_samples = job.range_samples,
                        .training = job.training,
                        .folder = folder};
  request.training.epochs = fidelity.epochs;
  Random random(job.seed, {kTrainingStream, static_cast<std::uint64_t>(trial.number)});
  request.training.seed = random.below(static_cast<std::uint64_t>(kMostSeed));
  return request;
}

WorkerRequest read_worker_request(ObjectReader& r) {
  WorkerRequest request;
  r.object("architecture", "what to train",
           [&](ObjectReader& a) { request.architecture = read_architecture(a); });
  r.object("data", "what to learn from", [&](ObjectReader& d) {
    request.data.name = d.string("name", "data set");
    request.data.folder = d.string("folder", "folder of its files; empty: where its package puts them", "");
    request.data.validation_samples =
        d.integer("validation_samples", {1, kMostSamples}, "kept for validation");
  });
  request.split_seed =
      static_cast<std::uint64_t>(r.integer("split_seed", {0, kMostSeed}, "seed of the validation split"));
  request.samples = r.integer("samples", {0, kMostSamples}, "training samples used; 0: all");
  request.range_samples =
      r.integer("range_samples", {1, kMostSamples}, "samples that ranges are observed on");
  r.object("training", "how it learns", [&](ObjectReader& t) {
    request.training.epochs =
        static_cast<std::int32_t>(t.integer("epochs", {1, 10000}, "passes over the samples"));
    request.training.seed =
        static_cast<std::uint64_t>(t.integer("seed", {0, kMostSeed}, "of weights, order, augmentation"));
    read_training(t, request.training);
  });
  request.folder = r.string("folder", "where results go");
  return request;
}

nlohmann::json to_json(const WorkerRequest& request) {
  nlohmann::json training = to_json(request.training);
  training["epochs"] = request.training.epochs;
  training["seed"] = request.training.seed;
  return {{"architecture", to_json(request.architecture)},
          {"data",
           {{"name", request.data.name},
            {"folder", request.data.folder},
            {"validation_samples", request.data.validation_samples}}},
          {"split_seed", request.split_seed},
          {"samples", request.samples},
          {"range_samples", request.range_samples},
          {"training", std::move(training)},
          {"folder", request.folder.string()}};
}

Samples range_samples(const Samples& train, std::int64_t count, std::uint64_t split_seed) {
  return subset(train, count, Random(split_seed, {kRangeStream}).bits());
}

nlohmann::json to_json(const Metrics& metrics) {
  return {{"accuracy_float", metrics.accuracy_float},
          {"accuracy_int8", metrics.accuracy_int8},
          {"weights_sha256", metrics.weights_sha256}};
}

Metrics read_metrics(ObjectReader& r) {
  Metrics m;
  m.accuracy_float = r.number("accuracy_float", {0, 1}, "on the validation split");
  m.accuracy_int8 = r.number("accuracy_int8", {0, 1}, "on the validation split");
  m.weights_sha256 = r.string("weights_sha256", "of weights.safetensors");
  return m;
}

}  // namespace mcufit
