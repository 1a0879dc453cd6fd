// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "exporters/device/device.h"
#include "exporters/device/emulation.h"
#include "exporters/device/layers.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void check_samples(const Manifest& manifest, std::span<const TestVector> samples) {
  for (const TestVector& sample : samples) {
    if (std::ssize(sample.input) == manifest.input_bytes &&
        std::ssize(sample.output) == manifest.output_bytes)
      continue;
    throw Error(ExitCode::input,
                fmt::format("package {}: found a sample of {} inputs and {} outputs; accepted: {} and {}",
                            manifest.name, sample.input.size(), sample.output.size(), manifest.input_bytes,
                            manifest.output_bytes));
  }
  if (samples.empty())
    throw Error(ExitCode::input, fmt::format("package {}: no sample to validate with", manifest.name));
}

void write_inputs(std::span<const TestVector> samples, const fs::path& work) {
  std::string bytes;
  for (const TestVector& sample : samples) bytes.append(sample.input.begin(), sample.input.end());
  write_file(work / "inputs.bin", bytes);
  for (const char* result : {"outputs.bin", "report.txt"}) fs::remove(work / result);
}

// Fills in what the firmware found, and refuses what should not have happened.
void take_findings(const fs::path& file, DeviceReport& report) {
  const Findings findings = read_findings(file);
  const auto value = [&](const char* key) { return finding(findings, key); };
  const auto require = [&](bool holds, ExitCode code, const std::string& message) {
    if (!holds) throw Error(code, fmt::format("{}: {}", file.string(), message));
  };
  require(value("samples") == report.samples, ExitCode::device_protocol,
          "counts other samples than were sent");
  report.instructions_per_inference = value("instructions_most");
  report.instructions_least = value("instructions_least");
  report.instructions_most_per_row = value("instructions_most_per_row");
  report.stack_bytes = value("stack_bytes");
  report.arena_touched_bytes = value("arena_touched_bytes");
  require(value("arena_unstable_bytes") == 0, ExitCode::validation_mismatch,
          "the model read arena bytes that it had not written: a kernel or the memory plan is wrong");
  require(value("disagreements") == 0, ExitCode::validation_mismatch,
          "a sample that is fed row by row gives another output than the same sample whole");
  require(report.stack_bytes <= report.stack_bound_bytes || report.stack_bound_bytes == 0,
          ExitCode::validation_mismatch,
          fmt::format("{} bytes above the arena were written; the stack's bound is {}: a kernel wrote past "
                      "the arena, or the bound is "
                      "wrong",
                      report.stack_bytes, report.stack_bound_bytes));
}

void take_outputs(const fs::path& file, std::span<const TestVector> samples, DeviceReport& report) {
  const std::string bytes = read_file(file);
  const std::size_t each = samples.front().output.size();
  if (bytes.size() != each * samples.size()) {
    throw Error(ExitCode::device_protocol, fmt::format("{}: found {} bytes; expected {}", file.string(),
                                                       bytes.size(), each * samples.size()));
  }
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(i * each);
    const std::vector<std::int8_t> output(begin, begin + static_cast<std::ptrdiff_t>(each));
    const auto [expected, found] =
        std::mismatch(samples[i].output.begin(), samples[i].output.end(), output.begin());
    if (!report.first_mismatch && found != output.end()) {
      report.first_mismatch =
          Mismatch{static_cast<std::int64_t>(i), found - output.begin(), *expected, *found, std::nullopt};
    }
    report.outputs.push_back(output);
  }
}

}  // namespace

DeviceReport validate(const RunRequest& request, std::span<const TestVector> samples) {
  const Manifest manifest = read_manifest(request.package);
  check_samples(manifest, samples);
  const Device& device = find_device(request.device.empty() ? manifest.target.core : request.device);
  require_program(device.compiler);
  require_program(device.emulator);
  const fs::path folder = fs::absolute(request.work);
  write_inputs(samples, folder);
  const Image image = build_image(request.package, manifest, device, device.limits_for(manifest.target),
                                  Firmware::samples, std::ssize(samples), folder);
  run_image(image, device, folder);
  DeviceReport report{.device = device_text(device, image.compiler),
                      .core = device.name,
                      .counts = device.counts,
                      .compiler = image.compiler,
                      .samples = std::ssize(samples),
                      .first_mismatch = std::nullopt,
                      .outputs = {},
                      .stack_bound_bytes = image.stack_bound_bytes.value_or(0),
                      .linked = read_map(folder / image.map, manifest, image.library)};
  take_findings(folder / "report.txt", report);
  take_outputs(folder / "outputs.bin", samples, report);
  if (report.first_mismatch)
    report.first_mismatch->layer =
        first_differing_layer(request, manifest, samples, report.first_mismatch->sample);
  return report;
}

Prediction predict(const Manifest& manifest, const Device& device) {
  Prediction predicted{manifest.flash, manifest.ram, false};
  if (device.isa() != Isa::dsp) predicted.flash.wider_filter_bytes = 0;
  predicted.ram.arena_bytes = arena_bytes(manifest, device.isa());
  if (device.name == manifest.target.core || !device.has_memories()) return predicted;
  const CodeSizesForTarget table = load_code_sizes(device.limits_for(manifest.target));
  const CodeCost code = price_code(kernels_of(manifest), std::ssize(manifest.steps), table.sizes);
  predicted.estimated = table.estimated;
  predicted.flash.code_bytes = code.code_bytes;
  predicted.ram.stack_bytes = code.stack_bytes;
  return predicted;
}

json to_json(const LinkedSizes& linked) {
  const FlashLedger& f = linked.flash;
  return {{"weights_bytes", f.weights_bytes},
          {"wider_filter_bytes", f.wider_filter_bytes},
          {"bias_bytes", f.bias_bytes},
          {"table_bytes", f.table_bytes},
          {"step_bytes", f.step_bytes},
          {"code_bytes", f.code_bytes},
          {"flash_bytes", f.total()},
          {"arena_bytes", linked.arena_bytes},
          {"data_bss_bytes", linked.data_bss_bytes},
          {"alignment_bytes", linked.alignment_bytes}};
}

json to_json(const LayerMismatch& m) {
  json j = {{"sample", m.sample}, {"node", m.step.node}, {"name", m.step.name}, {"op", m.step.op}};
  if (m.index) {
    j["index"] = *m.index;
    j["expected"] = m.expected;
    j["found"] = m.found;
  }
  return j;
}

json to_json(const DeviceReport& r) {
  json mismatch;
  if (r.first_mismatch) {
    mismatch = {{"sample", r.first_mismatch->sample},
                {"index", r.first_mismatch->index},
                {"expected", r.first_mismatch->expected},
                {"found", r.first_mismatch->found}};
    if (r.first_mismatch->layer) mismatch["layer"] = to_json(*r.first_mismatch->layer);
  }
  return {{"device", r.device},
          {"core", r.core},
          {"counts", r.counts},
          {"compiler", r.compiler},
          {"samples", r.samples},
          {"first_mismatch", std::move(mismatch)},
          {"instructions_per_inference", r.instructions_per_inference},
          {"instructions_least", r.instructions_least},
          {"instructions_most_per_row", r.instructions_most_per_row},
          {"stack_bytes", r.stack_bytes},
          {"stack_bound_bytes", r.stack_bound_bytes},
          {"arena_touched_bytes", r.arena_touched_bytes},
          {"linked", to_json(r.linked)}};
}

}  // namespace mcufit
