// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "exporters/float_model.h"

namespace mcufit {

// True for a TensorFlow Lite model that computes in float32: its input is float32 and it has no QUANTIZE.
// Its weights may be int8 (TensorFlow's dynamic range quantization) or float16. Throws Error(input) when the
// content is no model.
bool is_float_tflite(std::string_view content, std::string_view name);

// The operators that import_float_tflite() reads; DEQUANTIZE of constants alone.
std::vector<std::string> float_tflite_operators();

// A float32 TensorFlow Lite model as a graph that computes the same, one sample at a time. Fused activations
// become nodes of their own. Throws Error(input) saying which operator is why not accepted; `name` names the
// graph and leads messages.
FloatModel import_float_tflite(std::string_view content, std::string_view name);

}  // namespace mcufit
