// SPDX-License-Identifier: Apache-2.0
#include "cost-models/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/text.h"
#include "cost-models/cores.h"

namespace mcufit {
namespace {

using nlohmann::json;
using Kind = MemoryRegion::Kind;

constexpr std::int64_t kMostMemory = std::int64_t{1} << 31;
constexpr std::int64_t kMostAddress = (std::int64_t{1} << 32) - 1;
constexpr std::int64_t kMostClock = 10'000'000'000;
constexpr std::int64_t kLeastFlash = 1024;
constexpr std::int64_t kLeastRam = 256;
constexpr std::size_t kMostRegions = 64;

std::int64_t within(std::optional<std::int64_t> limit, std::int64_t available, std::string_view what,
                    const Target& target) {
  if (!limit) return available;
  if (*limit <= available) return *limit;
  throw Error(ExitCode::config,
              fmt::format("limits/{}: found {}; accepted: at most the {} that {} leaves after its reserves",
                          what, *limit, available, target.name));
}

MemoryRegion read_region(ObjectReader& r, const std::vector<MemoryRegion>& before) {
  MemoryRegion region;
  region.name = r.string("name", "name of the region, as the data sheet has it");
  region.kind =
      r.choice("kind", {"flash", "ram"}, "what it is for: flash (constants and code) or ram") == "flash"
          ? Kind::flash
          : Kind::ram;
  region.bytes = r.integer("bytes", {1, kMostMemory}, "its size");
  region.base_address = r.optional_integer("base_address", {0, kMostAddress}, "address of its first byte");
  region.usable = r.boolean("usable", "whether a model may use it", true);
  for (const MemoryRegion& other : before) {
    if (!region.name.empty() && other.name == region.name)
      r.problem("name", fmt::format("found '{}' a second time; accepted: each name once", region.name));
    if (other.kind != region.kind || !region.base_address || !other.base_address)
      continue;  // AVR has two spaces
    if (*region.base_address < *other.base_address + other.bytes &&
        *other.base_address < *region.base_address + region.bytes)
      r.problem("base_address", fmt::format("the region shares addresses with '{}'", other.name));
  }
  return region;
}

// One size of the short form; with regions it may be repeated, but not differ.
std::int64_t memory_size(ObjectReader& r, std::string_view key, std::int64_t least, const Target& t,
                         Kind kind) {
  const auto given =
      r.optional_integer(key, {least, kMostMemory},
                         "the largest usable run of regions; in place of them where these are absent");
  if (r.describes()) return least;
  if (t.regions.empty()) {
    if (!r.has(key) && !r.has("regions"))
      r.problem(key, "the key is missing; accepted: this size, or 'regions' in place of both sizes");
    return given.value_or(kMostMemory);
  }
  const std::int64_t bytes = most_contiguous(t.regions, kind);
  if (bytes < least)
    r.problem("regions", fmt::format("found {} usable bytes of {}; accepted: at least {}", bytes,
                                     to_string(kind), least));
  if (given && *given != bytes)
    r.problem(key, fmt::format("found {}; the regions have {}: leave the key out", *given, bytes));
  return std::max(bytes, least);
}

void read_memories(ObjectReader& r, Target& t) {
  t.regions = r.optional_objects<MemoryRegion>(
      "regions", 1, kMostRegions, "memories, one by one",
      [&, before = std::vector<MemoryRegion>()](ObjectReader& region) mutable {
        before.push_back(read_region(region, before));
        return before.back();
      });
  t.flash_bytes = memory_size(r, "flash_bytes", kLeastFlash, t, Kind::flash);
  t.ram_bytes = memory_size(r, "ram_bytes", kLeastRam, t, Kind::ram);
  const auto reserve = [&](std::string_view key, std::string_view meaning) {
    return r.integer(key, {0, kMostMemory}, meaning, 0);
  };
  t.reserved_flash_bytes = reserve("reserved_flash_bytes", "flash the application keeps");
  t.reserved_ram_bytes = reserve("reserved_ram_bytes", "RAM the application keeps");
  t.reserved_stack_bytes =
      reserve("reserved_stack_bytes", "the application's stack, on top of what the network's calls need");
  if (t.reserved_flash_bytes >= t.flash_bytes)
    r.problem("reserved_flash_bytes", "the reserve leaves no flash");
  if (t.reserved_ram_bytes + t.reserved_stack_bytes >= t.ram_bytes)
    r.problem("reserved_ram_bytes", "the reserves leave no RAM");
}

// The features in the file, and those that the core always has.
void read_features(ObjectReader& r, Target& t) {
  const auto given =
      r.optional_choices("features", feature_names(), "ISA features beyond those that its core always has");
  if (r.describes()) return;
  const Core& core = *find_core(t.core);
  std::set<std::string> all(core.always.begin(), core.always.end());
  for (const std::string& feature : given) {
    const bool known = std::find(core.optional.begin(), core.optional.end(), feature) != core.optional.end();
    if (!known && !all.contains(feature)) {
      r.problem("features", fmt::format("found '{}'; {} has {}, and a chip may have: {}", feature, core.name,
                                        core.always.empty() ? "no feature of its own" : join(core.always),
                                        core.optional.empty() ? "no other" : join(core.optional)));
    }
    all.insert(feature);
  }
  for (const auto& [feature, needed] :
       {std::pair{"fpu_double", "fpu"}, std::pair{"mve_float", "mve"}, std::pair{"mve_float", "fpu"}}) {
    if (all.contains(feature) && !all.contains(needed))
      r.problem("features", fmt::format("found '{}' without '{}', which it needs", feature, needed));
  }
  t.features.assign(all.begin(), all.end());
  t.fpu = all.contains("fpu");
}

std::optional<Power> read_power(ObjectReader& r, std::string_view key, std::string_view meaning) {
  constexpr double kMostMilliwatts = 1e5, kMostMicroamps = 1e8, kMostVolts = 60;
  std::optional<Power> power;
  r.nullable_object(key, meaning, [&](ObjectReader& p) {
    power.emplace();
    const auto milliwatts = p.optional_number("milliwatts", {1e-6, kMostMilliwatts}, "power");
    power->microamps = p.optional_number("microamps", {1e-3, kMostMicroamps}, "current, with volts");
    power->volts = p.optional_number("volts", {0.1, kMostVolts}, "voltage at which the current was given");
    power->source = p.string("source", "vendor document with this figure");
    const bool current = p.has("microamps") && p.has("volts");
    if (p.has("milliwatts") == current || p.has("microamps") != p.has("volts"))
      p.problem(p.has("milliwatts") ? "milliwatts" : "microamps",
                "accepted: milliwatts, or microamps and volts in its place");
    constexpr double kMicroampsPerMilliamp = 1000;
    power->milliwatts = power->microamps && power->volts
                            ? *power->microamps * *power->volts / kMicroampsPerMilliamp
                            : milliwatts.value_or(0);
  });
  return r.describes() ? std::nullopt : power;
}

json power_json(const std::optional<Power>& power) {
  if (!power) return nullptr;
  if (!power->microamps || !power->volts)
    return {{"milliwatts", power->milliwatts}, {"source", power->source}};
  return {{"microamps", *power->microamps}, {"volts", *power->volts}, {"source", power->source}};
}

json regions_json(const std::vector<MemoryRegion>& regions) {
  json list = json::array();
  for (const MemoryRegion& region : regions) {
    json j = {{"name", region.name},
              {"kind", to_string(region.kind)},
              {"bytes", region.bytes},
              {"usable", region.usable}};
    if (region.base_address) j["base_address"] = *region.base_address;
    list.push_back(std::move(j));
  }
  return list;
}

}  // namespace

std::string_view to_string(Kind kind) { return kind == Kind::flash ? "flash" : "ram"; }

std::int64_t most_contiguous(const std::vector<MemoryRegion>& regions, Kind kind) {
  std::vector<const MemoryRegion*> usable;
  for (const MemoryRegion& region : regions) {
    if (region.kind == kind && region.usable) usable.push_back(&region);
  }
  std::sort(usable.begin(), usable.end(), [](const MemoryRegion* a, const MemoryRegion* b) {
    return a->base_address.value_or(-1) < b->base_address.value_or(-1);
  });
  std::int64_t most = 0, run = 0, end = -1;
  for (const MemoryRegion* region : usable) {
    run = region->base_address && *region->base_address == end ? run + region->bytes : region->bytes;
    end = region->base_address ? *region->base_address + region->bytes : -1;
    most = std::max(most, run);
  }
  return most;
}

Target read_target(ObjectReader& r) {
  Target t;
  t.name = r.string("name", "short lower-case name, the file's stem");
  t.board = r.string("board", "what it is sold as");
  t.core = r.choice("core", core_names(), "core, as GCC's -mcpu spells it, or rv32, rv64, avr, xtensa-lx6");
  read_features(r, t);
  t.clock_hz = r.integer("clock_hz", {1, kMostClock}, "core clock in Hz");
  read_memories(r, t);
  t.active_power = read_power(r, "active_power", "of the chip computing at clock_hz; null: not known");
  t.sleep_power = read_power(r, "sleep_power", "of the chip waiting for a timer, RAM kept; null: not known");
  t.source = r.string("source", "vendor document with these figures");
  return t;
}

json to_json(const Target& t) {
  std::vector<std::string> features = t.features;
  if (t.fpu && std::find(features.begin(), features.end(), "fpu") == features.end())
    features.emplace_back("fpu");
  json j = {{"name", t.name},
            {"board", t.board},
            {"core", t.core},
            {"features", std::move(features)},
            {"clock_hz", t.clock_hz},
            {"flash_bytes", t.flash_bytes},
            {"ram_bytes", t.ram_bytes},
            {"reserved_flash_bytes", t.reserved_flash_bytes},
            {"reserved_ram_bytes", t.reserved_ram_bytes},
            {"reserved_stack_bytes", t.reserved_stack_bytes},
            {"active_power", power_json(t.active_power)},
            {"sleep_power", power_json(t.sleep_power)},
            {"source", t.source}};
  if (!t.regions.empty()) j["regions"] = regions_json(t.regions);
  return j;
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
  constexpr NumberRange kPositive{1e-3, 1e15};
  limits.latency_us = reader.optional_number("latency_us", kPositive, "of an inference, by the latency law");
  limits.energy_uj = reader.optional_number("energy_uj", kPositive, "of an inference, by the latency law");
  return limits;
}

json to_json(const Limits& limits) {
  json j = json::object();
  const auto put = [&](const char* key, const auto& value) {
    if (value) j[key] = *value;
  };
  put("flash_bytes", limits.flash_bytes);
  put("ram_bytes", limits.ram_bytes);
  put("macs", limits.macs);
  put("params", limits.params);
  put("latency_us", limits.latency_us);
  put("energy_uj", limits.energy_uj);
  return j;
}

Budget derive(const Target& target, const Limits& limits) {
  return {.flash_bytes = within(limits.flash_bytes, target.flash_bytes - target.reserved_flash_bytes,
                                "flash_bytes", target),
          .ram_bytes = within(limits.ram_bytes,
                              target.ram_bytes - target.reserved_ram_bytes - target.reserved_stack_bytes,
                              "ram_bytes", target),
          .macs = limits.macs,
          .params = limits.params,
          .latency_us = limits.latency_us,
          .energy_uj = limits.energy_uj};
}

json to_json(const Budget& budget) {
  return to_json(Limits{.flash_bytes = budget.flash_bytes,
                        .ram_bytes = budget.ram_bytes,
                        .macs = budget.macs,
                        .params = budget.params,
                        .latency_us = budget.latency_us,
                        .energy_uj = budget.energy_uj});
}

}  // namespace mcufit
