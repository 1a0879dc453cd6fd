// SPDX-License-Identifier: Apache-2.0
// The kernels that read interleaved filters, against the interpreter, byte for byte.
#include <gtest/gtest.h>

#include <algorithm>

#include "exporters/interleaved_filter.h"
#include "exporters/interpreter.h"
#include "exporters/steps.h"
#include "tests/exporters/drawn_convolution.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/step_arena.h"
#include "tests/exporters/streamed_step.h"

namespace mcufit::testing {
namespace {

constexpr int kCases = 500;

// Inputs by fours in most cases, more of them than a second output's sum has bits for in some.
Shape drawn_input(Random& random) {
  const auto four = random.below(5) == 0 ? 1 : 4;
  const auto most = random.below(10) == 0 ? 400 : 40;
  return {1, 1, static_cast<std::int32_t>(random.between(1, most) * four)};
}

mcufit_fully_connected_s8_step interleaved_fields(const FullyConnectedStep& step,
                                                  const InterleavedFilter& filter) {
  mcufit_fully_connected_s8_step fields = bound_fields(step);
  fields.filter = filter.bytes.data();
  fields.interleaved_outputs = filter.outputs;
  return fields;
}

mcufit_conv2d_s8_step interleaved_fields(const Conv2dStep& step, const InterleavedFilter& filter) {
  mcufit_conv2d_s8_step fields = bound_fields(step);
  fields.filter = filter.bytes.data();
  fields.interleaved = filter.outputs > 0 ? 1 : 0;
  return fields;
}

// Runs random portions of the op's outputs, and compares them and what lies around them; whether the filter
// was interleaved.
template <typename Step, typename Kernel>
bool check_interleaved(Random& random, const QuantizedGraph& graph, const Kernel& kernel) {
  const MemoryPlan plan = stacked_plan(graph.graph);
  auto step = std::get<Step>(make_step(graph, plan, 1));
  const std::vector<std::int8_t> input = random_bytes(random, graph.graph.input_shape().elements());
  Arena arena(random);
  arena.bytes = random_bytes(random, plan.arena_bytes);
  const Scratch scratch = arena.allocate_scratch(graph.graph, kTestedIsa);
  put_scratch(step, scratch);
  std::copy(input.begin(), input.end(), arena.bytes.begin());
  std::vector<std::int8_t> expected = arena.bytes;
  const std::vector<std::int8_t> output = interpret(graph, input).back();
  std::copy(output.begin(), output.end(), expected.begin() + plan.placement(1).offset);
  const InterleavedFilter filter = interleave(step);
  const auto fields = interleaved_fields(step, filter);
  for (std::int16_t first = 0; first < step.end;) {
    const auto end = random.below(2) == 0 ? step.end : narrow(random.between(first + 1, step.end));
    run_with_scratch(arena.bytes, scratch, [&](std::int8_t* bytes) { kernel(&fields, bytes, first, end); });
    first = end;
  }
  EXPECT_EQ(arena.bytes, expected);
  return filter.outputs > 0;
}

// Draws an op and its input, and checks it, in many cases, of which enough are interleaved.
template <typename Draw>
void check_cases(const Draw& draw_and_check) {
  const std::uint64_t seed = test_seed();
  int interleaved = 0;
  for (int i = 0; i < kCases && !::testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    interleaved += draw_and_check(random) ? 1 : 0;
  }
  EXPECT_GT(interleaved, kCases / 4);
}

TEST(InterleavedKernels, FullyConnectedEqualsInterpreter) {
  check_cases([](Random& random) {
    const FullyConnected op{static_cast<std::int32_t>(random.between(1, 40)), random.below(4) != 0,
                            random_activation(random)};
    const QuantizedGraph graph = single_op_graph(random, drawn_input(random), op);
    return check_interleaved<FullyConnectedStep>(random, graph, mcufit_fully_connected_s8);
  });
}

TEST(InterleavedKernels, Conv2dEqualsInterpreter) {
  check_cases([](Random& random) {
    DrawnConvolution drawn = drawn_convolution(random);
    if (random.below(3) != 0) drawn.input.channels = (drawn.input.channels + 3) / 4 * 4;
    if (random.below(3) != 0) drawn.op.output_channels = (drawn.op.output_channels + 1) / 2 * 2;
    const QuantizedGraph graph = single_op_graph(random, drawn.input, drawn.op);
    return check_interleaved<Conv2dStep>(random, graph, mcufit_conv2d_s8);
  });
}

// Wide in some cases: a row is then computed in several stretches.
TEST(InterleavedKernels, DepthwiseConv2dEqualsInterpreter) {
  check_cases([](Random& random) {
    Shape input = random_shape(random, 9, 13);
    if (random.below(10) == 0) input.width = static_cast<std::int32_t>(random.between(60, 150));
    const auto half = static_cast<std::int32_t>(random.between(1, 3));
    const bool usual = random.below(2) == 0;
    const Window window = usual ? square_window(2 * half + 1, 1, half) : random_window(random, input);
    const DepthwiseConv2d op{window, random.below(4) != 0, random_activation(random)};
    const QuantizedGraph graph = single_op_graph(random, input, op);
    auto step = std::get<DepthwiseConv2dStep>(make_step(graph, stacked_plan(graph.graph), 1));
    const bool wide = random.below(2) == 0;
    const InterleavedFilter filter = wide ? widen(step) : interleave(step);
    const std::int8_t order = wide ? 2 : 1;
    step.tables.filter = filter.bytes;
    step.fields.interleaved = filter.outputs > 0 ? order : std::int8_t{0};
    check_windowed(random, graph, step);
    return filter.outputs > 0;
  });
}

}  // namespace
}  // namespace mcufit::testing
