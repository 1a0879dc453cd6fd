// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "exporters/float_model.h"

namespace mcufit {

// True for a TensorFlow Lite model that computes in float32: its input is float32 and it has no QUANTIZE.
// Its weights may be int8 (TensorFlow's dynamic range quantization) or float16. Throws Error(input) when the
// content is no model.
bool is_float_tflite(std::string_view content, std::string_view name);

// A float32 TensorFlow Lite model as a graph that computes the same. Operators: ADD, AVERAGE_POOL_2D, CONV_2D
// and DEPTHWISE_CONV_2D (dilation 1), DEQUANTIZE of float16 constants, FULLY_CONNECTED, HARD_SWISH, LOGISTIC,
// MAX_POOL_2D, MEAN, PAD, RELU, RELU6, RESHAPE, SOFTMAX; one sample at a time. Fused activations become nodes
// of their own. Throws Error(input) saying which operator is why not accepted; `name` names the graph and
// leads messages.
FloatModel import_float_tflite(std::string_view content, std::string_view name);

}  // namespace mcufit
