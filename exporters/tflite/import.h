// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "blocks/quantized_graph.h"

namespace mcufit {

// An int8 TensorFlow Lite model as a graph that computes the same bytes as TensorFlow Lite Micro. Operators:
// CONV_2D and DEPTHWISE_CONV_2D (dilation 1, channel multiplier 1), FULLY_CONNECTED, ADD, AVERAGE_POOL_2D,
// MAX_POOL_2D, SOFTMAX, and RESHAPE where nobody but a fully-connected layer can tell; one sample at a time.
// Nodes are named by operator and its place in the file: "conv_2d_0". The result is verified. Throws
// Error(input) saying which operator is why not accepted; `name` names the graph and leads messages.
QuantizedGraph import_tflite(std::string_view content, std::string_view name);

}  // namespace mcufit
