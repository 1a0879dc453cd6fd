// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <utility>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "exporters/device/device.h"

namespace mcufit {
namespace {

constexpr std::string_view kStart = "Linker script and memory map";

// One input section as the linker placed it.
struct Placed {
  std::string section;  // ".rodata.model_n3_filter", or "*fill*"
  std::int64_t bytes = 0;
  std::string object;  // "model_weights.o", without folders; empty for a fill
};

std::optional<std::int64_t> hexadecimal(const std::string& word) {
  if (!word.starts_with("0x")) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data() + 2, word.data() + word.size(), value, 16);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

// "0x1234 0x56 folder/object.o" behind a section's name, or on the line below it when the name is long.
std::optional<Placed> placed(const std::string& section, std::istringstream& rest) {
  std::string address, size, object;
  rest >> address >> size;
  const auto bytes = hexadecimal(size);
  if (!hexadecimal(address) || !bytes) return std::nullopt;
  std::getline(rest >> std::ws, object);
  if (object.empty() != (section == "*fill*")) return std::nullopt;
  return Placed{section, *bytes, object.substr(object.rfind('/') + 1)};
}

// Reads the map line by line and keeps what a package's object holds.
class MapReader {
 public:
  MapReader(const Manifest& manifest, const std::set<std::string, std::less<>>& library)
      : manifest_(manifest), library_(library) {}

  void read_line(const std::string& line) {
    if (line.empty()) return;
    if (line.front() != ' ') fill_ = 0;  // an output section starts
    std::istringstream words(line);
    if (line.starts_with("                ")) {
      if (!pending_.empty()) take(placed(pending_, words));
      pending_.clear();
      return;
    }
    pending_.clear();
    if (line.front() != ' ') return;
    std::string section;
    words >> section;
    const bool named = section.starts_with('.') || section == "COMMON" || section == "*fill*";
    if (!named) return;
    words >> std::ws;
    if (words.eof()) {
      pending_ = section;
    } else {
      take(placed(section, words));
    }
  }

  const LinkedSizes& sizes() const { return sizes_; }

 private:
  // "model.o", or "libgcc.a(_divsi3.o)".
  bool is_ours(const std::string& object) const {
    if (object.starts_with("libgcc.a(") && object.ends_with(")"))
      return library_.contains(object.substr(9, object.size() - 10));
    if (!object.ends_with(".o")) return false;
    const std::string source = object.substr(0, object.size() - 1) + "c";
    return std::binary_search(manifest_.sources.begin(), manifest_.sources.end(), source);
  }

  void take(const std::optional<Placed>& found) {
    if (!found) return;
    if (found->section == "*fill*") {
      fill_ += found->bytes;
      return;
    }
    // Fill is there for the alignment of the section behind it.
    const std::int64_t fill = std::exchange(fill_, 0);
    if (!is_ours(found->object)) return;
    std::int64_t* owner = owner_of(found->section);
    if (owner == nullptr) return;
    const std::int64_t wider = owner == &sizes_.flash.weights_bytes ? wider_bytes(*found) : 0;
    *owner += found->bytes - wider;
    sizes_.flash.wider_filter_bytes += wider;
    sizes_.alignment_bytes += fill;
    if (found->bytes > 0)
      sizes_.sections[fmt::format("{}({})", found->object, found->section)] += found->bytes;
  }

  std::int64_t* owner_of(const std::string& section) {
    if (section == ".bss." + manifest_.name + "_arena") return &sizes_.arena_bytes;
    for (const char* data : {".data", ".bss", "COMMON"}) {
      if (section.starts_with(data)) return &sizes_.data_bss_bytes;
    }
    if (section.starts_with(".text")) return &sizes_.flash.code_bytes;
    for (const std::string_view constants : {".rodata.", ".progmem.data."}) {
      if (section.starts_with(constants)) return constant_owner(section.substr(constants.size()));
    }
    if (section.starts_with(".rodata")) return &sizes_.flash.code_bytes;
    return nullptr;  // debugging and attributes, not loaded
  }

  // What a filter, "model_n12_filter", has beyond the bytes of the packed one.
  std::int64_t wider_bytes(const Placed& filter) const {
    const std::string prefix = manifest_.name + "_n";
    const std::string& section = filter.section;
    NodeId node = -1;
    std::from_chars(section.data() + section.find(prefix) + prefix.size(), section.data() + section.size(),
                    node);
    const auto step = std::find_if(manifest_.steps.begin(), manifest_.steps.end(),
                                   [&](const ManifestStep& s) { return s.node == node; });
    return step == manifest_.steps.end() ? 0 : std::max<std::int64_t>(filter.bytes - step->filter_bytes, 0);
  }

  std::int64_t* constant_owner(const std::string& section) {
    const std::string prefix = manifest_.name + "_";
    if (section.starts_with(prefix + "n")) {
      if (section.ends_with("_filter")) return &sizes_.flash.weights_bytes;
      if (section.ends_with("_bias")) return &sizes_.flash.bias_bytes;
      for (const char* table : {"_multiplier", "_shift", "_table", "_rows", "_columns"}) {
        if (section.ends_with(table)) return &sizes_.flash.table_bytes;
      }
    }
    for (const char* table : {"row_calls", "row_needs"}) {
      if (section == prefix + table) return &sizes_.flash.step_bytes;
    }
    const std::string step = prefix + "step";
    const bool is_step = section.starts_with(step) && section.size() > step.size() &&
                         std::isdigit(static_cast<unsigned char>(section[step.size()])) != 0;
    return is_step ? &sizes_.flash.step_bytes : &sizes_.flash.code_bytes;
  }

  const Manifest& manifest_;
  const std::set<std::string, std::less<>>& library_;
  LinkedSizes sizes_;
  std::string pending_;    // a section's name that stood alone on its line
  std::int64_t fill_ = 0;  // since the last section
};

}  // namespace

LinkedSizes read_map(const std::filesystem::path& map_file, const Manifest& manifest,
                     const std::set<std::string, std::less<>>& library) {
  std::istringstream lines(read_file(map_file));
  MapReader reader(manifest, library);
  bool started = false;
  for (std::string line; std::getline(lines, line);) {
    if (started) reader.read_line(line);
    if (line.starts_with(kStart)) started = true;  // before it stand the sections that were left out
  }
  if (!started) {
    throw Error(ExitCode::input,
                fmt::format("{}: found no line \"{}\"; accepted: a map file of GNU ld (-Wl,-Map=FILE)",
                            map_file.string(), kStart));
  }
  if (reader.sizes().sections.empty()) {
    throw Error(ExitCode::input,
                fmt::format("{}: found no object of package {}; accepted: a map of a program that "
                            "links it; try to call {}_invoke() in it",
                            map_file.string(), manifest.name, manifest.name));
  }
  return reader.sizes();
}

}  // namespace mcufit
