// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "blocks/graph.h"

namespace mcufit {

// Labelled samples of one shape, as bytes: a network's real input is value / 255, its int8 input value - 128.
struct Samples {
  Shape shape;
  std::vector<std::uint8_t> values;  // [sample][height][width][channel]
  std::vector<std::int32_t> labels;  // [sample], in [0, classes)

  std::int64_t size() const { return static_cast<std::int64_t>(labels.size()); }
  std::span<const std::uint8_t> sample(std::int64_t i) const {
    const auto n = static_cast<std::size_t>(shape.elements());
    return std::span(values).subspan(static_cast<std::size_t>(i) * n, n);
  }
};

// A public data set on this machine.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual std::string_view name() const = 0;
  virtual Shape shape() const = 0;
  virtual std::span<const std::string_view> classes() const = 0;

  // Reads files below `folder` (empty: where the package or MCUFIT_DATA puts them). Throws Error(input)
  // naming the file when one is missing (with the package or command that brings it), truncated or not of the
  // format.
  virtual Samples train(const std::filesystem::path& folder) const = 0;
  virtual Samples test(const std::filesystem::path& folder) const = 0;

  // SHA-256 over the files, in the order train images, train labels, test images, test labels.
  virtual std::string sha256(const std::filesystem::path& folder) const = 0;
};

std::span<const Dataset* const> datasets();

// Throws Error(config) with "did you mean".
const Dataset& dataset(std::string_view name);

// The training samples, cut in two: `validation_size` of them, drawn with `seed`, go to validation. Both keep
// the file's order.
struct Split {
  Samples train;
  Samples validation;
};
Split split(const Samples& samples, std::int64_t validation_size, std::uint64_t seed);

// The first `count` of a seeded permutation of the samples (all of them where there are fewer).
Samples subset(const Samples& samples, std::int64_t count, std::uint64_t seed);

}  // namespace mcufit
