// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cost-models/price.h"
#include "exporters/device/devices.h"
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

// Reads a GNU ld map of a package built with -ffunction-sections -fdata-sections. Members of the compiler's
// library that the package needs count as its code. Throws Error(input) if it is no map.
LinkedSizes read_map(const std::filesystem::path& map_file, const Manifest& manifest,
                     const std::set<std::string, std::less<>>& library = {});

// The first call, in order of execution, whose output differed from the judge's on one sample.
struct LayerMismatch {
  std::int64_t sample = 0;
  ManifestStep step;
  // Where in its output, and the values: known where the network is at hand, not from checksums.
  std::optional<std::int64_t> index;
  std::int8_t expected = 0;
  std::int8_t found = 0;
};

// Where a device first differed from the judge.
struct Mismatch {
  std::int64_t sample = 0;
  std::int64_t index = 0;
  std::int8_t expected = 0;
  std::int8_t found = 0;
  std::optional<LayerMismatch> layer;  // nothing where neither network nor checksums tell
};

// What a run on a device showed.
struct DeviceReport {
  std::string device;  // "mps2-an386 (QEMU 7.2.x)"
  std::string core;    // "cortex-m4", or "host"
  std::string counts;  // what the following numbers count: "instructions"; empty where nothing is counted
  std::string compiler;
  std::int64_t samples = 0;
  std::optional<Mismatch> first_mismatch;
  std::vector<std::vector<std::int8_t>> outputs;
  std::int64_t instructions_per_inference = 0;  // the largest of all samples
  std::int64_t instructions_least = 0;
  std::int64_t instructions_most_per_row = 0;  // from one row of the input to the next; 0: it comes whole
  std::int64_t stack_bytes = 0;                // high-water mark of <name>_invoke(), painted
  std::int64_t stack_bound_bytes = 0;  // from -fstack-usage and the call graph; 0: the compiler has none
  // Distinct bytes written by sender and model: the plan's tensors, padding left out, and what kernels used
  // of their scratch.
  std::int64_t arena_touched_bytes = 0;
  LinkedSizes linked;
};

// What the ledgers of a package are on a device: as its manifest says on its target's core; on others with
// the code size table of that core, where there is one, and with the arena of its kernels.
struct Prediction {
  FlashLedger flash;
  RamLedger ram;
  bool estimated = false;  // code and stack of a sibling core, where this one has no table
};
Prediction predict(const Manifest& manifest, const Device& device);

nlohmann::json to_json(const LinkedSizes& linked);
nlohmann::json to_json(const DeviceReport& report);

// How to run a package.
struct RunRequest {
  std::filesystem::path package;
  std::filesystem::path work;  // keeps the firmware, map and log
  std::string device;          // a name of devices(); empty: the core of the package's target
  const QuantizedGraph* network =
      nullptr;                // what the package was made of, to explain a mismatch; may be null
  bool model_cycles = false;  // run_layers() also models cycles, by the core's cycle table
};

// Builds the package for the device under a linker script with the flash and RAM sizes of its target (on
// another core than the target's: of the emulated board), runs it with every sample and compares with the
// expected outputs. A sample that differs runs once more, call by call, to name the first layer that does.
// Throws Error(device_not_found) naming the missing program and its Debian package,
// Error(constraint_not_met) when it does not link into those sizes, Error(device_protocol) when the firmware
// did not answer as it should.
DeviceReport validate(const RunRequest& request, std::span<const TestVector> samples);

// One call of a package as a device ran it, or a group of calls that runs row by row, or one tile of it: then
// `step` is the last of them, with the multiply-accumulates of all.
struct LayerRun {
  ManifestStep step;
  std::size_t first_call = 0;     // place in the manifest's steps
  std::int64_t instructions = 0;  // with its part of the loop over the calls
  std::int64_t cycles = 0;        // modelled, where that was asked for
  // Of each call what it made of its output, from the start: in a group rows that nobody reads are left out.
  std::vector<std::vector<std::int8_t>> outputs;
};

// One inference, call by call.
struct LayersReport {
  std::string device;
  std::string core;
  std::string counts;
  std::vector<LayerRun> layers;
  std::int64_t instructions_per_inference = 0;  // of <name>_invoke(), or of all rows fed
  std::int64_t cycles_per_inference = 0;        // modelled
  std::string cycle_source;  // the manual that the cycles are of; empty where none were asked for

  std::int64_t overhead() const;  // of the instructions without any call
};

// Runs one input call by call. Throws as validate() does; where cycles are asked for also Error(usage) for a
// core without cycle table, Error(device_not_found) where this machine has no gcc to compile the emulator's
// plugin.
LayersReport run_layers(const RunRequest& request, std::span<const std::int8_t> input);

nlohmann::json to_json(const LayersReport& report);

// Compiles the runtime for a target's core alone and measures it: configs/code-sizes/<core>.json.
CodeSizes measure_code_sizes(const Target& target);

// Which layers a latency law is made of.
struct LatencyRequest {
  std::string core;  // a name of devices() that counts layer by layer
  std::uint64_t seed = 1;
  int networks = 6;           // of generated layers (layer_nets.h), to fit to
  int held_out_networks = 3;  // to compare with
  int rounds = 5;             // layers of each operator class in each network
};

// Counts generated layers of every operator class and fits a law to them: configs/latency-laws/<core>.json.
// The same request and compiler give the same law. Throws as run_layers() does, Error(usage) for a core whose
// layers cannot be counted.
LatencyLaw measure_latency_law(const LatencyRequest& request);

}  // namespace mcufit
