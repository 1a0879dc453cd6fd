// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace mcufit {

class ObjectReader;

// A microcontroller board, as its data sheet says; configs/targets/<name>.json.
struct Target {
  std::string name;   // "nrf52840", also the file's stem
  std::string board;  // what it is sold as
  std::string core;   // "cortex-m4", as GCC's -mcpu spells it
  bool fpu = false;   // a single-precision unit (the ABI is then hard-float)
  std::int64_t clock_hz = 0;
  std::int64_t flash_bytes = 0;
  std::int64_t ram_bytes = 0;
  std::int64_t reserved_flash_bytes = 0;  // for the application beside the network
  std::int64_t reserved_ram_bytes = 0;
  std::string source;  // the vendor document with these figures
};

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
};

Limits read_limits(ObjectReader& reader);

// What a network may use: the smaller of the limits and what the target leaves.
struct Budget {
  std::int64_t flash_bytes = 0;
  std::int64_t ram_bytes = 0;
  std::optional<std::int64_t> macs;
  std::optional<std::int64_t> params;
};

// Throws Error(config) when a limit exceeds what the target has.
Budget derive(const Target& target, const Limits& limits);
nlohmann::json to_json(const Budget& budget);

}  // namespace mcufit
