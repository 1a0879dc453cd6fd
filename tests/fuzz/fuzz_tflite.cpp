// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "blocks/foundation/error.h"
#include "cost-models/layout.h"
#include "exporters/interpreter.h"
#include "exporters/steps.h"
#include "exporters/tflite/float_import.h"
#include "exporters/tflite/import.h"

namespace {

constexpr std::int64_t kMostElements = 4096;

// Small enough that a damaged extent does not turn the fuzzer into a benchmark.
bool is_small(const mcufit::QuantizedGraph& graph) {
  std::int64_t work = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    work += graph.graph.nodes[i].shape.elements() + static_cast<std::int64_t>(graph.nodes[i].filter.size());
  return work <= kMostElements;
}

// The float importer: a graph that verifies, or an Error.
void import_as_float(std::string_view content) {
  try {
    mcufit::import_float_tflite(content, "fuzz");
  } catch (const mcufit::Error&) {
  }
}

}  // namespace

// The importer: a graph that verifies, plans and runs the same as interpreter and as kernels, or an Error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mcufit;
  const std::string_view content(reinterpret_cast<const char*>(data), size);
  import_as_float(content);
  try {
    const QuantizedGraph graph = import_tflite(content, "fuzz");
    if (!is_small(graph)) return 0;
    const MemoryPlan memory = plan(graph.graph);
    std::vector<std::int8_t> arena(static_cast<std::size_t>(memory.arena_bytes));
    const std::vector<std::int8_t> input(static_cast<std::size_t>(graph.graph.input_shape().elements()), 7);
    std::copy(input.begin(), input.end(), arena.begin() + memory.placement(0).offset);
    for (const NodeId id : called_nodes(graph.graph)) {
      const RuntimeStep step = make_step(graph, memory, id);
      run_step(step, arena.data(), 0, std::visit([](const auto& s) { return s.end; }, step));
    }
    const std::vector<std::int8_t> output = interpret(graph, input).back();
    const auto found = arena.begin() + memory.placement(graph.graph.size() - 1).offset;
    if (!std::equal(output.begin(), output.end(), found)) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}
