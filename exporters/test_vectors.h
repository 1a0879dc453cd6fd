// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "exporters/package.h"

namespace mcufit {

// A file of test vectors: for each, the input's bytes and the output's, nothing else; the manifest has the
// sizes.
void write_vectors(const std::filesystem::path& path, const std::vector<TestVector>& vectors);

// Throws Error(input) when the file is not a whole number of vectors of the manifest's sizes, or has none.
std::vector<TestVector> read_vectors(const std::filesystem::path& path, const Manifest& manifest);

}  // namespace mcufit
