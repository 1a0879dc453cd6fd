// SPDX-License-Identifier: Apache-2.0
#include "trainers/datasets/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "blocks/foundation/error.h"
#include "blocks/foundation/random.h"
#include "blocks/foundation/text.h"

namespace mcufit {
namespace {

enum Stream : std::uint64_t { kSplitStream = 1, kSubsetStream };

// The samples at `indices`, in their order.
Samples take(const Samples& samples, const std::vector<std::int64_t>& indices) {
  Samples taken;
  taken.shape = samples.shape;
  taken.values.reserve(indices.size() * static_cast<std::size_t>(samples.shape.elements()));
  for (const std::int64_t i : indices) {
    const auto values = samples.sample(i);
    taken.values.insert(taken.values.end(), values.begin(), values.end());
    taken.labels.push_back(samples.labels[static_cast<std::size_t>(i)]);
  }
  return taken;
}

std::vector<std::int64_t> permutation(std::int64_t size, std::uint64_t seed, Stream stream) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  Random random(seed, {stream});
  random.shuffle(order);
  return order;
}

}  // namespace

const Dataset& dataset(std::string_view name) {
  std::vector<std::string> names;
  for (const Dataset* d : datasets()) {
    if (d->name() == name) return *d;
    names.emplace_back(d->name());
  }
  throw Error(ExitCode::config, fmt::format("data set '{}': there is none of this name; accepted: {}{}", name,
                                            join(names), did_you_mean(name, names)));
}

Split split(const Samples& samples, std::int64_t validation_size, std::uint64_t seed) {
  if (validation_size < 1 || validation_size >= samples.size()) {
    throw Error(
        ExitCode::config,
        fmt::format("validation_samples: found {}; accepted: 1 to {}, so that training samples are left",
                    validation_size, samples.size() - 1));
  }
  std::vector<std::int64_t> order = permutation(samples.size(), seed, kSplitStream);
  const auto cut = order.begin() + validation_size;
  std::sort(order.begin(), cut);
  std::sort(cut, order.end());
  return {take(samples, {cut, order.end()}), take(samples, {order.begin(), cut})};
}

Samples subset(const Samples& samples, std::int64_t count, std::uint64_t seed) {
  std::vector<std::int64_t> order = permutation(samples.size(), seed, kSubsetStream);
  order.resize(static_cast<std::size_t>(std::min(count, samples.size())));
  return take(samples, order);
}

}  // namespace mcufit
