// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "blocks/quantized_graph.h"
#include "exporters/float_model.h"

namespace mcufit {

// True for an ONNX model (by the file's extension) and for a float TensorFlow Lite model. Throws Error(input)
// when a .tflite file is no model.
bool is_float_model(const std::filesystem::path& file, std::string_view content);

// Reads either; the graph is named after the file.
FloatModel import_float_model(const std::filesystem::path& file, std::string_view content);

// graph.json and weights.safetensors in `folder`, which read_graph() and read_weights() read. Throws
// Error(io).
void write_float_model(const std::filesystem::path& folder, const FloatModel& model);

// Lowers and quantizes; ranges, the input's too, are those observed over the samples in `file`: raw
// little-endian float32, NHWC, as many as its size says. Throws Error(input) where that is no whole number of
// samples, 1 to 100,000, or a value is no finite number.
QuantizedGraph quantize_float_model(const FloatModel& model, const std::filesystem::path& file);

// What was imported, for people and as JSON: params, MACs, how many nodes of each op.
std::string float_model_text(const FloatModel& model, const std::filesystem::path& folder);
nlohmann::json float_model_json(const FloatModel& model, const std::filesystem::path& folder);

}  // namespace mcufit
