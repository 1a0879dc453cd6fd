// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "exporters/device/image.h"

namespace mcufit {

// "mps2-an386 (QEMU 7.2.22)"; for this machine with the compiler's version.
std::string device_text(const Device& device, const std::string& compiler);

// Runs a program to its end in the work folder, where its files lie; `more_arguments` are the emulator's.
// Throws Error(device_protocol) when it ends otherwise than by itself and well.
void run_image(const Image& image, const Device& device, const std::filesystem::path& work,
               const std::vector<std::string>& more_arguments = {});

// What a firmware reports: "key=number" lines, in order. Throws Error(device_protocol) for anything else, and
// when the report is of another firmware or its counter miscounted loops of known length.
using Findings = std::vector<std::pair<std::string, std::int64_t>>;
Findings read_findings(const std::filesystem::path& file);

// The number of the first line with this key. Throws Error(device_protocol) where there is none.
std::int64_t finding(const Findings& findings, const std::string& key);

}  // namespace mcufit
