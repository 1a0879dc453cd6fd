// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "blocks/graph.h"
#include "blocks/weights.h"
#include "trainers/datasets/dataset.h"

namespace mcufit {

// How a network learns: SGD with Nesterov momentum, a linear warm-up and a cosine down to zero.
struct TrainOptions {
  std::int32_t epochs = 5;
  std::int32_t batch_size = 128;
  double learning_rate = 0.2;  // at its peak
  double warmup_epochs = 0.5;
  double momentum = 0.9;
  double weight_decay = 5e-4;  // of filters; not of biases and batch-norm
  double label_smoothing = 0.0;
  bool horizontal_flip = true;
  std::int32_t shift_pixels = 0;  // random crops: each sample moves by up to this many pixels
  std::uint64_t seed = 1;         // initial weights, order and augmentation derive from it

  bool operator==(const TrainOptions&) const = default;
};

struct EpochReport {
  std::int32_t epoch = 0;  // 1-based
  std::int32_t epochs = 0;
  double train_loss = 0;
  double validation_accuracy = 0;  // 0..1
  double seconds = 0;
};

struct Trained {
  Weights weights;  // of the graph as built, not lowered
  double validation_accuracy = 0;
};

// Trains `graph` on one thread: equal arguments give equal weights on one instruction set. After each epoch
// the whole state is written to `checkpoint` (atomically; empty: nowhere) and `on_epoch` is called; a
// checkpoint of the same graph, options and data found there is continued, to the weights that an unbroken
// run gives. Throws Error(input) when the loss is not finite.
Trained train(const Graph& graph, const Samples& train, const Samples& validation,
              const TrainOptions& options, const std::filesystem::path& checkpoint,
              const std::function<void(const EpochReport&)>& on_epoch);

// Share of samples whose largest output is their label, 0..1, in float.
double accuracy(const Graph& graph, const Weights& weights, const Samples& samples);

}  // namespace mcufit
