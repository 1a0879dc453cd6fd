// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mcufit {

// The whole state of a training after some epochs, in a file of our own (a JSON header and raw float32;
// nothing in it is executed). `fingerprint` says of which graph, options and data it is.
void write_checkpoint(const std::filesystem::path& path, const std::string& fingerprint, std::int32_t epoch,
                      const std::vector<at::Tensor>& tensors);

// Fills `tensors` and returns the epoch; 0, with the tensors untouched, when there is no file, it is damaged,
// or its fingerprint is another: training then begins anew.
std::int32_t read_checkpoint(const std::filesystem::path& path, const std::string& fingerprint,
                             const std::vector<at::Tensor>& tensors);

}  // namespace mcufit
