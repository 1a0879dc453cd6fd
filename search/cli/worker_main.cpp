// SPDX-License-Identifier: Apache-2.0
#include <tbb/global_control.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/json_reader.h"
#include "blocks/weights.h"
#include "search/cli/evaluation.h"
#include "search/cli/worker_request.h"

// The child process in which one trial trains: a crash here costs one trial, and torch is loaded here alone.

namespace mcufit {
namespace {

void tell(const nlohmann::json& event) { std::cout << event.dump() << std::endl; }

void run_trial(const WorkerRequest& request) {
  const Dataset& data = dataset(request.data.name);
  const Split parts =
      split(data.train(request.data.folder), request.data.validation_samples, request.split_seed);
  const Samples used =
      request.samples > 0 ? subset(parts.train, request.samples, request.training.seed) : parts.train;
  const Graph graph = request.architecture.build();
  const Trained trained = train(graph, used, parts.validation, request.training,
                                request.folder / "checkpoint", [](const EpochReport& e) {
                                  tell({{"event", "epoch"},
                                        {"epoch", e.epoch},
                                        {"epochs", e.epochs},
                                        {"train_loss", e.train_loss},
                                        {"validation_accuracy", e.validation_accuracy},
                                        {"seconds", e.seconds}});
                                });
  const std::filesystem::path weights_file = request.folder / "weights.safetensors";
  write_weights(weights_file, trained.weights, graph);
  tell({{"event", "quantize"}});
  const QuantizedGraph quantized = quantize_trained(
      graph, trained.weights, range_samples(parts.train, request.range_samples, request.split_seed));
  const Metrics metrics{trained.validation_accuracy, int8_accuracy(quantized, parts.validation),
                        sha256(read_file(weights_file))};
  write_file(request.folder / "result.json", to_json(metrics).dump(2) + "\n");
  tell({{"event", "result"},
        {"accuracy_float", metrics.accuracy_float},
        {"accuracy_int8", metrics.accuracy_int8}});
}

}  // namespace
}  // namespace mcufit

int main(int argc, char** argv) {
  using namespace mcufit;
  if (argc != 2 || std::string_view(argv[1]) == "--help") {
    std::cerr << "usage: mcufit-worker REQUEST.json\nTrains one trial; started by `mcufit search`.\n";
    return static_cast<int>(argc == 2 ? ExitCode::ok : ExitCode::usage);
  }
  const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
  try {
    run_trial(read_config<WorkerRequest>(JsonDocument::read(argv[1]), read_worker_request));
    return 0;
  } catch (const Error& error) {
    std::cerr << error.what() << "\n";
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::cerr << "internal error: " << error.what() << "\n";
    return static_cast<int>(ExitCode::internal);
  }
}
