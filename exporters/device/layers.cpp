// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/text.h"
#include "cost-models/cycle_table.h"
#include "exporters/device/emulation.h"
#include "exporters/device/executions.h"
#include "exporters/device/listing.h"
#include "exporters/device/toolchain.h"
#include "exporters/interpreter.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string_view text_of(std::span<const std::int8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A group, or a tile of it, is its last call, with the name of the first beside its own, the columns where
// they are not all, and the arithmetic of all.
LayerRun layer_of(const Manifest& manifest, const ManifestGroup& group) {
  LayerRun layer{manifest.steps[group.end - 1], group.begin, 0, 0, {}};
  layer.outputs.resize(group.end - group.begin);
  for (std::size_t i = group.begin; i + 1 < group.end; ++i) layer.step.macs += manifest.steps[i].macs;
  if (group.end - group.begin > 1)
    layer.step.name = fmt::format("{} .. {}", manifest.steps[group.begin].name, layer.step.name);
  if (const ColumnRange& made = layer.step.columns; made.width() != layer.step.shape.width)
    layer.step.name += fmt::format(", columns {} to {}", made.begin, made.end - 1);
  return layer;
}

// Each call's count less what a run of any list costs: what is left is the call's own part of the loop. A fed
// group was not run as a list.
void take_counts(const Findings& findings, LayersReport& report, std::int64_t LayerRun::*count) {
  const std::int64_t run = 2 * finding(findings, "idle_one") - finding(findings, "idle_two");
  std::size_t layer = 0;
  for (const auto& [key, value] : findings) {
    if (layer == report.layers.size()) break;
    if (key == "call") report.layers[layer++].*count = value - run;
    if (key == "fed") report.layers[layer++].*count = value;
  }
}

// The report in modelled cycles: of the package's code, which alone lies in the flash.
Findings cycles_of(const CycleTable& table, const Device& device, const Listing& listing,
                   const ExecutionRecords& records, const Findings& findings) {
  Findings cycles = findings;
  for (std::size_t i = 0; i < cycles.size(); ++i) {
    std::map<std::int64_t, Executions> of_package = records[i];
    std::erase_if(of_package, [&](const auto& entry) {
      return entry.first < device.flash.origin || entry.first >= device.flash.origin + device.flash.bytes;
    });
    cycles[i].second = modelled_cycles(table, listing.instructions, of_package);
  }
  return cycles;
}

CycleTable cycle_table_for(const Device& device) {
  if (auto table = load_cycle_table(device.name)) return std::move(*table);
  std::vector<std::string> known;
  for (const Device& d : devices()) {
    if (load_cycle_table(d.name)) known.push_back(d.name);
  }
  throw Error(ExitCode::usage, fmt::format("modelled cycles: found {}, whose manual's table is not in "
                                           "configs/cycle-tables; accepted: {}",
                                           device.name, join(known)));
}

Findings run_and_count(const Image& image, const Device& device, const fs::path& folder, LayersReport& report,
                       const std::vector<std::string>& emulator_arguments = {}) {
  run_image(image, device, folder, emulator_arguments);
  Findings findings = read_findings(folder / "layers.txt");
  take_counts(findings, report, &LayerRun::instructions);
  report.instructions_per_inference = finding(findings, "whole");
  return findings;
}

void run_and_model(const Image& image, const Toolchain& tools, const CycleTable& table,
                   LayersReport& report) {
  const Listing listing = read_listing(tools.run_tool("objdump", {"-d", image.elf}));
  const Findings findings =
      run_and_count(image, tools.device(), tools.folder(), report, count_executions(listing, tools.folder()));
  const ExecutionRecords records = read_executions(tools.folder(), listing, findings);
  const Findings cycles = cycles_of(table, tools.device(), listing, records, findings);
  take_counts(cycles, report, &LayerRun::cycles);
  report.cycles_per_inference = finding(cycles, "whole");
  report.cycle_source = table.source;
}

// What the firmware recorded, read from the front.
class Recording {
 public:
  explicit Recording(fs::path file) : file_(std::move(file)), bytes_(read_file(file_)) {}

  // Appends the next bytes to `output`.
  void take(std::int64_t count, std::vector<std::int8_t>& output) {
    const auto from = bytes_.begin() + static_cast<std::ptrdiff_t>(require(count));
    output.insert(output.end(), from, from + static_cast<std::ptrdiff_t>(count));
  }

  // The place of the call whose row follows; nothing at the end of a group.
  std::optional<std::size_t> next_place(std::size_t calls) {
    const std::size_t from = require(2);
    const std::size_t place =
        static_cast<unsigned char>(bytes_[from]) + 256U * static_cast<unsigned char>(bytes_[from + 1]);
    if (place == kEnd) return std::nullopt;
    if (place >= calls) refuse(fmt::format("names call {} of a group of {}", place, calls));
    return place;
  }

 private:
  static constexpr std::size_t kEnd = 0xFFFF;

  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ExitCode::device_protocol, fmt::format("{}: {}", file_.string(), what));
  }

  std::size_t require(std::int64_t count) {
    if (std::ssize(bytes_) - static_cast<std::ptrdiff_t>(at_) < count) refuse("ends early");
    return std::exchange(at_, at_ + static_cast<std::size_t>(count));
  }

  fs::path file_;
  std::string bytes_;
  std::size_t at_ = 0;
};

void take_outputs(const fs::path& file, const Manifest& manifest, LayersReport& report) {
  Recording recording(file);
  for (LayerRun& layer : report.layers) {
    const auto step = [&](std::size_t place) { return manifest.steps[layer.first_call + place]; };
    if (!step(0).by_rows) {
      recording.take(step(0).bytes, layer.outputs[0]);
      continue;
    }
    while (const auto place = recording.next_place(layer.outputs.size()))
      recording.take(step(*place).row_bytes(), layer.outputs[*place]);
  }
}

// Where byte `at` of what a call made lies in its node's output.
std::int64_t index_in_output(const ManifestStep& step, std::int64_t at) {
  const std::int64_t pixel = step.shape.channels;
  return at / step.row_bytes() * step.shape.width * pixel + step.columns.begin * pixel +
         at % step.row_bytes();
}

// Calls are compared in node order, which has the inputs of each before it: the first that differs went wrong
// itself.
std::optional<LayerMismatch> compare(const LayersReport& report, const Manifest& manifest,
                                     const QuantizedGraph& network, std::span<const std::int8_t> input) {
  const auto expected = interpret(network, input);
  for (const LayerRun& layer : report.layers) {
    for (std::size_t i = 0; i < layer.outputs.size(); ++i) {
      const ManifestStep& step = manifest.steps[layer.first_call + i];
      const auto right =
          columns_of(expected.at(static_cast<std::size_t>(step.node)), step.shape, step.columns);
      const auto [f, e] =
          std::mismatch(layer.outputs[i].begin(), layer.outputs[i].end(), right.begin(), right.end());
      if (f != layer.outputs[i].end() && e != right.end())
        return LayerMismatch{0, step, index_in_output(step, e - right.begin()), *e, *f};
    }
  }
  return std::nullopt;
}

std::optional<LayerMismatch> compare(const LayersReport& report, const Manifest& manifest,
                                     const NodeChecksums& checksums) {
  for (const LayerRun& layer : report.layers) {
    for (std::size_t i = 0; i < layer.outputs.size(); ++i) {
      const std::size_t call = layer.first_call + i;
      if (crc32(layer.outputs[i]) != checksums.steps[call])
        return LayerMismatch{0, manifest.steps[call], std::nullopt, 0, 0};
    }
  }
  return std::nullopt;
}

std::optional<NodeChecksums> known_checksums(const Manifest& manifest, std::span<const std::int8_t> input) {
  const std::uint32_t sum = crc32(input);
  for (const NodeChecksums& known : manifest.self_test) {
    if (known.input == sum) return known;
  }
  return std::nullopt;
}

}  // namespace

std::int64_t LayersReport::overhead() const {
  std::int64_t rest = instructions_per_inference;
  for (const LayerRun& layer : layers) rest -= layer.instructions;
  return rest;
}

LayersReport run_layers(const RunRequest& request, std::span<const std::int8_t> input) {
  const Manifest manifest = read_manifest(request.package);
  if (std::ssize(input) != manifest.input_bytes) {
    throw Error(ExitCode::input, fmt::format("package {}: found an input of {} bytes; accepted: {}",
                                             manifest.name, input.size(), manifest.input_bytes));
  }
  const Device& device = find_device(request.device.empty() ? manifest.target.core : request.device);
  require_program(device.compiler);
  require_program(device.emulator);
  const auto table = request.model_cycles ? std::optional(cycle_table_for(device)) : std::nullopt;
  const fs::path folder = fs::absolute(request.work) / "layers";
  write_file(folder / "inputs.bin", text_of(input));
  for (const char* result : {"layers.bin", "layers.txt"}) fs::remove(folder / result);
  const Target limits = device.limits_for(manifest.target);
  const Image image = build_image(request.package, manifest, device, limits, Firmware::layers, 1, folder);
  LayersReport report{.device = device_text(device, image.compiler),
                      .core = device.name,
                      .counts = device.counts,
                      .layers = {},
                      .cycle_source = {}};
  for (const ManifestGroup& group : executed_groups(manifest))
    report.layers.push_back(layer_of(manifest, group));
  if (table) {
    run_and_model(image, Toolchain(device, limits, folder), *table, report);
  } else {
    run_and_count(image, device, folder, report);
  }
  take_outputs(folder / "layers.bin", manifest, report);
  return report;
}

std::optional<LayerMismatch> first_differing_layer(const RunRequest& request, const Manifest& manifest,
                                                   std::span<const TestVector> samples,
                                                   std::int64_t differing) {
  std::vector<std::int64_t> order{differing};
  for (std::int64_t i = 0; i < std::ssize(samples); ++i) order.push_back(i);
  for (const std::int64_t i : order) {
    const auto& input = samples[static_cast<std::size_t>(i)].input;
    const auto known = known_checksums(manifest, input);
    if (request.network == nullptr && !known) continue;
    const LayersReport report = run_layers(request, input);
    auto found = request.network != nullptr ? compare(report, manifest, *request.network, input)
                                            : compare(report, manifest, *known);
    if (found) found->sample = i;
    if (found || request.network != nullptr) return found;
  }
  return std::nullopt;
}

json to_json(const LayersReport& report) {
  json layers = json::array();
  for (const LayerRun& run : report.layers) {
    const Shape& shape = run.step.shape;
    layers.push_back({{"node", run.step.node},
                      {"name", run.step.name},
                      {"op", run.step.op},
                      {"shape", {shape.height, shape.width, shape.channels}},
                      {"macs", run.step.macs},
                      {report.counts.empty() ? "instructions" : report.counts, run.instructions}});
    if (!report.cycle_source.empty()) layers.back()["modelled_cycles"] = run.cycles;
  }
  json j = {{"device", report.device},       {"core", report.core},
            {"counts", report.counts},       {"layers", std::move(layers)},
            {"overhead", report.overhead()}, {"per_inference", report.instructions_per_inference}};
  if (!report.cycle_source.empty())
    j["modelled_cycles"] = {{"per_inference", report.cycles_per_inference}, {"source", report.cycle_source}};
  return j;
}

}  // namespace mcufit
