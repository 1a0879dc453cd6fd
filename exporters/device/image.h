// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "exporters/device/devices.h"
#include "exporters/package.h"

namespace mcufit {

// The firmware's main programs.
enum class Firmware {
  samples,  // runs every sample and measures the whole: fw_main.c
  layers,   // runs the first sample call by call: fw_layers.c
};

// What a firmware says of itself, so that another one's report is not taken for its.
inline constexpr int kFirmwareVersion = 3;

// A program for a device: a package and the firmware that runs it.
struct Image {
  std::string elf;  // in the work folder
  std::string map;
  std::string compiler;
  std::optional<std::int64_t> stack_bound_bytes;  // of <name>_invoke(); none where there is no call graph
  std::set<std::string, std::less<>> library;     // members of the compiler's library that the package needs
};

// Compiles and links into `work`. The image reads `samples` samples; the linker holds the model to the
// target's flash and RAM. Throws as validate() does.
Image build_image(const std::filesystem::path& package, const Manifest& manifest, const Device& device,
                  const Target& limits, Firmware firmware, std::int64_t samples,
                  const std::filesystem::path& work);

}  // namespace mcufit
