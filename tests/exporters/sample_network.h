// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "blocks/foundation/random.h"
#include "cost-models/price.h"
#include "exporters/package.h"

namespace mcufit::testing {

// A small network with every kernel of the runtime and random integers in it: 9x11x3, two strides, an add in
// place.
QuantizedGraph sample_network(std::uint64_t seed);

// Any network lowered, with random integers in it.
QuantizedGraph random_integers(const Graph& graph, std::uint64_t seed);

// The same with weights sized so that activations keep their size from layer to layer, and the ranges of one
// sample, an image: outputs that tell something of deep networks.
QuantizedGraph sized_network(Random& random, const Graph& graph, std::span<const std::int8_t> sample);

// Random inputs with the interpreter's outputs.
std::vector<TestVector> sample_vectors(const QuantizedGraph& graph, std::size_t count, std::uint64_t seed);

Target sample_target(const std::string& core, bool fpu);

// A code table of zeros, for tests that do not look at code.
CodeSizesForTarget no_code_sizes();

// A fresh folder in the system's temporary one, removed when left.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace mcufit::testing
