// SPDX-License-Identifier: Apache-2.0
#include "exporters/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/version.h"
#include "cost-models/layout.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFormat = 1;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 31;

json to_json(const FlashLedger& f) {
  return {{"weights_bytes", f.weights_bytes}, {"bias_bytes", f.bias_bytes}, {"table_bytes", f.table_bytes},
          {"step_bytes", f.step_bytes},       {"code_bytes", f.code_bytes}, {"flash_bytes", f.total()}};
}

json to_json(const RamLedger& r) {
  return {{"arena_bytes", r.arena_bytes},
          {"data_bss_bytes", r.data_bss_bytes},
          {"stack_bytes", r.stack_bytes},
          {"ram_bytes", r.total()}};
}

json tensor(const Shape& shape, const Quantization& q) {
  return {{"shape", {shape.height, shape.width, shape.channels}},
          {"bytes", shape.elements()},
          {"scale", q.scale},
          {"zero_point", q.zero_point}};
}

json steps(const QuantizedGraph& graph, const std::string& name) {
  json list = json::array();
  for (const NodeId id : called_nodes(graph.graph)) {
    const Node& node = graph.graph.node(id);
    list.push_back({{"node", id},
                    {"name", node.name},
                    {"kernel", kernel_of(node).value()},
                    {"symbol", fmt::format("{}_step{}", name, id)}});
  }
  return list;
}

[[noreturn]] void refuse(const fs::path& file, const std::string& message) {
  throw Error(ExitCode::input,
              fmt::format("{}: {}; write the package again with `mcufit export`", file.string(), message));
}

// Reads one part of the manifest strictly and reports faults with the whole file's name.
class Part {
 public:
  Part(const fs::path& file, const json& whole, const std::string& key) : file_(file) {
    if (!whole.is_object() || !whole.contains(key)) refuse(file, fmt::format("found no \"{}\"", key));
    document_ = JsonDocument::parse(whole.at(key).dump(), fmt::format("{}#/{}", file.string(), key));
  }

  template <typename T>
  T read(const std::function<T(ObjectReader&)>& reader) const {
    try {
      return read_config<T>(document_, reader);
    } catch (const ConfigError& e) {
      throw Error(ExitCode::input, e.what());
    }
  }

 private:
  fs::path file_;
  JsonDocument document_;
};

std::int64_t bytes(ObjectReader& r, std::string_view key) { return r.integer(key, {0, kMostBytes}, "bytes"); }

FlashLedger read_flash(ObjectReader& r) {
  const FlashLedger f{.weights_bytes = bytes(r, "weights_bytes"),
                      .bias_bytes = bytes(r, "bias_bytes"),
                      .table_bytes = bytes(r, "table_bytes"),
                      .step_bytes = bytes(r, "step_bytes"),
                      .code_bytes = bytes(r, "code_bytes")};
  if (bytes(r, "flash_bytes") != f.total()) r.problem("flash_bytes", "is not the sum of the others");
  return f;
}

RamLedger read_ram(ObjectReader& r) {
  const RamLedger ram{.arena_bytes = bytes(r, "arena_bytes"),
                      .data_bss_bytes = bytes(r, "data_bss_bytes"),
                      .stack_bytes = bytes(r, "stack_bytes")};
  if (bytes(r, "ram_bytes") != ram.total()) r.problem("ram_bytes", "is not the sum of the others");
  return ram;
}

std::int64_t read_tensor_bytes(ObjectReader& r) {
  const auto shape = r.integers("shape", {1, 32767}, 3, 3, "height, width, channels");
  r.number("scale", {}, "real = scale * (stored - zero_point)");
  r.integer("zero_point", {-128, 127}, "stored value of 0");
  const std::int64_t elements = shape.size() == 3 ? shape[0] * shape[1] * shape[2] : 0;
  if (bytes(r, "bytes") != elements) r.problem("bytes", "is not the product of the shape");
  return elements;
}

void check_file(const fs::path& folder, const std::string& name, ObjectReader& entry) {
  const std::int64_t size = bytes(entry, "bytes");
  const std::string hash = entry.string("sha256", "lower-case hexadecimal SHA-256");
  const fs::path path = folder / name;
  if (name != path.filename()) refuse(folder / "manifest.json", fmt::format("found file name '{}'", name));
  if (!fs::is_regular_file(path)) refuse(path, "is named by manifest.json but is missing");
  const std::string content = read_file(path);
  if (static_cast<std::int64_t>(content.size()) == size && sha256(content) == hash) return;
  refuse(path, fmt::format("found {} bytes with SHA-256 {}; manifest.json says {} and {}", content.size(),
                           sha256(content), size, hash));
}

JsonDocument parse_manifest(const fs::path& file) {
  try {
    return JsonDocument::read(file);
  } catch (const ConfigError& e) {
    throw Error(ExitCode::input, fmt::format("{}: is no package manifest: {}", file.string(), e.what()));
  }
}

}  // namespace

std::string emit_manifest(const PackageFiles& files, const QuantizedGraph& graph, const Cost& cost,
                          const PackageRequest& request) {
  const Graph& g = graph.graph;
  json list = json::object();
  for (const auto& [name, content] : files)
    list[name] = {{"bytes", content.size()}, {"sha256", sha256(content)}};
  const std::string& name = request.name;
  const json manifest = {
      {"format", kFormat},
      {"name", name},
      {"network", g.name},
      {"tool", {{"name", "mcufit"}, {"version", version()}, {"commit", commit()}}},
      {"target", to_json(request.target)},
      {"input", tensor(g.input_shape(), graph.nodes.front().output)},
      {"output", tensor(g.output_shape(), graph.nodes.back().output)},
      {"symbols", {{"input", name + "_input"}, {"output", name + "_output"}, {"invoke", name + "_invoke"}}},
      {"macs", cost.macs},
      {"flash", to_json(cost.flash)},
      {"ram", to_json(cost.ram)},
      {"code_estimated", cost.code_estimated},
      {"plan", to_json(cost.plan)},
      {"steps", steps(graph, name)},
      {"files", std::move(list)},
      {"provenance", request.provenance == nullptr ? json() : *request.provenance}};
  return manifest.dump(2) + "\n";
}

Manifest read_manifest(const fs::path& folder) {
  const fs::path file = folder / "manifest.json";
  if (!fs::is_regular_file(file)) refuse(file, "is missing: this folder is no package");
  const JsonDocument document = parse_manifest(file);
  const json& whole = document.value();
  if (!whole.is_object() || whole.value("format", json()) != kFormat ||
      !whole.value("name", json()).is_string()) {
    refuse(file, fmt::format("is no package manifest of format {}", kFormat));
  }
  Manifest manifest;
  manifest.name = whole.at("name").get<std::string>();
  check_package_name(manifest.name);
  manifest.target = Part(file, whole, "target").read<Target>(read_target);
  manifest.input_bytes = Part(file, whole, "input").read<std::int64_t>(read_tensor_bytes);
  manifest.output_bytes = Part(file, whole, "output").read<std::int64_t>(read_tensor_bytes);
  manifest.flash = Part(file, whole, "flash").read<FlashLedger>(read_flash);
  manifest.ram = Part(file, whole, "ram").read<RamLedger>(read_ram);
  const json wrapped = {{"files", {{"files", whole.value("files", json())}}}};
  manifest.sources = Part(file, wrapped, "files").read<std::vector<std::string>>([&](ObjectReader& reader) {
    std::vector<std::string> sources;
    reader.dictionary("files", "the package's files", [&](const std::string& name, ObjectReader& entry) {
      check_file(folder, name, entry);
      if (name.ends_with(".c")) sources.push_back(name);
    });
    std::sort(sources.begin(), sources.end());
    return sources;
  });
  return manifest;
}

}  // namespace mcufit
