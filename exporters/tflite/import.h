// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "blocks/quantized_graph.h"

namespace mcufit {

// A model as its file has it.
struct TfliteModel {
  QuantizedGraph graph;
  // What differs from the file for those who use it: "input: float32 in the file, int8 here".
  std::vector<std::string> notes;
};

// An int8 TensorFlow Lite model as a graph that computes the same bytes as TensorFlow Lite Micro: the
// operators of tflite_operators(), one sample at a time. Operators at its ends that turn float32 or uint8
// into int8 and back are left out, with a note. Nodes are named by operator and its place in the file,
// "conv_2d_0"; in files of export_tflite() they have their names again. The result is verified. Throws
// Error(input) saying which operator is why not accepted; `name` names the graph and leads messages.
TfliteModel read_tflite(std::string_view content, std::string_view name);

// The graph of read_tflite() alone.
QuantizedGraph import_tflite(std::string_view content, std::string_view name);

// An operator that is imported: "CONV_2D" becomes "conv2d".
struct TfliteOperatorInfo {
  std::string_view name, op, limits;
};
std::vector<TfliteOperatorInfo> tflite_operators();

}  // namespace mcufit
