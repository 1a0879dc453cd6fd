// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "exporters/device/emulation.h"
#include "exporters/interpreter.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string_view text_of(std::span<const std::int8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A group is its last call, with the name of the first beside its own and the arithmetic of all.
LayerRun layer_of(const Manifest& manifest, const ManifestGroup& group) {
  LayerRun layer{manifest.steps[group.end - 1], group.end - 1, 0, {}};
  for (std::size_t i = group.begin; i + 1 < group.end; ++i) layer.step.macs += manifest.steps[i].macs;
  if (group.end - group.begin > 1)
    layer.step.name = fmt::format("{} .. {}", manifest.steps[group.begin].name, layer.step.name);
  return layer;
}

// Each call's count less what a run of any list costs: what is left is the call's own part of the loop.
void take_counts(const Findings& findings, LayersReport& report) {
  const std::int64_t run = 2 * finding(findings, "idle_one") - finding(findings, "idle_two");
  std::size_t layer = 0;
  for (const auto& [key, value] : findings) {
    if (key == "call" && layer < report.layers.size()) report.layers[layer++].instructions = value - run;
  }
  report.instructions_per_inference = finding(findings, "whole");
}

void take_outputs(const fs::path& file, LayersReport& report) {
  const std::string bytes = read_file(file);
  auto at = bytes.begin();
  for (LayerRun& layer : report.layers) {
    if (bytes.end() - at < layer.step.bytes)
      throw Error(ExitCode::device_protocol, fmt::format("{}: ends early", file.string()));
    layer.output.assign(at, at + static_cast<std::ptrdiff_t>(layer.step.bytes));
    at += static_cast<std::ptrdiff_t>(layer.step.bytes);
  }
}

std::optional<LayerMismatch> compare(const LayersReport& report, const QuantizedGraph& network,
                                     std::span<const std::int8_t> input) {
  const auto expected = interpret(network, input);
  for (const LayerRun& layer : report.layers) {
    const auto& right = expected.at(static_cast<std::size_t>(layer.step.node));
    const auto [e, f] = std::mismatch(right.begin(), right.end(), layer.output.begin(), layer.output.end());
    if (e != right.end()) return LayerMismatch{0, layer.step, e - right.begin(), *e, *f};
  }
  return std::nullopt;
}

std::optional<LayerMismatch> compare(const LayersReport& report, const NodeChecksums& checksums) {
  for (const LayerRun& layer : report.layers) {
    if (crc32(layer.output) != checksums.steps[layer.last_call])
      return LayerMismatch{0, layer.step, std::nullopt, 0, 0};
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
  const fs::path folder = fs::absolute(request.work) / "layers";
  write_file(folder / "inputs.bin", text_of(input));
  for (const char* result : {"layers.bin", "layers.txt"}) fs::remove(folder / result);
  const Image image = build_image(request.package, manifest, device, device.limits_for(manifest.target),
                                  Firmware::layers, 1, folder);
  run_image(image, device, folder);
  LayersReport report{.device = device_text(device, image.compiler),
                      .core = device.name,
                      .counts = device.counts,
                      .layers = {}};
  for (const ManifestGroup& group : executed_groups(manifest))
    report.layers.push_back(layer_of(manifest, group));
  take_counts(read_findings(folder / "layers.txt"), report);
  take_outputs(folder / "layers.bin", report);
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
    auto found =
        request.network != nullptr ? compare(report, *request.network, input) : compare(report, *known);
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
  }
  return {{"device", report.device},       {"core", report.core},
          {"counts", report.counts},       {"layers", std::move(layers)},
          {"overhead", report.overhead()}, {"per_inference", report.instructions_per_inference}};
}

}  // namespace mcufit
