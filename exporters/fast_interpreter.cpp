// SPDX-License-Identifier: Apache-2.0
#include "exporters/fast_interpreter.h"

#include <fmt/format.h>
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include "blocks/foundation/error.h"
#include "exporters/interpreter.h"

namespace mcufit {

FastInterpreter::FastInterpreter(const QuantizedGraph& graph) : graph_(graph) {
  for (NodeId id = 1; id < graph_.graph.size(); ++id) steps_.push_back(make_fast_step(graph_, id));
}

void FastInterpreter::evaluate(std::span<const std::int8_t> input, Workspace& workspace) const {
  workspace.values.resize(graph_.nodes.size());
  workspace.values[0].assign(input.begin(), input.end());
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Shape& shape = graph_.graph.node(static_cast<NodeId>(i + 1)).shape;
    workspace.values[i + 1].resize(static_cast<std::size_t>(shape.elements()));
    steps_[i](workspace);
  }
}

std::vector<std::vector<std::int8_t>> FastInterpreter::run(std::span<const std::int8_t> input) const {
  Workspace workspace;
  evaluate(input, workspace);
  return std::move(workspace.values);
}

void FastInterpreter::check(std::span<const std::int8_t> input) const {
  const auto expected = interpret(graph_, input);
  const auto found = run(input);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (expected[i] == found[i]) continue;
    throw Error(ExitCode::internal,
                fmt::format("fast interpreter: {} differs from the interpreter", graph_.graph.nodes[i].name));
  }
}

std::vector<std::vector<std::int8_t>> FastInterpreter::run_all(
    std::span<const std::vector<std::int8_t>> inputs) const {
  if (inputs.empty()) return {};
  check(inputs.front());
  std::vector<std::vector<std::int8_t>> outputs(inputs.size());
  tbb::parallel_for(tbb::blocked_range<std::size_t>(0, inputs.size(), 16),
                    [&](const tbb::blocked_range<std::size_t>& range) {
                      Workspace workspace;
                      for (std::size_t i = range.begin(); i < range.end(); ++i) {
                        evaluate(inputs[i], workspace);
                        outputs[i] = workspace.values.back();
                      }
                    });
  return outputs;
}

}  // namespace mcufit
