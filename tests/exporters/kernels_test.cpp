// SPDX-License-Identifier: Apache-2.0
// Every kernel against the reference interpreter, byte for byte, in random layouts: rows and pixels apart,
// rolling line buffers fed as rows are needed, output rows in random portions, in place.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "exporters/interpreter.h"
#include "exporters/runtime/mcufit_rounding.h"
#include "exporters/steps.h"
#include "tests/exporters/drawn_convolution.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/step_arena.h"
#include "tests/exporters/streamed_step.h"

namespace mcufit::testing {
namespace {

template <typename WindowedStep>
void check_cases(const std::function<Op(Random&, Shape)>& draw_op) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < kCases && !::testing::Test::HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const Shape input = random_shape(random, 9, 13);
    const QuantizedGraph graph = single_op_graph(random, input, draw_op(random, input));
    const RuntimeStep step = make_step(graph, stacked_plan(graph.graph), 1);
    check_windowed(random, graph, std::get<WindowedStep>(step));
  }
}

TEST(Kernels, Conv2dEqualsInterpreter) {
  check_cases<Conv2dStep>([](Random& random, Shape input) -> Op {
    return Conv2d{static_cast<std::int32_t>(random.between(1, 11)), random_window(random, input),
                  random.below(4) != 0, random_activation(random)};
  });
}

// Filters that kernels gather at once and longer ones, with the short form of requantization and without.
TEST(Kernels, Conv2dOfAllLengthsEqualsInterpreter) {
  constexpr std::int64_t kLong = 256, kShort = 84;  // for every variant
  const std::uint64_t seed = test_seed();
  int cases[2][2] = {};
  for (int i = 0; i < kCases && !::testing::Test::HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const DrawnConvolution drawn = drawn_convolution(random);
    const QuantizedGraph graph = single_op_graph(random, drawn.input, drawn.op);
    const auto step = std::get<Conv2dStep>(make_step(graph, stacked_plan(graph.graph), 1));
    check_windowed(random, graph, step);
    const std::int64_t taps = std::ssize(step.tables.filter) / drawn.op.output_channels;
    if (taps > kLong || taps <= kShort) ++cases[taps > kLong][step.fields.requantization.short_form];
  }
  for (const auto& of_length : cases)
    for (const int count : of_length) EXPECT_GT(count, 20);
}

TEST(Kernels, PointwiseConv2dEqualsInterpreter) {
  check_cases<Conv2dStep>([](Random& random, Shape) -> Op {
    return Conv2d{static_cast<std::int32_t>(random.between(1, 20)), square_window(1, 1, 0), true,
                  random_activation(random)};
  });
}

TEST(Kernels, DepthwiseConv2dEqualsInterpreter) {
  check_cases<DepthwiseConv2dStep>([](Random& random, Shape input) -> Op {
    return DepthwiseConv2d{random_window(random, input), random.below(4) != 0, random_activation(random)};
  });
}

TEST(Kernels, AveragePool2dEqualsInterpreter) {
  check_cases<AveragePool2dStep>([](Random& random, Shape input) -> Op {
    if (random.below(4) == 0)
      return AveragePool2d{{input.height, input.width, 1, 1, {}}, random_activation(random)};
    return AveragePool2d{random_window(random, input), random_activation(random)};
  });
}

// More addends than a variant's narrow sums hold, all of them the largest or the least.
TEST(Kernels, AveragePool2dOfManyPixelsEqualsInterpreter) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(case_name(seed, 0));
  Random random(seed);
  for (const std::int32_t width : {255, 256, 257, 700}) {
    for (const std::int8_t value : {std::int8_t{-128}, std::int8_t{127}}) {
      const Shape shape{3, width, 5};
      const AveragePool2d op{{shape.height, shape.width, 1, 1, {}}, Activation::none};
      const QuantizedGraph graph = single_op_graph(random, shape, op);
      const auto step = std::get<AveragePool2dStep>(make_step(graph, stacked_plan(graph.graph), 1));
      const std::vector<std::int8_t> input(static_cast<std::size_t>(shape.elements()), value);
      Arena arena(random);
      AveragePool2dStep placed = step;
      placed.fields.input = arena.allocate(shape, shape.height);
      placed.fields.output = arena.allocate({1, 1, 5}, 1);
      for (std::int32_t y = 0; y < shape.height; ++y) arena.put_row(placed.fields.input, shape, input, y);
      Arena expected = arena;
      expected.put_row(placed.fields.output, {1, 1, 5}, interpret(graph, input).back(), 0);
      run_step(RuntimeStep(placed), arena.bytes.data(), 0, 1);
      ASSERT_EQ(arena.bytes, expected.bytes) << width << " columns of " << int{value};
    }
  }
}

TEST(Kernels, MaxPool2dEqualsInterpreter) {
  check_cases<MaxPool2dStep>([](Random& random, Shape input) -> Op {
    return MaxPool2d{random_window(random, input), random_activation(random)};
  });
}

// Taps 1 to 3 apart.
Window random_dilated_window(Random& random, Shape input) {
  Window w;
  const auto draw = [&](std::int64_t low, std::int64_t high) {
    return static_cast<std::int32_t>(random.between(low, high));
  };
  w.dilation_height = draw(1, 3);
  w.dilation_width = draw(1, 3);
  w.stride_height = draw(1, 2);
  w.stride_width = draw(1, 2);
  w.kernel_height = std::min(draw(1, 3), (input.height - 1) / w.dilation_height + 1);
  w.kernel_width = std::min(draw(1, 3), (input.width - 1) / w.dilation_width + 1);
  const auto most_rows = static_cast<std::int32_t>(w.span_height()) - 1;
  const auto most_columns = static_cast<std::int32_t>(w.span_width()) - 1;
  w.padding = {draw(0, most_rows), draw(0, most_rows), draw(0, most_columns), draw(0, most_columns)};
  return w;
}

TEST(Kernels, DilatedConv2dEqualsInterpreter) {
  check_cases<Conv2dStep>([](Random& random, Shape input) -> Op {
    return Conv2d{static_cast<std::int32_t>(random.between(1, 4)), random_dilated_window(random, input),
                  random.below(4) != 0, random_activation(random)};
  });
}

TEST(Kernels, DilatedDepthwiseConv2dEqualsInterpreter) {
  check_cases<DepthwiseConv2dStep>([](Random& random, Shape input) -> Op {
    return DepthwiseConv2d{random_dilated_window(random, input), random.below(4) != 0,
                           random_activation(random)};
  });
}

TEST(Kernels, DepthwiseConv2dWithChannelMultiplierEqualsInterpreter) {
  check_cases<DepthwiseConv2dStep>([](Random& random, Shape input) -> Op {
    return DepthwiseConv2d{random_window(random, input), random.below(4) != 0, random_activation(random),
                           static_cast<std::int32_t>(random.between(2, 5))};
  });
}

TEST(Kernels, FullyConnectedEqualsInterpreter) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < kCases; ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const FullyConnected op{static_cast<std::int32_t>(random.between(1, 19)), random.below(4) != 0,
                            random_activation(random)};
    const QuantizedGraph graph = single_op_graph(random, random_shape(random, 5, 9), op);
    const MemoryPlan plan = stacked_plan(graph.graph);
    const auto step = std::get<FullyConnectedStep>(make_step(graph, plan, 1));
    const std::vector<std::int8_t> input = random_bytes(random, graph.graph.input_shape().elements());
    std::vector<std::int8_t> arena = random_bytes(random, plan.arena_bytes + 7);
    std::copy(input.begin(), input.end(), arena.begin());
    std::vector<std::int8_t> expected = arena;
    const std::vector<std::int8_t> output = interpret(graph, input).back();
    std::copy(output.begin(), output.end(), expected.begin() + plan.placement(1).offset);
    for (std::int16_t first = 0; first < step.end;) {
      const auto end = narrow(random.between(first + 1, step.end));
      run_step(step, arena.data(), first, end);
      first = end;
    }
    ASSERT_EQ(arena, expected);
  }
}

enum class AddOutput { apart, over_first, over_second };

void check_add(Random& random, AddOutput where) {
  const Shape shape = random_shape(random, 7, 9);
  const QuantizedGraph graph = add_graph(random, shape, random_activation(random));
  const auto values = interpret(graph, random_bytes(random, shape.elements()));
  auto step = std::get<AddStep>(make_step(graph, stacked_plan(graph.graph), 2));
  Arena arena(random);
  mcufit_add_s8_step& f = step.fields;
  f.input1 = arena.allocate(shape, shape.height);
  f.input2 = arena.allocate(shape, shape.height);
  f.output = arena.allocate(shape, shape.height);
  if (where == AddOutput::over_first) f.output = f.input1;
  if (where == AddOutput::over_second) f.output = f.input2;
  for (std::int32_t y = 0; y < shape.height; ++y) {
    arena.put_row(f.input1, shape, values[1], y);
    arena.put_row(f.input2, shape, values[0], y);
  }
  Arena expected = arena;
  for (std::int32_t y = 0; y < shape.height; ++y) expected.put_row(f.output, shape, values[2], y);
  for (std::int16_t first = 0; first < step.end;) {
    const auto end = narrow(random.between(first + 1, step.end));
    run_step(step, arena.bytes.data(), first, end);
    first = end;
  }
  ASSERT_EQ(arena.bytes, expected.bytes);
}

TEST(Kernels, AddEqualsInterpreterAlsoInPlace) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < kCases; ++i) {
    for (const AddOutput where : {AddOutput::apart, AddOutput::over_first, AddOutput::over_second}) {
      SCOPED_TRACE(case_name(seed, i));
      Random random(seed, {static_cast<std::uint64_t>(i)});
      check_add(random, where);
      if (HasFatalFailure()) return;
    }
  }
}

// By the rule.
std::int8_t added(const mcufit_add_s8_step& f, std::int8_t a, std::int8_t b) {
  const std::int32_t wide_a = (a - f.zero_point1) * (1 << 20), wide_b = (b - f.zero_point2) * (1 << 20);
  const std::int32_t sum =
      mcufit_requantize(wide_a, f.multiplier1, f.shift1) + mcufit_requantize(wide_b, f.multiplier2, f.shift2);
  const std::int32_t scaled = mcufit_requantize(sum, f.output_multiplier, f.output_shift);
  return mcufit_clamp(scaled + f.output_zero_point, f.output_min, f.output_max);
}

// A wrong last bit of what is added changes one output in some millions.
TEST(Kernels, AddOfEveryPairOfBytesFollowsTheRule) {
  constexpr int kSets = 250, kBytes = 256;
  constexpr Shape shape{kBytes, 1, kBytes};
  Random random(test_seed());
  std::vector<std::int8_t> arena(std::size_t{3} * kBytes * kBytes);
  for (int set = 0; set < kSets; ++set) {
    QuantizedGraph graph = add_graph(random, shape, Activation::none);
    if (set % 2 == 0) graph.nodes[0].output.scale = graph.nodes[1].output.scale;
    graph.nodes[2].output.scale =
        graph.nodes[1].output.scale * (0.5F + static_cast<float>(random.below(1000)) / 300);
    const RuntimeStep step = make_step(graph, stacked_plan(graph.graph), 2);
    const mcufit_add_s8_step& f = std::get<AddStep>(step).fields;
    for (int i = 0; i < kBytes * kBytes; ++i) {
      arena[static_cast<std::size_t>(f.input1.offset + i)] = static_cast<std::int8_t>(i / kBytes - 128);
      arena[static_cast<std::size_t>(f.input2.offset + i)] = static_cast<std::int8_t>(i % kBytes - 128);
    }
    run_step(step, arena.data(), 0, kBytes);
    for (int i = 0; i < kBytes * kBytes; ++i) {
      const auto a = static_cast<std::int8_t>(i / kBytes - 128),
                 b = static_cast<std::int8_t>(i % kBytes - 128);
      ASSERT_EQ(arena[static_cast<std::size_t>(f.output.offset + i)], added(f, a, b))
          << "set " << set << ": " << int{a} << " and " << int{b};
    }
  }
}

}  // namespace
}  // namespace mcufit::testing
