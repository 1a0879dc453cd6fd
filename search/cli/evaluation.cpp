// SPDX-License-Identifier: Apache-2.0
#include "search/cli/evaluation.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_reduce.h>

#include <algorithm>
#include <functional>

#include "blocks/float_interpreter.h"
#include "exporters/fast_interpreter.h"
#include "exporters/quantize.h"

namespace mcufit {
namespace {

// Counts the samples for which `correct` holds; a sum of integers does not depend on the order.
double share(const Samples& samples, const std::function<bool(std::int64_t)>& correct) {
  const std::int64_t count = tbb::parallel_reduce(
      tbb::blocked_range<std::int64_t>(0, samples.size()), std::int64_t{0},
      [&](const tbb::blocked_range<std::int64_t>& range, std::int64_t sum) {
        for (std::int64_t i = range.begin(); i < range.end(); ++i) sum += correct(i) ? 1 : 0;
        return sum;
      },
      std::plus<>());
  return static_cast<double>(count) / static_cast<double>(samples.size());
}

template <typename T>
std::int32_t index_of_largest(std::span<const T> values) {
  return static_cast<std::int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

}  // namespace

std::int32_t argmax(std::span<const std::int8_t> outputs) { return index_of_largest(outputs); }

std::vector<std::int8_t> int8_input(std::span<const std::uint8_t> sample) {
  std::vector<std::int8_t> input(sample.size());
  std::transform(sample.begin(), sample.end(), input.begin(),
                 [](std::uint8_t v) { return static_cast<std::int8_t>(v - 128); });
  return input;
}

std::vector<float> real_input(std::span<const std::uint8_t> sample) {
  std::vector<float> input(sample.size());
  std::transform(sample.begin(), sample.end(), input.begin(),
                 [](std::uint8_t v) { return static_cast<float>(v) / 255.0F; });
  return input;
}

QuantizedGraph quantize_trained(const Graph& graph, const Weights& weights, const Samples& samples) {
  const Lowered lowered = lower(graph, weights);
  std::vector<std::vector<float>> inputs;
  for (std::int64_t i = 0; i < samples.size(); ++i) inputs.push_back(real_input(samples.sample(i)));
  return quantize(lowered, observe_ranges(lowered, inputs), kByteInput);
}

double float_accuracy(const Lowered& lowered, const Samples& samples) {
  return share(samples, [&](std::int64_t i) {
    const auto outputs = interpret(lowered.graph, lowered.weights, real_input(samples.sample(i)));
    return index_of_largest(std::span<const float>(outputs.back())) ==
           samples.labels[static_cast<std::size_t>(i)];
  });
}

double int8_accuracy(const QuantizedGraph& graph, const Samples& samples) {
  std::vector<std::vector<std::int8_t>> inputs;
  for (std::int64_t i = 0; i < samples.size(); ++i) inputs.push_back(int8_input(samples.sample(i)));
  const auto outputs = FastInterpreter(graph).run_all(inputs);
  std::int64_t correct = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) correct += argmax(outputs[i]) == samples.labels[i] ? 1 : 0;
  return static_cast<double>(correct) / static_cast<double>(samples.size());
}

}  // namespace mcufit
