// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cost-models/price.h"
#include "exporters/package.h"

namespace mcufit {

// Bytes by owner as the linker placed them, read from its map file.
struct LinkedSizes {
  FlashLedger flash;
  std::int64_t arena_bytes = 0;
  std::int64_t data_bss_bytes = 0;   // of package and runtime, the arena excluded
  std::int64_t alignment_bytes = 0;  // fill that the linker put between the package's sections
  std::map<std::string, std::int64_t>
      sections;  // every input section of the package's objects, by "object(section)"
};

// Reads a GNU ld map of a package built with -ffunction-sections -fdata-sections. Throws Error(input) if it
// is no map.
LinkedSizes read_map(const std::filesystem::path& map_file, const Manifest& manifest);

// Where a device first differed from the judge.
struct Mismatch {
  std::int64_t sample = 0;
  std::int64_t index = 0;
  std::int8_t expected = 0;
  std::int8_t found = 0;
};

// What a run on a device showed.
struct DeviceReport {
  std::string device;  // "mps2-an386 (QEMU 7.2.x)"
  std::string compiler;
  std::int64_t samples = 0;
  std::optional<Mismatch> first_mismatch;
  std::vector<std::vector<std::int8_t>> outputs;
  std::int64_t instructions_per_inference = 0;  // the largest of all samples
  std::int64_t instructions_least = 0;
  std::int64_t stack_bytes = 0;        // high-water mark of <name>_invoke(), painted
  std::int64_t stack_bound_bytes = 0;  // from -fstack-usage and the call graph
  // Distinct bytes written by sender and model; the plan's tensors, padding left out.
  std::int64_t arena_touched_bytes = 0;
  LinkedSizes linked;
};

nlohmann::json to_json(const LinkedSizes& linked);
nlohmann::json to_json(const DeviceReport& report);

// The emulated board for a core: "cortex-m4" is QEMU's mps2-an386. Empty when there is none yet.
std::optional<std::string> board_for(const Target& target);

// Builds the package with arm-none-eabi-gcc under a linker script with the target's flash and RAM sizes, runs
// it on the emulator with every sample and compares with the expected outputs. `work` keeps the firmware, map
// and log. Throws Error(device_not_found) naming the missing program and its Debian package,
// Error(constraint_not_met) when it does not link into the target's sizes, Error(device_protocol) when the
// firmware did not answer as it should.
DeviceReport validate(const std::filesystem::path& package, std::span<const TestVector> samples,
                      const std::filesystem::path& work);

// Compiles the runtime for a target alone and measures it: configs/code-sizes/<core>.json.
CodeSizes measure_code_sizes(const Target& target);

}  // namespace mcufit
