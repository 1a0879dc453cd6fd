// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "exporters/float_model.h"

namespace mcufit {

// A float32 ONNX model (https://onnx.ai/onnx/operators; operator sets 7 to 21) as a graph that computes the
// same, NHWC, one sample. Tensors are NCHW in the file, or NHWC behind a Transpose as tf2onnx writes them;
// where the file flattens an image channel by channel, the columns of the layer behind are put into our
// order. A bias that the file adds behind a layer becomes that layer's. Nodes are named as in the file. What
// does not lead to the output is left out. Throws Error(input) saying which node is why not accepted and what
// is supported; `name` names the graph and leads messages.
FloatModel import_onnx(std::string_view content, std::string_view name);

// The operators that it reads, sorted.
std::vector<std::string> onnx_operators();

}  // namespace mcufit
