// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "blocks/quantized_graph.h"

namespace mcufit {

// An ONNX model (operator set 14) of the graph: float operators between QuantizeLinear and DequantizeLinear
// pairs, filters per output channel along axis 0, int32 biases behind DequantizeLinear. NCHW: filters are
// [out][in][kh][kw], the columns of a layer over an image stand channel by channel. Input and output are int8
// as the microcontroller has them, so that both can be compared byte by byte; their scales are those of the
// first DequantizeLinear and the last QuantizeLinear. Fused, a runtime computes in integers; as it stands, in
// float, which rounds sums elsewhere: outputs differ by single steps. Throws Error(input) naming a node that
// ONNX cannot say: softmax with a beta, a mean over nothing, a resize with both of TensorFlow's options.
std::string export_onnx(const QuantizedGraph& graph);

// A model as export_onnx() writes it: the same ops, quantization and weights. Lost are reshapes that change
// nothing to their readers, and a depthwise convolution of one channel is a conv2d. Throws as import_onnx().
QuantizedGraph import_onnx_qdq(std::string_view content, std::string_view name);

}  // namespace mcufit
