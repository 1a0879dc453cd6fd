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
#include "exporters/c_scratch.h"
#include "exporters/c_steps.h"
#include "exporters/tile_columns.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFormat = 1;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 31;

json to_json(const FlashLedger& f) {
  return {{"weights_bytes", f.weights_bytes}, {"wider_filter_bytes", f.wider_filter_bytes},
          {"bias_bytes", f.bias_bytes},       {"table_bytes", f.table_bytes},
          {"step_bytes", f.step_bytes},       {"code_bytes", f.code_bytes},
          {"flash_bytes", f.total()}};
}

json to_json(const RamLedger& r) {
  return {{"arena_bytes", r.arena_bytes},
          {"data_bss_bytes", r.data_bss_bytes},
          {"stack_bytes", r.stack_bytes},
          {"ram_bytes", r.total()}};
}

json scratch(const Graph& lowered, const MemoryPlan& plan) {
  json behind = json::object();
  for (const Isa isa : variant_isas()) {
    if (isa != plan.isa) behind[std::string(to_string(isa))] = scratch_bytes_behind(lowered, plan, isa);
  }
  return {{"kernels", to_string(plan.isa)}, {"bytes_behind", std::move(behind)}};
}

json tensor(const QuantizedGraph& graph, const MemoryPlan& plan, NodeId id) {
  const Shape& shape = graph.graph.node(id).shape;
  const Quantization& q = graph.node(id).output;
  return {{"shape", {shape.height, shape.width, shape.channels}},
          {"bytes", shape.elements()},
          {"offset", plan.placement(id).offset},
          {"scale", q.scale},
          {"zero_point", q.zero_point}};
}

json steps(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name) {
  json list = json::array();
  for (const KernelCall& call : kernel_calls(graph.graph, plan)) {
    const NodeId id = call.node;
    const Node& node = graph.graph.node(id);
    const TileColumns::Part made = made_part(graph.graph, plan, call);
    const auto plan_step = static_cast<std::size_t>(plan.placement(id).first_step);
    list.push_back({{"node", id},
                    {"plan_step", plan_step},
                    {"by_rows", plan.steps[plan_step].by_rows},
                    {"name", node.name},
                    {"op", op_name(node.op)},
                    {"kernel", kernel_of(graph.graph, plan, id).value()},
                    {"symbol", step_name(call, name)},
                    {"shape", {node.shape.height, node.shape.width, node.shape.channels}},
                    {"macs", call.macs},
                    {"tile", call.tile},
                    {"columns", {made.columns.begin, made.columns.end}},
                    {"offset", plan.placement(id).offset + made.start},
                    {"row_stride", made.row_bytes},
                    {"bytes", node.shape.elements()},
                    {"filter_bytes", node_layout(graph.graph, plan, id).filter_bytes},
                    {"ring_rows", plan.placement(id).ring_rows}});
  }
  return list;
}

json self_test(const QuantizedGraph& graph, const MemoryPlan& plan, const std::vector<TestVector>& vectors) {
  json list = json::array();
  for (const TestVector& vector : vectors) {
    const NodeChecksums sums = node_checksums(graph, plan, vector.input);
    list.push_back({{"input_crc32", sums.input}, {"step_crc32", sums.steps}});
  }
  return list;
}

json symbols(const MemoryPlan& plan, const std::string& name) {
  json list = {{"output", name + "_output"}};
  if (streams_input(plan)) {
    for (const char* function : {"start", "next_input_row", "next_input_piece", "feed_row", "invoke_from"})
      list[function] = fmt::format("{}_{}", name, function);
  } else {
    for (const char* function : {"input", "invoke"}) list[function] = fmt::format("{}_{}", name, function);
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
                      .wider_filter_bytes = bytes(r, "wider_filter_bytes"),
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

ManifestScratch read_scratch(ObjectReader& r) {
  std::vector<std::string> names;
  for (const Isa isa : isas()) names.emplace_back(to_string(isa));
  ManifestScratch scratch;
  scratch.kernels = find_isa(r.choice("kernels", names, "whose is in the plan")).value_or(Isa::portable);
  r.object("bytes_behind", "by which the arena is longer for others", [&](ObjectReader& behind) {
    for (const Isa isa : variant_isas()) {
      if (isa != scratch.kernels) scratch.bytes_behind[isa] = bytes(behind, to_string(isa));
    }
  });
  return scratch;
}

// With its size, which must be that of the shape.
Shape read_shape(ObjectReader& r) {
  const auto sides = r.integers("shape", {1, 32767}, 3, 3, "height, width, channels");
  Shape shape;
  if (sides.size() == 3)
    shape = {static_cast<std::int32_t>(sides[0]), static_cast<std::int32_t>(sides[1]),
             static_cast<std::int32_t>(sides[2])};
  if (bytes(r, "bytes") != shape.elements()) r.problem("bytes", "is not the product of the shape");
  return shape;
}

ColumnRange read_columns(ObjectReader& r, std::int32_t width) {
  const auto ends = r.integers("columns", {0, width}, 2, 2, "[begin, end) of the output");
  if (ends.size() != 2) return {0, width};
  if (ends[0] >= ends[1]) r.problem("columns", "has none");
  return {static_cast<std::int32_t>(ends[0]), static_cast<std::int32_t>(ends[1])};
}

struct TensorPlace {
  std::int64_t bytes = 0;
  std::int64_t offset = 0;
};

TensorPlace read_tensor(ObjectReader& r) {
  r.number("scale", {}, "real = scale * (stored - zero_point)");
  r.integer("zero_point", {-128, 127}, "stored value of 0");
  return {.bytes = read_shape(r).elements(), .offset = bytes(r, "offset")};
}

ManifestStep read_step(ObjectReader& r) {
  ManifestStep step;
  step.node = static_cast<NodeId>(r.integer("node", {0, 1 << 20}, "number in the network"));
  step.plan_step = static_cast<std::int32_t>(r.integer("plan_step", {0, 1 << 20}, "number in the plan"));
  step.by_rows = r.boolean("by_rows", "runs row by row with the others of its step");
  step.name = r.string("name", "the node's name");
  step.op = r.string("op", "what it computes");
  step.kernel = r.string("kernel", "the runtime's kernel");
  r.string("symbol", "its constants");
  step.macs = r.integer("macs", {0, std::int64_t{1} << 50}, "multiply-accumulates");
  step.tile = static_cast<std::int32_t>(r.integer("tile", {0, 32767}, "of a group in tiles"));
  step.offset = bytes(r, "offset");
  step.row_stride = bytes(r, "row_stride");
  step.filter_bytes = bytes(r, "filter_bytes");
  step.ring_rows = static_cast<std::int32_t>(r.integer("ring_rows", {0, 32767}, "0: the tensor is whole"));
  step.shape = read_shape(r);
  step.columns = read_columns(r, step.shape.width);
  step.bytes = step.shape.elements();
  return step;
}

std::vector<ManifestStep> read_steps(ObjectReader& r) {
  return r.objects<ManifestStep>("steps", 1, 1 << 20, "kernel calls in order", read_step);
}

NodeChecksums read_checksums(ObjectReader& r) {
  constexpr IntegerRange kWord{0, 0xFFFFFFFF};
  NodeChecksums sums;
  sums.input = static_cast<std::uint32_t>(r.integer("input_crc32", kWord, "of the vector's input"));
  for (const std::int64_t sum : r.integers("step_crc32", kWord, 1, 1 << 20, "of each call's output"))
    sums.steps.push_back(static_cast<std::uint32_t>(sum));
  return sums;
}

std::vector<NodeChecksums> read_self_test(ObjectReader& r, std::size_t steps) {
  auto list =
      r.objects<NodeChecksums>("self_test", 0, 1 << 20, "checksums of golden vectors", read_checksums);
  for (const NodeChecksums& sums : list) {
    if (sums.steps.size() != steps) r.problem("self_test", "has another number of steps");
  }
  return list;
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
  const json manifest = {{"format", kFormat},
                         {"name", name},
                         {"network", g.name},
                         {"tool", {{"name", "mcufit"}, {"version", version()}, {"commit", commit()}}},
                         {"target", to_json(request.target)},
                         {"input", tensor(graph, cost.plan, 0)},
                         {"input_streamed", streams_input(cost.plan)},
                         {"output", tensor(graph, cost.plan, g.size() - 1)},
                         {"symbols", symbols(cost.plan, name)},
                         {"macs", cost.macs},
                         {"extra_macs", cost.extra_macs},
                         {"mac_factor", cost.mac_factor()},
                         {"wide_filters", cost.wide_filters()},
                         {"flash", to_json(cost.flash)},
                         {"ram", to_json(cost.ram)},
                         {"scratch", scratch(g, cost.plan)},
                         {"code_estimated", cost.code_estimated},
                         {"plan", to_json(cost.plan)},
                         {"steps", steps(graph, cost.plan, name)},
                         {"self_test", self_test(graph, cost.plan, request.self_test)},
                         {"files", std::move(list)},
                         {"provenance", request.provenance == nullptr ? json() : *request.provenance}};
  return manifest.dump(2) + "\n";
}

std::int64_t arena_bytes(const Manifest& manifest, Isa isa) {
  const auto behind = manifest.scratch.bytes_behind.find(isa);
  return manifest.ram.arena_bytes + (behind == manifest.scratch.bytes_behind.end() ? 0 : behind->second);
}

bool streams_input(const Manifest& manifest) { return manifest.steps.front().kernel == kInputRow; }

bool sums_rows(const ManifestStep& step) { return step.kernel.ends_with("_rows_s8"); }

std::vector<ManifestGroup> executed_groups(const Manifest& manifest) {
  std::vector<ManifestGroup> groups;
  for (std::size_t i = 0; i < manifest.steps.size(); ++i) {
    const bool starts = i == 0 || manifest.steps[i].plan_step != manifest.steps[i - 1].plan_step ||
                        manifest.steps[i].tile != manifest.steps[i - 1].tile;
    if (starts) groups.push_back({i, i});
    groups.back().end = i + 1;
  }
  return groups;
}

std::set<std::string, std::less<>> kernels_of(const Manifest& manifest) {
  std::set<std::string, std::less<>> kernels;
  for (const ManifestStep& step : manifest.steps) {
    kernels.insert(step.kernel);
    if (step.by_rows) kernels.emplace(kRowOrder);
  }
  return kernels;
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
  manifest.input_bytes = Part(file, whole, "input").read<TensorPlace>(read_tensor).bytes;
  const TensorPlace output = Part(file, whole, "output").read<TensorPlace>(read_tensor);
  manifest.output_bytes = output.bytes;
  manifest.output_offset = output.offset;
  const json calls = {{"steps", {{"steps", whole.value("steps", json())}}}};
  manifest.steps = Part(file, calls, "steps").read<std::vector<ManifestStep>>(read_steps);
  manifest.flash = Part(file, whole, "flash").read<FlashLedger>(read_flash);
  manifest.ram = Part(file, whole, "ram").read<RamLedger>(read_ram);
  manifest.scratch = Part(file, whole, "scratch").read<ManifestScratch>(read_scratch);
  const json vectors = {{"self_test", {{"self_test", whole.value("self_test", json())}}}};
  manifest.self_test =
      Part(file, vectors, "self_test").read<std::vector<NodeChecksums>>([&](ObjectReader& reader) {
        return read_self_test(reader, manifest.steps.size());
      });
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
