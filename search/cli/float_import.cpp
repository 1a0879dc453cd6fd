// SPDX-License-Identifier: Apache-2.0
#include "search/cli/float_import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/text.h"
#include "blocks/lower.h"
#include "cost-models/count.h"
#include "exporters/onnx/import.h"
#include "exporters/quantize.h"
#include "exporters/tflite/float_import.h"
#include "search/cli/network_source.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostSampleBytes = std::int64_t{1} << 31;
constexpr std::size_t kMostSamples = 100000;

bool is_onnx(const fs::path& file) { return file.extension() == ".onnx"; }

std::vector<std::vector<float>> read_samples(const fs::path& file, const Graph& graph) {
  const std::string content = read_file(file, kMostSampleBytes);
  const auto elements = static_cast<std::size_t>(graph.input_shape().elements());
  const std::size_t bytes = elements * sizeof(float);
  const std::size_t count = content.size() / bytes;
  if (content.size() % bytes != 0 || count < 1 || count > kMostSamples)
    throw Error(
        ExitCode::input,
        fmt::format("{}: found {} bytes; accepted: 1 to {} samples of {} float32 ({} bytes each)",
                    file.string(), content.size(), kMostSamples, to_string(graph.input_shape()), bytes));
  std::vector<std::vector<float>> samples(count, std::vector<float>(elements));
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(samples[i].data(), content.data() + i * bytes, bytes);
    if (!std::all_of(samples[i].begin(), samples[i].end(), [](float x) { return std::isfinite(x); }))
      throw Error(
          ExitCode::input,
          fmt::format("{}: sample {} has a NaN or infinity; accepted: finite numbers", file.string(), i));
  }
  return samples;
}

// 255 steps over the range, zero exact.
Quantization input_quantization(const Range& range) {
  const double width = double{range.maximum} - double{range.minimum};
  if (!(width > 0)) return {};
  const auto scale = static_cast<float>(width / 255);
  const double zero_point = std::round(-128 - double{range.minimum} / double{scale});
  return {scale, static_cast<std::int32_t>(std::clamp(zero_point, -128.0, 127.0))};
}

std::map<std::string, int> op_counts(const Graph& graph) {
  std::map<std::string, int> counts;
  for (const Node& node : graph.nodes) ++counts[std::string(op_name(node.op))];
  return counts;
}

}  // namespace

bool is_float_model(const fs::path& file, std::string_view content) {
  if (is_quantized_onnx(file, content)) return false;
  return is_onnx(file) || is_float_tflite(content, file.filename().string());
}

FloatModel import_float_model(const fs::path& file, std::string_view content) {
  const std::string name = file.filename().string();
  return is_onnx(file) ? import_onnx(content, name) : import_float_tflite(content, name);
}

void write_float_model(const fs::path& folder, const FloatModel& model) {
  write_weights(folder / "weights.safetensors", model.weights, model.graph);
  write_file(folder / "graph.json", to_json(model.graph).dump(2) + "\n");
}

QuantizedGraph quantize_float_model(const FloatModel& model, const fs::path& file) {
  const auto samples = read_samples(file, model.graph);
  const Lowered lowered = lower(model.graph, model.weights);
  const Ranges ranges = observe_ranges(lowered, samples);
  return quantize(lowered, ranges, input_quantization(ranges[0]));
}

std::string float_model_text(const FloatModel& model, const fs::path& folder) {
  const Footprint footprint = count(model.graph);
  std::string ops;
  for (const auto& [op, number] : op_counts(model.graph)) ops += fmt::format("  {} x {}\n", number, op);
  return fmt::format("{}: float, {} params, {} MACs, {} -> {}\n{}\nmodel    {}\n", model.graph.name,
                     with_separators(footprint.params), with_separators(footprint.macs),
                     to_string(model.graph.input_shape()), to_string(model.graph.output_shape()), ops,
                     folder.string());
}

nlohmann::json float_model_json(const FloatModel& model, const fs::path& folder) {
  const Footprint footprint = count(model.graph);
  return {{"name", model.graph.name},      {"params", footprint.params},    {"macs", footprint.macs},
          {"ops", op_counts(model.graph)}, {"graph", to_json(model.graph)}, {"model", folder.string()}};
}

}  // namespace mcufit
