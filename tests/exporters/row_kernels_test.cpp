// SPDX-License-Identifier: Apache-2.0
// The kernels that work row by row without a window, against the reference interpreter: random layouts,
// random portions of output rows into a rolling line buffer, in place where that is allowed.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "exporters/interpreter.h"
#include "exporters/steps.h"
#include "tests/exporters/step_arena.h"

namespace mcufit::testing {
namespace {

// Runs random portions of output rows; each must write its rows and nothing else.
void run_portions(Random& random, Arena& arena, const RuntimeStep& step, const mcufit_view& output,
                  Shape shape, const std::vector<std::int8_t>& expected) {
  for (std::int32_t first = 0; first < shape.height;) {
    const auto most = std::min<std::int32_t>(shape.height - first, output.ring_rows);
    const auto end = first + static_cast<std::int32_t>(random.between(1, most));
    Arena after = arena;
    for (std::int32_t y = first; y < end; ++y) after.put_row(output, shape, expected, y);
    run_step(step, arena.bytes.data(), narrow(first), narrow(end));
    ASSERT_EQ(arena.bytes, after.bytes) << "output rows [" << first << ", " << end << ")";
    first = end;
  }
}

mcufit_view output_view(Random& random, Arena& arena, Shape shape) {
  return arena.allocate(shape, static_cast<std::int32_t>(random.between(1, shape.height)));
}

using Draw = std::function<Op(Random&, Shape)>;

// One case of an op with one input.
template <typename Step>
void check_case(Random& random, Shape shape, const Op& op, bool in_place) {
  const QuantizedGraph graph = single_op_graph(random, shape, op);
  const Shape out = graph.graph.output_shape();
  const auto values = interpret(graph, random_bytes(random, shape.elements()));
  Step step = std::get<Step>(make_step(graph, stacked_plan(graph.graph), 1));
  Arena arena(random);
  step.fields.input = arena.allocate(shape);
  step.fields.output = in_place ? step.fields.input : output_view(random, arena, out);
  arena.put(step.fields.input, shape, values[0]);
  run_portions(random, arena, step, step.fields.output, out, values[1]);
}

template <typename Step>
void check_cases(const Draw& draw, bool in_place = false) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < kCases && !::testing::Test::HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const Shape shape = random_shape(random, 8, 9);
    check_case<Step>(random, shape, draw(random, shape), in_place);
  }
}

Op random_lookup(Random& random, Shape) {
  constexpr Activation kAll[] = {Activation::none,    Activation::relu,         Activation::relu6,
                                 Activation::sigmoid, Activation::hard_sigmoid, Activation::hard_swish};
  return Activate{kAll[random.below(6)]};
}

TEST(RowKernels, LookupEqualsInterpreter) { check_cases<LookupStep>(random_lookup); }
TEST(RowKernels, LookupInPlaceEqualsInterpreter) { check_cases<LookupStep>(random_lookup, true); }

TEST(RowKernels, SoftmaxEqualsInterpreter) {
  check_cases<SoftmaxStep>(
      [](Random& random, Shape) -> Op { return Softmax{random.below(2) == 0 ? 1.0F : 30.0F}; });
}

TEST(RowKernels, SoftmaxOverManyChannelsEqualsInterpreter) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < 100; ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const Shape shape{1, 1, static_cast<std::int32_t>(random.between(1, 511))};
    check_case<SoftmaxStep>(random, shape, Softmax{}, false);
  }
}

TEST(RowKernels, MeanEqualsInterpreter) {
  check_cases<MeanStep>([](Random& random, Shape) -> Op {
    return Mean{random.below(3) != 0, random.below(3) != 0};
  });
}

TEST(RowKernels, PadEqualsInterpreter) {
  check_cases<PadStep>([](Random& random, Shape) -> Op {
    const auto border = [&] { return static_cast<std::int32_t>(random.between(0, 3)); };
    Pad pad{{border(), border(), border(), border()}};
    if (random.below(3) == 0) pad.channels_before = border();
    if (random.below(3) == 0) pad.channels_after = border();
    if (random.below(2) == 0) pad.value = static_cast<float>(random.unit() * 20 - 10);
    return pad;
  });
}

TEST(RowKernels, ResizeNearestNeighborEqualsInterpreter) {
  check_cases<ResizeStep>([](Random& random, Shape) -> Op {
    const bool corners = random.below(3) == 0;
    return ResizeNearestNeighbor{static_cast<std::int32_t>(random.between(1, 17)),
                                 static_cast<std::int32_t>(random.between(1, 17)), corners,
                                 !corners && random.below(2) == 0};
  });
}

void check_mul(Random& random, bool broadcast, bool in_place) {
  const Shape shape = random_shape(random, 7, 9);
  const QuantizedGraph graph = mul_graph(random, shape, broadcast, random_activation(random));
  const auto values = interpret(graph, random_bytes(random, shape.elements()));
  const Shape second = graph.graph.node(1).shape;
  auto step = std::get<MulStep>(make_step(graph, stacked_plan(graph.graph), 2));
  Arena arena(random);
  mcufit_mul_s8_step& f = step.fields;
  f.input1 = arena.allocate(shape);
  f.input2 = arena.allocate(second);
  arena.put(f.input1, shape, values[0]);
  arena.put(f.input2, second, values[1]);
  if (broadcast) f.input2.row_stride = f.input2.pixel_stride = 0;
  f.output = in_place ? f.input1 : output_view(random, arena, shape);
  run_portions(random, arena, step, f.output, shape, values[2]);
}

TEST(RowKernels, MulEqualsInterpreterAlsoInPlaceAndBroadcast) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < kCases && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    check_mul(random, i % 2 == 0, i % 3 == 0);
  }
}

void check_concatenation(Random& random) {
  const Axis axis = std::array{Axis::height, Axis::width, Axis::channels}[random.below(3)];
  const QuantizedGraph graph = concatenation_graph(random, random_shape(random, 6, 7), axis);
  const Graph& g = graph.graph;
  const auto values = interpret(graph, random_bytes(random, g.input_shape().elements()));
  auto step = std::get<ConcatenationStep>(make_step(graph, stacked_plan(g), g.size() - 1));
  Arena arena(random);
  const auto& inputs = g.nodes.back().inputs;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Shape shape = g.node(inputs[i]).shape;
    step.parts[i].input = arena.allocate(shape);
    arena.put(step.parts[i].input, shape, values[static_cast<std::size_t>(inputs[i])]);
  }
  step.fields.output = output_view(random, arena, g.output_shape());
  // A row's bytes are counted in the output's own layout.
  const auto channels = g.output_shape().channels;
  for (auto& part : step.parts)
    part.at = part.at / channels * step.fields.output.pixel_stride + part.at % channels;
  run_portions(random, arena, step, step.fields.output, g.output_shape(), values.back());
}

TEST(RowKernels, ConcatenationEqualsInterpreter) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < kCases && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    check_concatenation(random);
  }
}

}  // namespace
}  // namespace mcufit::testing
