// SPDX-License-Identifier: Apache-2.0
// The kernel of fully_connected that reads interleaved filters, against the interpreter, byte for byte.
#include <gtest/gtest.h>

#include <algorithm>

#include "exporters/interpreter.h"
#include "exporters/steps.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/step_arena.h"

namespace mcufit::testing {
namespace {

constexpr int kCases = 500;

// Inputs by fours in most cases, more of them than a second output's sum has bits for in some.
Shape drawn_input(Random& random) {
  const auto four = random.below(5) == 0 ? 1 : 4;
  const auto most = random.below(10) == 0 ? 400 : 40;
  return {1, 1, static_cast<std::int32_t>(random.between(1, most) * four)};
}

// Runs random portions of the outputs.
void run_interleaved(Random& random, const FullyConnectedStep& step, std::int8_t* arena) {
  mcufit_fully_connected_s8_step fields = bound_fields(step);
  fields.filter = step.interleaved.bytes.data();
  fields.interleaved_outputs = step.interleaved.outputs;
  for (std::int16_t first = 0; first < step.end;) {
    const auto end = random.below(2) == 0 ? step.end : narrow(random.between(first + 1, step.end));
    mcufit_fully_connected_s8(&fields, arena, first, end);
    first = end;
  }
}

TEST(InterleavedKernels, FullyConnectedEqualsInterpreter) {
  const std::uint64_t seed = test_seed();
  int interleaved = 0;
  for (int i = 0; i < kCases; ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const FullyConnected op{static_cast<std::int32_t>(random.between(1, 40)), random.below(4) != 0,
                            random_activation(random)};
    const QuantizedGraph graph = single_op_graph(random, drawn_input(random), op);
    const MemoryPlan plan = stacked_plan(graph.graph);
    const auto step = std::get<FullyConnectedStep>(make_step(graph, plan, 1));
    interleaved += step.interleaved.outputs > 0 ? 1 : 0;
    const std::vector<std::int8_t> input = random_bytes(random, graph.graph.input_shape().elements());
    std::vector<std::int8_t> arena = random_bytes(random, plan.arena_bytes + 7);
    std::copy(input.begin(), input.end(), arena.begin());
    std::vector<std::int8_t> expected = arena;
    const std::vector<std::int8_t> output = interpret(graph, input).back();
    std::copy(output.begin(), output.end(), expected.begin() + plan.placement(1).offset);
    run_interleaved(random, step, arena.data());
    ASSERT_EQ(arena, expected);
  }
  EXPECT_GT(interleaved, kCases / 4);
}

}  // namespace
}  // namespace mcufit::testing
