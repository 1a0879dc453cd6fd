// SPDX-License-Identifier: Apache-2.0
#include "search/cli/network_source.h"

#include <fmt/format.h>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "exporters/onnx/export.h"
#include "exporters/package.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostModelBytes = std::int64_t{256} << 20;

}  // namespace

// Operators are named in plain text in the file.
bool is_quantized_onnx(const fs::path& file, std::string_view content) {
  return file.extension() == ".onnx" && content.find("DequantizeLinear") != std::string_view::npos;
}

TfliteModel read_quantized(const fs::path& file, std::string_view content) {
  const std::string name = file.filename().string();
  if (is_quantized_onnx(file, content)) return {import_onnx_qdq(content, name), {}};
  return read_tflite(content, name);
}

QuantizedGraph load_quantized(const fs::path& source) {
  fs::path file = source;
  if (fs::is_directory(source)) {
    file = source / (read_manifest(source).name + ".tflite");
    if (!fs::exists(file))
      throw Error(ExitCode::input,
                  fmt::format("{}: found no {}; accepted: a package whose network can be written as "
                              ".tflite, or a .tflite or int8 .onnx file",
                              source.string(), file.filename().string()));
  }
  return read_quantized(file, read_file(file, kMostModelBytes)).graph;
}

}  // namespace mcufit
