// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <vector>

#include "blocks/float_interpreter.h"
#include "blocks/foundation/error.h"
#include "blocks/weights.h"
#include "exporters/onnx/import.h"

namespace {

constexpr std::int64_t kMostWork = 1 << 16;

// Small enough that a damaged extent does not turn the fuzzer into a benchmark.
bool is_small(const mcufit::FloatModel& model) {
  std::int64_t work = 0;
  for (std::size_t i = 0; i < model.graph.nodes.size(); ++i) {
    const auto elements = model.graph.nodes[i].shape.elements();
    work += elements * (1 + static_cast<std::int64_t>(model.weights.nodes[i].filter.size()));
  }
  return work <= kMostWork;
}

}  // namespace

// The importer: a model that verifies and runs, or an Error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mcufit;
  try {
    const FloatModel model = import_onnx({reinterpret_cast<const char*>(data), size}, "fuzz");
    if (!is_small(model)) return 0;
    const std::vector<float> input(static_cast<std::size_t>(model.graph.input_shape().elements()), 0.5F);
    interpret(model.graph, model.weights, input);
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) __builtin_trap();
  }
  return 0;
}
