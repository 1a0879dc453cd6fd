// SPDX-License-Identifier: Apache-2.0
#include "exporters/short_form.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace mcufit {
namespace {

constexpr std::int64_t kSumLimit = std::int64_t{1} << 30;
constexpr std::int64_t kLargestInput = 128;
constexpr int kMostBits = 21;

// The largest sums by channel: `channel_of` says whose a filter's element is.
template <typename ChannelOf>
bool short_form(const ConvolutionTables& t, const mcufit_requantization& q, const ChannelOf& channel_of) {
  using Byte = std::numeric_limits<std::int8_t>;
  if (q.output_min != Byte::min() || q.output_max != Byte::max()) return false;
  if (!std::ranges::all_of(t.shift, [](int shift) { return shift < 0 && shift >= -kMostBits; })) return false;
  std::vector<std::int64_t> largest(t.bias.size());
  for (std::size_t i = 0; i < t.filter.size(); ++i)
    largest[channel_of(i)] += kLargestInput * std::abs(t.filter[i]);
  for (std::size_t c = 0; c < largest.size(); ++c) largest[c] += std::abs(std::int64_t{t.bias[c]});
  return std::ranges::all_of(largest, [](std::int64_t sum) { return sum < kSumLimit; });
}

// Of filters [output][...].
bool short_form_by_outputs(const ConvolutionTables& t, const mcufit_requantization& q) {
  const std::size_t per_output = t.filter.size() / t.bias.size();
  return short_form(t, q, [&](std::size_t i) { return i / per_output; });
}

}  // namespace

bool short_form(const Conv2dStep& step) {
  return short_form_by_outputs(step.tables, step.fields.requantization);
}

bool short_form(const DepthwiseConv2dStep& step) {
  const std::size_t channels = step.tables.bias.size();
  return short_form(step.tables, step.fields.requantization, [&](std::size_t i) { return i % channels; });
}

bool short_form(const FullyConnectedStep& step) {
  return short_form_by_outputs(step.tables, step.fields.requantization);
}

}  // namespace mcufit
