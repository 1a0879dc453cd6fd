// SPDX-License-Identifier: Apache-2.0
#include "search/cli/quantities.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string_view>

#include "blocks/foundation/error.h"
#include "blocks/foundation/json_reader.h"

namespace mcufit {
namespace {

constexpr std::int32_t kMostExtent = 32767;
constexpr std::size_t kMostResolutions = 1024;

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array kByteUnits{
    Unit{"", 1},         Unit{"B", 1},         Unit{"KB", 1024}, Unit{"kB", 1024}, Unit{"KiB", 1024},
    Unit{"MB", 1048576}, Unit{"MiB", 1048576}, Unit{"K", 1024},  Unit{"k", 1024},  Unit{"M", 1048576}};
constexpr std::array kCountUnits{Unit{"", 1}, Unit{"k", 1e3}, Unit{"K", 1e3}, Unit{"M", 1e6}, Unit{"G", 1e9}};

// A key of the limits, short and with its unit.
struct Quantity {
  std::string_view name, key;
  std::span<const Unit> units;
  bool counted = true;  // whole numbers
};
constexpr std::array kTimeUnits{Unit{"", 1}, Unit{"us", 1}, Unit{"ms", 1e3}, Unit{"s", 1e6}};
constexpr std::array kEnergyUnits{Unit{"", 1}, Unit{"uJ", 1}, Unit{"mJ", 1e3}, Unit{"J", 1e6}};

constexpr std::array kQuantities{Quantity{"flash", "flash_bytes", kByteUnits},
                                 Quantity{"ram", "ram_bytes", kByteUnits},
                                 Quantity{"macs", "macs", kCountUnits},
                                 Quantity{"params", "params", kCountUnits},
                                 Quantity{"latency", "latency_us", kTimeUnits, false},
                                 Quantity{"energy", "energy_uj", kEnergyUnits, false}};

[[noreturn]] void refuse(std::string_view entry) {
  throw Error(ExitCode::usage,
              fmt::format("--limits: found '{}'; accepted: key=number[,key=number...], such as "
                          "flash=1MB,ram=392KB,macs=63M; keys: flash, ram, macs, params, latency, energy",
                          entry));
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

// A number and its unit; nothing where it is neither.
std::optional<double> value_of(std::string_view text, std::span<const Unit> units) {
  double number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  const std::string_view unit(stop, static_cast<std::size_t>(text.data() + text.size() - stop));
  for (const Unit& u : units) {
    if (u.name == unit) return number * u.factor;
  }
  return std::nullopt;
}

void add_limit(nlohmann::json& object, const std::string& entry) {
  constexpr double kMost = 1e18;  // below 2^63; read_limits() has the real bounds
  const std::size_t equals = entry.find('=');
  if (equals == std::string::npos) refuse(entry);
  const std::string key = entry.substr(0, equals);
  const auto quantity = std::find_if(kQuantities.begin(), kQuantities.end(),
                                     [&](const Quantity& q) { return q.name == key || q.key == key; });
  // An unknown key is left to read_limits(), which knows all of them.
  const bool known = quantity != kQuantities.end();
  const auto value =
      value_of(std::string_view(entry).substr(equals + 1), known ? quantity->units : kCountUnits);
  if (!value || std::abs(*value) > kMost) refuse(entry);
  const std::string name = known ? std::string(quantity->key) : key;
  if (object.contains(name))
    throw Error(ExitCode::usage, fmt::format("--limits: found {} twice; accepted: once", name));
  if (!known || quantity->counted) {
    object[name] = static_cast<std::int64_t>(std::floor(*value));
  } else {
    object[name] = *value;
  }
}

// Extents separated by 'x'; empty where the text is anything else.
std::vector<std::int32_t> extents(const std::string& text) {
  std::vector<std::int32_t> found;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;;) {
    std::int32_t extent = 0;
    const auto [stop, error] = std::from_chars(at, end, extent);
    if (error != std::errc() || extent < 1 || extent > kMostExtent) return {};
    found.push_back(extent);
    if (stop == end) return found;
    if (*stop != 'x') return {};
    at = stop + 1;
  }
}

}  // namespace

Limits parse_limits(const std::string& text) {
  nlohmann::json object = nlohmann::json::object();
  if (!text.empty()) {
    for (const std::string& entry : split(text)) add_limit(object, entry);
  }
  return read_config<Limits>(JsonDocument::parse(object.dump(), "--limits"), read_limits);
}

Shape parse_shape(const std::string& text) {
  const auto e = extents(text);
  if (e.size() == 3) return {e[0], e[1], e[2]};
  throw Error(ExitCode::usage,
              fmt::format("--input: found '{}'; accepted: HEIGHTxWIDTHxCHANNELS, such as 96x96x3", text));
}

std::vector<Shape> parse_resolutions(const std::string& text, const Shape& input) {
  std::vector<Shape> shapes;
  for (const std::string& part : split(text)) {
    const auto e = extents(part);
    if (e.empty() || e.size() > 2 || shapes.size() == kMostResolutions)
      throw Error(
          ExitCode::usage,
          fmt::format("--resolutions: found '{}'; accepted: up to {} of SIDE or HEIGHTxWIDTH separated "
                      "by commas, such as 96,128,160",
                      part, kMostResolutions));
    shapes.push_back({e.front(), e.back(), input.channels});
  }
  return shapes;
}

}  // namespace mcufit
