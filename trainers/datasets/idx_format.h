// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "trainers/datasets/dataset.h"

namespace mcufit {

// Reads a pair of gzip-packed IDX files, MNIST's format: images (magic 00 00 08 03, counts, unsigned bytes)
// and labels (magic 00 00 08 01). Throws Error(io) for a missing file, Error(input) naming the file for a
// damaged or truncated one, a wrong magic number or shape, counts that differ, a label outside of [0,
// classes).
Samples read_idx(const std::filesystem::path& images, const std::filesystem::path& labels, Shape shape,
                 std::int32_t classes);

}  // namespace mcufit
