// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "blocks/quantized_graph.h"

namespace mcufit {

// The graph as an int8 .tflite file (format version 3) that TensorFlow Lite and TensorFlow Lite Micro run,
// the latter to the same bytes. Tensors are named as nodes, and import_tflite() gives the same graph again,
// but for a pad's value, which comes back as the nearest int8. Padding
// that is neither none nor TensorFlow's SAME becomes an operator of its own in front of a convolution or max
// pool. A fully_connected node with a scale per channel becomes a convolution that covers its input: the same
// bytes in every TensorFlow Lite. Throws Error(input) naming the node for what the format cannot say: other
// padding of an average pool, hard_sigmoid, a mean over nothing.
std::string export_tflite(const QuantizedGraph& graph);

}  // namespace mcufit
