// SPDX-License-Identifier: Apache-2.0
#include "trainers/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/random.h"
#include "trainers/checkpoint.h"
#include "trainers/graph_module.h"

namespace mcufit {
namespace {

enum Stream : std::uint64_t { kInitialWeights = 1, kOrder, kAugmentation };

constexpr std::int64_t kEvaluationBatch = 500;

// --- batches
// --------------------------------------------------------------------------------------------------------

// Copies one image into its place in a batch, mirrored and shifted by (dy, dx); what comes in from outside is
// black.
void place(std::span<const std::uint8_t> image, const Shape& s, bool flip, std::int64_t dy, std::int64_t dx,
           float* out) {
  for (std::int32_t y = 0; y < s.height; ++y) {
    for (std::int32_t x = 0; x < s.width; ++x) {
      const std::int64_t from_y = y + dy;
      const std::int64_t from_x = (flip ? s.width - 1 - x : x) + dx;
      const bool inside = from_y >= 0 && from_y < s.height && from_x >= 0 && from_x < s.width;
      for (std::int32_t c = 0; c < s.channels; ++c) {
        const auto at = static_cast<std::size_t>((from_y * s.width + from_x) * s.channels + c);
        *out++ = inside ? static_cast<float>(image[at]) / 255.0F : 0.0F;
      }
    }
  }
}

// Samples become an NCHW tensor in channels-last memory order; `random` augments where it is given.
at::Tensor batch_images(const Samples& samples, std::span<const std::int64_t> indices,
                        const TrainOptions& options, Random* random) {
  const Shape& s = samples.shape;
  at::Tensor nhwc =
      at::empty({static_cast<std::int64_t>(indices.size()), s.height, s.width, s.channels}, at::kFloat);
  float* out = nhwc.data_ptr<float>();
  for (const std::int64_t i : indices) {
    const bool flip = random != nullptr && options.horizontal_flip && random->below(2) == 1;
    std::int64_t dy = 0, dx = 0;
    if (random != nullptr && options.shift_pixels > 0) {
      dy = random->between(-options.shift_pixels, options.shift_pixels);
      dx = random->between(-options.shift_pixels, options.shift_pixels);
    }
    place(samples.sample(i), s, flip, dy, dx, out);
    out += s.elements();
  }
  return nhwc.permute({0, 3, 1, 2});
}

at::Tensor batch_labels(const Samples& samples, std::span<const std::int64_t> indices) {
  at::Tensor labels = at::empty({static_cast<std::int64_t>(indices.size())}, at::kLong);
  auto* out = labels.data_ptr<std::int64_t>();
  for (const std::int64_t i : indices) *out++ = samples.labels[static_cast<std::size_t>(i)];
  return labels;
}

double evaluate(GraphModule& module, const Samples& samples) {
  const at::NoGradGuard no_gradients;
  std::vector<std::int64_t> all(static_cast<std::size_t>(samples.size()));
  std::iota(all.begin(), all.end(), 0);
  std::int64_t correct = 0;
  for (std::int64_t first = 0; first < samples.size(); first += kEvaluationBatch) {
    const auto count = static_cast<std::size_t>(std::min(kEvaluationBatch, samples.size() - first));
    const auto indices = std::span(all).subspan(static_cast<std::size_t>(first), count);
    const at::Tensor outputs = module.forward(batch_images(samples, indices, {}, nullptr), false);
    correct += outputs.argmax(1).eq(batch_labels(samples, indices)).sum().item<std::int64_t>();
  }
  return static_cast<double>(correct) / static_cast<double>(samples.size());
}

// --- the optimizer
// --------------------------------------------------------------------------------------------------

// Stochastic gradient descent with Nesterov momentum as Sutskever et al. (ICML 2013) restate it; our own,
// since its whole state goes into checkpoints.
class NesterovSgd {
 public:
  NesterovSgd(const GraphModule& module, const TrainOptions& options) : options_(options) {
    for (const at::Tensor& t : module.filters()) add(t, options.weight_decay);
    for (const at::Tensor& t : module.others()) add(t, 0);
  }

  void zero_gradients() {
    for (Slot& s : slots_) s.value.mutable_grad().reset();
  }

  void step(double learning_rate) {
    const at::NoGradGuard no_gradients;
    for (Slot& s : slots_) {
      if (!s.value.grad().defined()) continue;
      at::Tensor gradient = s.value.grad();
      if (s.decay > 0) gradient.add_(s.value, s.decay);
      s.velocity.mul_(options_.momentum).add_(gradient);
      s.value.add_(gradient.add_(s.velocity, options_.momentum), -learning_rate);
    }
  }

  std::vector<at::Tensor> velocities() const {
    std::vector<at::Tensor> all;
    for (const Slot& s : slots_) all.push_back(s.velocity);
    return all;
  }

 private:
  struct Slot {
    at::Tensor value, velocity;
    double decay;
  };
  void add(const at::Tensor& t, double decay) { slots_.push_back({t, at::zeros_like(t), decay}); }

  TrainOptions options_;
  std::vector<Slot> slots_;
};

// Linear warm-up, then a half cosine to zero.
double learning_rate_at(const TrainOptions& o, std::int64_t step, std::int64_t steps_per_epoch) {
  const double total = static_cast<double>(o.epochs) * static_cast<double>(steps_per_epoch);
  const double warmup = std::min(o.warmup_epochs * static_cast<double>(steps_per_epoch), total);
  const double at = static_cast<double>(step);
  const double rise = warmup > 0 ? std::min(1.0, (at + 1) / warmup) : 1.0;
  return o.learning_rate * rise * 0.5 * (1 + std::cos(std::numbers::pi * at / total));
}

// --- the loop
// -------------------------------------------------------------------------------------------------------

std::string fingerprint_of(const Graph& graph, const Samples& train, const TrainOptions& o) {
  const auto* labels = reinterpret_cast<const char*>(train.labels.data());
  const nlohmann::json all = {
      {"graph", to_json(graph)},
      {"samples", sha256({reinterpret_cast<const char*>(train.values.data()), train.values.size()})},
      {"labels", sha256({labels, train.labels.size() * sizeof(std::int32_t)})},
      {"options",
       {o.epochs, o.batch_size, o.learning_rate, o.warmup_epochs, o.momentum, o.weight_decay,
        o.label_smoothing, o.horizontal_flip, o.shift_pixels, o.seed}}};
  return sha256(all.dump());
}

// What torch would answer with a message of its own, or not notice: images of another size pass through
// convolutions.
void check(const Samples& samples, const Graph& graph, std::string_view what) {
  if (samples.shape != graph.input_shape()) {
    throw Error(ExitCode::input, fmt::format("{} samples: found {}; accepted: {}, the network's input", what,
                                             to_string(samples.shape), to_string(graph.input_shape())));
  }
  const std::int64_t classes = graph.output_shape().elements();
  for (const std::int32_t label : samples.labels) {
    if (label >= 0 && label < classes) continue;
    throw Error(ExitCode::input,
                fmt::format("{} samples: found label {}; accepted: 0 to {}", what, label, classes - 1));
  }
  if (samples.size() == 0)
    throw Error(ExitCode::input, fmt::format("{} samples: found none; accepted: at least one", what));
}

void check(const Samples& train, const TrainOptions& o) {
  if (o.batch_size < 2 || train.size() < o.batch_size) {
    throw Error(ExitCode::config,
                fmt::format("training: found {} samples for batches of {}; accepted: batches of at least 2, "
                            "and samples for at least one",
                            train.size(), o.batch_size));
  }
}

// One pass; returns the mean loss. The order and the augmentation depend on the seed and the epoch alone. A
// last, incomplete batch is left out: its batch statistics would be noisier than the others'.
double run_epoch(GraphModule& module, NesterovSgd& optimizer, const Samples& train, const TrainOptions& o,
                 std::int32_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(train.size()));
  std::iota(order.begin(), order.end(), 0);
  const auto key = static_cast<std::uint64_t>(epoch);
  Random order_random(o.seed, {kOrder, key});
  Random augmentation(o.seed, {kAugmentation, key});
  order_random.shuffle(order);
  const std::int64_t steps = train.size() / o.batch_size;
  double loss_sum = 0;
  for (std::int64_t i = 0; i < steps; ++i) {
    const auto indices = std::span(order).subspan(static_cast<std::size_t>(i * o.batch_size),
                                                  static_cast<std::size_t>(o.batch_size));
    optimizer.zero_gradients();
    const at::Tensor outputs = module.forward(batch_images(train, indices, o, &augmentation), true);
    const at::Tensor loss = at::cross_entropy_loss(outputs, batch_labels(train, indices), {},
                                                   at::Reduction::Mean, -100, o.label_smoothing);
    loss.backward();
    optimizer.step(learning_rate_at(o, epoch * steps + i, steps));
    loss_sum += loss.item<double>();
    if (!std::isfinite(loss_sum)) {
      throw Error(
          ExitCode::input,
          fmt::format(
              "training diverged in epoch {}: the loss is not finite; try a smaller learning_rate than {}",
              epoch + 1, o.learning_rate));
    }
  }
  return loss_sum / static_cast<double>(steps);
}

}  // namespace

Trained train(const Graph& graph, const Samples& train, const Samples& validation,
              const TrainOptions& options, const std::filesystem::path& checkpoint,
              const std::function<void(const EpochReport&)>& on_epoch) {
  check(train, graph, "training");
  check(validation, graph, "validation");
  check(train, options);
  at::set_num_threads(1);
  Random random(options.seed, {kInitialWeights});
  GraphModule module(graph, random);
  NesterovSgd optimizer(module, options);
  std::vector<at::Tensor> state = module.state();
  for (const at::Tensor& t : optimizer.velocities()) state.push_back(t);
  const std::string fingerprint = fingerprint_of(graph, train, options);

  double accuracy = 0;
  const std::int32_t first = read_checkpoint(checkpoint, fingerprint, state);
  if (first == options.epochs) accuracy = evaluate(module, validation);
  for (std::int32_t epoch = first; epoch < options.epochs; ++epoch) {
    const auto start = std::chrono::steady_clock::now();
    const double loss = run_epoch(module, optimizer, train, options, epoch);
    accuracy = evaluate(module, validation);
    if (!checkpoint.empty()) write_checkpoint(checkpoint, fingerprint, epoch + 1, state);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (on_epoch) on_epoch({epoch + 1, options.epochs, loss, accuracy, seconds});
  }
  return {module.weights(), accuracy};
}

double accuracy(const Graph& graph, const Weights& weights, const Samples& samples) {
  check(samples, graph, "measured");
  at::set_num_threads(1);
  Random random(0);
  GraphModule module(graph, random);
  module.set_weights(weights);
  return evaluate(module, samples);
}

}  // namespace mcufit
