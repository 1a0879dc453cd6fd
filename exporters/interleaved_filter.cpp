// SPDX-License-Identifier: Apache-2.0
#include "exporters/interleaved_filter.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>

namespace mcufit {
namespace {

constexpr std::size_t kFour = 4;

// Four inputs of four outputs.
using Block = std::array<std::int8_t, kFour * kFour>;

std::optional<Block> interleaved_block(std::span<const std::int8_t> filter, std::size_t inputs,
                                       std::size_t output, std::size_t input) {
  constexpr std::array<std::size_t, kFour> order = {0, 2, 1, 3};
  Block block{};
  auto byte = block.begin();
  for (std::size_t pair = output; pair < output + kFour; pair += 2) {
    for (const std::size_t i : order) {
      const std::int8_t first = filter[pair * inputs + input + i];
      const int second = filter[(pair + 1) * inputs + input + i] - (first < 0 ? 1 : 0);
      if (second < std::numeric_limits<std::int8_t>::min()) return std::nullopt;
      *byte++ = first;
      *byte++ = static_cast<std::int8_t>(second);
    }
  }
  return block;
}

// 32 bits hold the sums of both outputs of each pair, whatever the input is.
bool sums_fit(std::span<const std::int8_t> filter, std::size_t inputs, std::size_t output) {
  constexpr std::int64_t limit = (std::int64_t{1} << 31) / 128;
  for (std::size_t pair = output; pair < output + kFour; pair += 2) {
    std::int64_t largest = 0;
    for (std::size_t i = 0; i < inputs; ++i)
      largest += std::abs(filter[pair * inputs + i]) + 256 * std::abs(filter[(pair + 1) * inputs + i]);
    if (largest >= limit) return false;
  }
  return true;
}

std::optional<std::vector<std::int8_t>> interleaved_outputs(std::span<const std::int8_t> filter,
                                                            std::size_t inputs, std::size_t output) {
  if (!sums_fit(filter, inputs, output)) return std::nullopt;
  std::vector<std::int8_t> bytes;
  bytes.reserve(kFour * inputs);
  for (std::size_t i = 0; i < inputs; i += kFour) {
    const std::optional<Block> block = interleaved_block(filter, inputs, output, i);
    if (!block) return std::nullopt;
    bytes.insert(bytes.end(), block->begin(), block->end());
  }
  return bytes;
}

}  // namespace

InterleavedFilter interleave(std::span<const std::int8_t> filter, std::int16_t outputs) {
  InterleavedFilter result;
  const auto count = static_cast<std::size_t>(outputs);
  const std::size_t inputs = filter.size() / count;
  while (inputs % kFour == 0 && result.bytes.size() + kFour * inputs <= filter.size()) {
    const auto bytes = interleaved_outputs(filter, inputs, static_cast<std::size_t>(result.outputs));
    if (!bytes) break;
    result.bytes.insert(result.bytes.end(), bytes->begin(), bytes->end());
    result.outputs = static_cast<std::int16_t>(result.outputs + static_cast<int>(kFour));
  }
  const auto rest = filter.subspan(result.bytes.size());
  result.bytes.insert(result.bytes.end(), rest.begin(), rest.end());
  return result;
}

}  // namespace mcufit
