// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <vector>

#include "blocks/float_interpreter.h"
#include "blocks/foundation/error.h"
#include "blocks/weights.h"
#include "exporters/interpreter.h"
#include "exporters/onnx/export.h"
#include "exporters/onnx/import.h"

namespace {

constexpr std::int64_t kMostWork = 1 << 16;

// Small enough that a damaged extent does not turn the fuzzer into a benchmark.
template <typename Node>
bool is_small(const mcufit::Graph& graph, const std::vector<Node>& weights) {
  std::int64_t work = 0;
  for (std::size_t i = 0; i < weights.size(); ++i)
    work += graph.nodes[i].shape.elements() * (1 + static_cast<std::int64_t>(weights[i].filter.size()));
  return work <= kMostWork;
}

void run_float(std::string_view content) {
  const mcufit::FloatModel model = mcufit::import_onnx(content, "fuzz");
  if (!is_small(model.graph, model.weights.nodes)) return;
  const auto elements = static_cast<std::size_t>(model.graph.input_shape().elements());
  mcufit::interpret(model.graph, model.weights, std::vector<float>(elements, 0.5F));
}

// What was read can be written and read again.
void run_quantized(std::string_view content) {
  const mcufit::QuantizedGraph graph = mcufit::import_onnx_qdq(content, "fuzz");
  if (!is_small(graph.graph, graph.nodes)) return;
  const std::vector<std::int8_t> input(static_cast<std::size_t>(graph.graph.input_shape().elements()), 7);
  const auto output = mcufit::interpret(graph, input).back();
  const auto again = mcufit::import_onnx_qdq(mcufit::export_onnx(graph), "again");
  if (mcufit::interpret(again, input).back() != output) __builtin_trap();
}

}  // namespace

// The importers: a model that verifies and runs, or an Error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view content(reinterpret_cast<const char*>(data), size);
  for (const auto run : {run_float, run_quantized}) {
    try {
      run(content);
    } catch (const mcufit::Error& error) {
      if (error.code() != mcufit::ExitCode::input) __builtin_trap();
    }
  }
  return 0;
}
