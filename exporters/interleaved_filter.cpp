// SPDX-License-Identifier: Apache-2.0
#include "exporters/interleaved_filter.h"

#include <array>
#include <cstdlib>
#include <limits>
#include <optional>

#include "exporters/runtime/mcufit_scratch.h"

namespace mcufit {
namespace {

constexpr std::size_t kInputs = 4;  // of a block

// Weights [outputs][inputs].
struct Filter {
  std::span<const std::int8_t> weights;
  std::size_t inputs;

  std::int8_t at(std::size_t output, std::size_t input) const { return weights[output * inputs + input]; }
};

// Appends four inputs of two outputs; false where a half word does not hold both.
bool append_pair(const Filter& filter, std::size_t output, std::size_t input,
                 std::vector<std::int8_t>& bytes) {
  constexpr std::array<std::size_t, kInputs> order = {0, 2, 1, 3};
  for (const std::size_t i : order) {
    const std::int8_t first = filter.at(output, input + i);
    const int second = filter.at(output + 1, input + i) - (first < 0 ? 1 : 0);
    if (second < std::numeric_limits<std::int8_t>::min()) return false;
    bytes.push_back(first);
    bytes.push_back(static_cast<std::int8_t>(second));
  }
  return true;
}

// Outputs [output, output + count), by twos.
std::optional<std::vector<std::int8_t>> interleaved(const Filter& filter, std::size_t output,
                                                    std::size_t count) {
  std::vector<std::int8_t> bytes;
  bytes.reserve(count * filter.inputs);
  for (std::size_t input = 0; input < filter.inputs; input += kInputs) {
    for (std::size_t pair = output; pair < output + count; pair += 2) {
      if (!append_pair(filter, pair, input, bytes)) return std::nullopt;
    }
  }
  return bytes;
}

// 32 bits hold the sums of both outputs of each of two pairs, whatever the input is.
bool sums_fit(const Filter& filter, std::size_t output) {
  constexpr std::int64_t limit = (std::int64_t{1} << 31) / 128;
  for (const std::size_t pair : {output, output + 2}) {
    std::int64_t largest = 0;
    for (std::size_t i = 0; i < filter.inputs; ++i)
      largest += std::abs(filter.at(pair, i)) + 256 * std::abs(filter.at(pair + 1, i));
    if (largest >= limit) return false;
  }
  return true;
}

// Groups of outputs from the first on, up to one that `takes` refuses.
template <typename Takes>
InterleavedFilter interleave(const Filter& filter, std::size_t group, const Takes& takes) {
  InterleavedFilter result;
  std::size_t output = 0;
  while (filter.inputs % kInputs == 0 && (output + group) * filter.inputs <= filter.weights.size() &&
         takes(output)) {
    const auto bytes = interleaved(filter, output, group);
    if (!bytes) break;
    result.bytes.insert(result.bytes.end(), bytes->begin(), bytes->end());
    output += group;
  }
  const auto rest = filter.weights.subspan(result.bytes.size());
  result.bytes.insert(result.bytes.end(), rest.begin(), rest.end());
  result.outputs = static_cast<std::int16_t>(output);
  return result;
}

Filter filter_of(std::span<const std::int8_t> weights, std::int16_t outputs) {
  return {weights, weights.size() / static_cast<std::size_t>(outputs)};
}

}  // namespace

InterleavedFilter interleave_fours(std::span<const std::int8_t> filter, std::int16_t outputs) {
  const Filter f = filter_of(filter, outputs);
  return interleave(f, 4, [&](std::size_t output) { return sums_fit(f, output); });
}

InterleavedFilter interleave_twos(std::span<const std::int8_t> filter, std::int16_t outputs) {
  const Filter f = filter_of(filter, outputs);
  InterleavedFilter result =
      interleave(f, 2, [&](std::size_t) { return f.inputs >= MCUFIT_DSP_LEAST_PAIR_TAPS; });
  if (result.outputs != outputs) return {{filter.begin(), filter.end()}, 0};
  return result;
}

InterleavedFilter interleave(const Conv2dStep& step) {
  return interleave_twos(step.tables.filter, step.fields.window.output_channels);
}

InterleavedFilter interleave(const FullyConnectedStep& step) {
  return interleave_fours(step.tables.filter, step.end);
}

}  // namespace mcufit
