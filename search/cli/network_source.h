// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>

#include "exporters/tflite/import.h"

namespace mcufit {

// Whether a file is an ONNX model with quantized tensors (QuantizeLinear, DequantizeLinear).
bool is_quantized_onnx(const std::filesystem::path& file, std::string_view content);

// The int8 network of a file's content: .tflite, or .onnx as export_onnx() writes it. Throws Error(input).
TfliteModel read_quantized(const std::filesystem::path& file, std::string_view content);

// The int8 network of a package, whose .tflite is in its folder, or of a model file. Throws Error(io),
// Error(input).
QuantizedGraph load_quantized(const std::filesystem::path& source);

}  // namespace mcufit
