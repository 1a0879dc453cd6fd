// SPDX-License-Identifier: Apache-2.0
#include "exporters/steps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "blocks/foundation/error.h"
#include "exporters/interpreter.h"
#include "tests/exporters/random_graphs.h"

namespace mcufit::testing {
namespace {

QuantizedGraph conv_graph(Padding padding, std::int32_t zero_point) {
  QuantizedGraph graph;
  const Conv2d op{.output_channels = 2, .window = {1, 2, 1, 1, padding}, .bias = true};
  graph.graph.nodes = {{Input{{3, 4, 1}}, {}, {3, 4, 1}, "input"},
                       {op, {0}, infer_shape(op, {{3, 4, 1}}, "op"), "op"}};
  graph.nodes = {{{1, zero_point}, {}, {}, {}}, {{4, -5}, {1, 2, -3, 10}, {1, 2}, {100, 200}}};
  return graph;
}

TEST(Steps, FoldTheZeroPointIntoTheBias) {
  const QuantizedGraph graph = conv_graph({}, -7);
  const auto step = std::get<Conv2dStep>(make_step(graph, plan(graph.graph), 1));
  EXPECT_EQ(step.tables.bias, (std::vector<std::int32_t>{100 + 7 * 3, 200 + 7 * 7}));
  EXPECT_EQ(step.tables.multiplier, (std::vector<std::int32_t>{1 << 30, 1 << 30}));
  EXPECT_EQ(step.tables.shift, (std::vector<std::int8_t>{-1, 0}));
  EXPECT_EQ(step.fields.input_zero_point, 0);
  EXPECT_EQ(step.fields.requantization.output_zero_point, -5);
  EXPECT_EQ(step.end, 3);
  const QuantizedGraph padded = conv_graph({0, 0, 1, 0}, -7);
  EXPECT_EQ(std::get<Conv2dStep>(make_step(padded, plan(padded.graph), 1)).fields.input_zero_point, -7);
}

TEST(Steps, ViewsFollowThePlan) {
  const QuantizedGraph graph = conv_graph({}, 0);
  const MemoryPlan memory = plan(graph.graph);
  const auto step = std::get<Conv2dStep>(make_step(graph, memory, 1));
  EXPECT_EQ(step.fields.input.offset, memory.placement(0).offset);
  EXPECT_EQ(step.fields.output.offset, memory.placement(1).offset);
  EXPECT_EQ(step.fields.output.row_stride, 3 * 2);
  EXPECT_EQ(step.fields.output.pixel_stride, 2);
  EXPECT_EQ(step.fields.output.ring_rows, 3);
}

TEST(Steps, RefuseWhatDoesNotFitTheFields) {
  QuantizedGraph graph;
  const Shape in{200, 200, 1};
  graph.graph.nodes = {{Input{in}, {}, in, "input"}, {FullyConnected{1, false}, {0}, {1, 1, 1}, "wide"}};
  graph.nodes = {{{1, 0}, {}, {}, {}}, {{1, 0}, std::vector<std::int8_t>(40000, 1), {1e-4F}, {}}};
  verify(graph);
  try {
    make_step(graph, plan(graph.graph), 1);
    FAIL() << "accepted 40,000 inputs";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input);
    EXPECT_NE(std::string(error.what()).find("40000"), std::string::npos) << error.what();
  }
  EXPECT_THROW(make_step(graph, plan(graph.graph), 0), Error);
}

// Whole graphs over their memory plans: after each step the node's tensor in the arena is the interpreter's.
TEST(Steps, RunAResidualGraphInItsPlan) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < 200; ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = add_graph(random, random_shape(random, 8, 8), random_activation(random));
    const MemoryPlan memory = plan(graph.graph);
    const auto input = random_bytes(random, graph.graph.input_shape().elements());
    const auto expected = interpret(graph, input);
    std::vector<std::int8_t> arena = random_bytes(random, memory.arena_bytes);
    std::copy(input.begin(), input.end(), arena.begin() + memory.placement(0).offset);
    for (NodeId id = 1; id < graph.graph.size(); ++id) {
      const RuntimeStep step = make_step(graph, memory, id);
      run_step(step, arena.data(), 0, std::visit([](const auto& s) { return s.end; }, step));
      const auto begin = arena.begin() + memory.placement(id).offset;
      const auto& tensor = expected[static_cast<std::size_t>(id)];
      ASSERT_EQ(std::vector(begin, begin + static_cast<std::ptrdiff_t>(tensor.size())), tensor)
          << graph.graph.node(id).name;
    }
  }
}

// The graph has no dilated pooling, the kernels do: one row of 7, a kernel of 3 with 2 columns from tap to
// tap, padding 1.
TEST(Steps, PoolKernelsDilate) {
  mcufit_pool2d_s8_step step{};
  step.input = {0, 7, 1, 1};
  step.output = {7, 5, 1, 1};
  step.window = {1, 7, 1, 5, 1, 1, 3, 1, 1, 1, 2, 0, 1};
  step.output_min = -128;
  step.output_max = 127;
  std::array<std::int8_t, 12> arena{1, -2, 3, -4, 5, -6, 7};
  mcufit_max_pool2d_s8(&step, arena.data(), 0, 1);
  // Taps at x - 1, x + 1, x + 3 for x = 0 .. 4.
  EXPECT_EQ((std::vector(arena.begin() + 7, arena.end())), (std::vector<std::int8_t>{-2, 5, -2, 7, -4}));
  mcufit_average_pool2d_s8(&step, arena.data(), 0, 1);
  // -6 / 2, 9 / 3, -12 / 3, 15 / 3, -10 / 2
  EXPECT_EQ((std::vector(arena.begin() + 7, arena.end())), (std::vector<std::int8_t>{-3, 3, -4, 5, -5}));
}

}  // namespace
}  // namespace mcufit::testing
