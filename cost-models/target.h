// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cost-models/plan_choice.h"

namespace mcufit {

class ObjectReader;

// A stretch of memory as the data sheet lists it.
struct MemoryRegion {
  enum class Kind { flash, ram };
  std::string name;  // "sram1", unique in its target
  Kind kind = Kind::ram;
  std::int64_t bytes = 0;
  std::optional<std::int64_t> base_address;
  bool usable = true;  // by a model: false where it is too slow, or another's (a radio, a second core)
};
std::string_view to_string(MemoryRegion::Kind kind);

// What the whole chip draws in one state.
struct Power {
  double milliwatts = 0;
  // As the data sheet has it, where it gives a current; milliwatts is their product.
  std::optional<double> microamps, volts;
  std::string source;
};

// A microcontroller board, as its data sheet says; configs/targets/<name>.json.
struct Target {
  std::string name;                   // "nrf52840", also the file's stem
  std::string board;                  // what it is sold as
  std::string core;                   // a name of cores(): "cortex-m4", as GCC's -mcpu spells it
  std::vector<std::string> features;  // ISA features, those that its core always has among them
  bool fpu = false;                   // a single-precision unit (the ABI is then hard-float)
  std::int64_t clock_hz = 0;
  std::vector<MemoryRegion> regions;  // may be empty where only the following sizes are known
  // What a model may lie in: an arena is one array and the constants are one section, so this is the largest
  // run of usable regions without a gap between them, most_contiguous(regions, kind).
  std::int64_t flash_bytes = 0;
  std::int64_t ram_bytes = 0;
  std::int64_t reserved_flash_bytes = 0;  // for the application beside the network
  std::int64_t reserved_ram_bytes = 0;
  std::int64_t reserved_stack_bytes = 0;  // of the application, on top of what the network's calls need
  std::optional<Power> active_power;      // computing, at clock_hz; nothing where no document says it
  std::optional<Power> sleep_power;       // RAM kept, waiting for a timer
  std::string source;                     // the vendor document with these figures
};

// Bytes of the largest run of usable regions of a kind. Regions join where one's base address is the other's
// end; without an address a region stands alone.
std::int64_t most_contiguous(const std::vector<MemoryRegion>& regions, MemoryRegion::Kind kind);

Target read_target(ObjectReader& reader);
nlohmann::json to_json(const Target& target);

// A target by name (configs/targets) or by path when it ends in .json. Throws ConfigError; an unknown name
// gets "did you mean".
Target load_target(const std::string& name_or_path);
std::vector<std::string> target_names();

// Limits that a job sets below the chip's.
struct Limits {
  std::optional<std::int64_t> flash_bytes;
  std::optional<std::int64_t> ram_bytes;
  std::optional<std::int64_t> macs;
  std::optional<std::int64_t> params;
  std::optional<double> latency_us = {};  // by the latency law (cost-models/latency.h), an estimate
  std::optional<double> energy_uj = {};   // per inference, by the same law
};

Limits read_limits(ObjectReader& reader);
nlohmann::json to_json(const Limits& limits);

// What a network may use: the smaller of the limits and what the target leaves.
struct Budget {
  std::int64_t flash_bytes = 0;
  std::int64_t ram_bytes = 0;
  std::optional<std::int64_t> macs;
  std::optional<std::int64_t> params;
  std::optional<double> latency_us = {};
  std::optional<double> energy_uj = {};
  PlanChoice plan = PlanChoice::fits;  // how a network may run to stay within ram_bytes
  // Where no other plan fits, one in tiles may, which takes up to so many times the network's MACs.
  double mac_factor = 1.0;
  // Depthwise filters in the form that the core's kernels compute with, where they read one
  // (store_wide_filters() in price.h); its bytes count against flash_bytes.
  bool wide_filters = false;
};

// Throws Error(config) when a limit exceeds what the target has.
Budget derive(const Target& target, const Limits& limits);
nlohmann::json to_json(const Budget& budget);

}  // namespace mcufit
