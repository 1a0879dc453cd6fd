// SPDX-License-Identifier: Apache-2.0
#include "cost-models/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/text.h"

namespace mcufit {
namespace {

constexpr std::int64_t kMostMemory = std::int64_t{1} << 31;
constexpr std::int64_t kMostClock = 10'000'000'000;

const std::vector<std::string>& cores() {
  static const std::vector<std::string> kCores{
      "cortex-m0",  "cortex-m0plus", "cortex-m3",  "cortex-m4", "cortex-m7",
      "cortex-m33", "cortex-m55",    "cortex-m85", "rv32",      "avr"};
  return kCores;
}

std::int64_t within(std::optional<std::int64_t> limit, std::int64_t available, std::string_view what,
                    const Target& target) {
  if (!limit) return available;
  if (*limit <= available) return *limit;
  throw Error(ExitCode::config,
              fmt::format("limits/{}: found {}; accepted: at most the {} that {} leaves after its reserves",
                          what, *limit, available, target.name));
}

}  // namespace

Target read_target(ObjectReader& reader) {
  Target t;
  t.name = reader.string("name", "short lower-case name, the file's stem");
  t.board = reader.string("board", "what it is sold as");
  t.core =
      reader.choice("core", cores(), "core, as GCC's -mcpu spells it, or rv32 (RV32IMAC), avr (ATmega2560)");
  t.fpu = reader.boolean("fpu", "single-precision floating-point unit");
  t.clock_hz = reader.integer("clock_hz", {1, kMostClock}, "core clock in Hz");
  t.flash_bytes = reader.integer("flash_bytes", {1024, kMostMemory}, "flash in bytes");
  t.ram_bytes = reader.integer("ram_bytes", {256, kMostMemory}, "RAM in bytes");
  t.reserved_flash_bytes =
      reader.integer("reserved_flash_bytes", {0, kMostMemory}, "flash the application keeps", 0);
  t.reserved_ram_bytes =
      reader.integer("reserved_ram_bytes", {0, kMostMemory}, "RAM the application keeps", 0);
  t.source = reader.string("source", "vendor document with these figures");
  if (t.reserved_flash_bytes >= t.flash_bytes)
    reader.problem("reserved_flash_bytes", "the reserve leaves no flash");
  if (t.reserved_ram_bytes >= t.ram_bytes) reader.problem("reserved_ram_bytes", "the reserve leaves no RAM");
  return t;
}

nlohmann::json to_json(const Target& t) {
  return {{"name", t.name},
          {"board", t.board},
          {"core", t.core},
          {"fpu", t.fpu},
          {"clock_hz", t.clock_hz},
          {"flash_bytes", t.flash_bytes},
          {"ram_bytes", t.ram_bytes},
          {"reserved_flash_bytes", t.reserved_flash_bytes},
          {"reserved_ram_bytes", t.reserved_ram_bytes},
          {"source", t.source}};
}

std::vector<std::string> target_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(config_folder() / "targets")) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Target load_target(const std::string& name_or_path) {
  std::filesystem::path path = name_or_path;
  if (path.extension() != ".json") {
    const auto names = target_names();
    if (std::find(names.begin(), names.end(), name_or_path) == names.end()) {
      throw Error(ExitCode::config,
                  fmt::format("target '{}': there is none of this name; accepted: {}, or the path of a "
                              ".json file{}",
                              name_or_path, join(names), did_you_mean(name_or_path, names)));
    }
    path = config_folder() / "targets" / (name_or_path + ".json");
  }
  return read_config<Target>(JsonDocument::read(path), read_target);
}

Limits read_limits(ObjectReader& reader) {
  Limits limits;
  limits.flash_bytes =
      reader.optional_integer("flash_bytes", {1, kMostMemory}, "flash for weights, tables and runtime code");
  limits.ram_bytes =
      reader.optional_integer("ram_bytes", {1, kMostMemory}, "RAM for arena, runtime data and stack");
  constexpr std::int64_t kMostCount = std::int64_t{1} << 50;
  limits.macs = reader.optional_integer("macs", {1, kMostCount}, "multiply-accumulates per inference");
  limits.params = reader.optional_integer("params", {1, kMostCount}, "trainable numbers");
  return limits;
}

Budget derive(const Target& target, const Limits& limits) {
  return {.flash_bytes = within(limits.flash_bytes, target.flash_bytes - target.reserved_flash_bytes,
                                "flash_bytes", target),
          .ram_bytes =
              within(limits.ram_bytes, target.ram_bytes - target.reserved_ram_bytes, "ram_bytes", target),
          .macs = limits.macs,
          .params = limits.params};
}

nlohmann::json to_json(const Budget& budget) {
  nlohmann::json j = {{"flash_bytes", budget.flash_bytes}, {"ram_bytes", budget.ram_bytes}};
  if (budget.macs) j["macs"] = *budget.macs;
  if (budget.params) j["params"] = *budget.params;
  return j;
}

}  // namespace mcufit
