// SPDX-License-Identifier: Apache-2.0
// Every kernel against the reference interpreter, byte for byte, in random layouts: rows and pixels apart,
// rolling line buffers fed as rows are needed, output rows in random portions, in place.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "exporters/interpreter.h"
#include "exporters/steps.h"
#include "tests/exporters/random_graphs.h"

namespace mcufit::testing {
namespace {

constexpr int kCases = 600;

std::int16_t narrow(std::int64_t value) { return static_cast<std::int16_t>(value); }

// A plan for make_step(); the tests put views of their own in its place.
MemoryPlan stacked_plan(const Graph& graph) {
  MemoryPlan plan;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const std::int64_t bytes = graph.node(id).shape.elements();
    plan.steps.push_back({id});
    plan.placements.push_back({id, plan.arena_bytes, bytes, 0, graph.size() - 1});
    plan.arena_bytes += (bytes + 3) / 4 * 4;
  }
  return plan;
}

// An arena in which tensors stand with gaps that must not be touched.
class Arena {
 public:
  explicit Arena(Random& random) : random_(random) {}

  mcufit_view allocate(Shape shape, std::int32_t ring_rows) {
    const auto pixel_stride = shape.channels + static_cast<std::int32_t>(random_.below(4));
    const auto row_stride = shape.width * pixel_stride + static_cast<std::int32_t>(random_.below(6));
    const auto offset = static_cast<std::int32_t>(bytes.size()) + static_cast<std::int32_t>(random_.below(5));
    const std::vector<std::int8_t> garbage = random_bytes(random_, std::int64_t{row_stride} * ring_rows + 5);
    bytes.insert(bytes.end(), garbage.begin(), garbage.end());
    return {offset, row_stride, narrow(pixel_stride), narrow(ring_rows)};
  }

  std::int8_t* pixel(const mcufit_view& view, std::int32_t row, std::int32_t column) {
    return bytes.data() + view.offset + row % view.ring_rows * view.row_stride + column * view.pixel_stride;
  }

  void put_row(const mcufit_view& view, Shape shape, const std::vector<std::int8_t>& tensor,
               std::int32_t row) {
    for (std::int32_t x = 0; x < shape.width; ++x) {
      std::memcpy(pixel(view, row, x), tensor.data() + (row * shape.width + x) * shape.channels,
                  static_cast<std::size_t>(shape.channels));
    }
  }

  std::vector<std::int8_t> bytes;

 private:
  Random& random_;
};

// Where a step finds its tensors, and which input rows one output row reads.
struct Streamed {
  mcufit_view input, output;
  std::int32_t span, stride, pad_top;  // span: rows from the first to the last tap
};

// Feeds input rows into the ring as they are needed, runs random portions of output rows, and compares each.
void run_streamed(Random& random, Arena& arena, const RuntimeStep& step, const Streamed& s, const Shape& in,
                  const Shape& out, const std::vector<std::int8_t>& input,
                  const std::vector<std::int8_t>& expected) {
  std::int32_t fed = 0;
  for (std::int32_t first = 0; first < out.height;) {
    const std::int32_t most = std::max(1, (s.input.ring_rows - s.span) / s.stride + 1);
    const std::int32_t wanted =
        static_cast<std::int32_t>(random.between(1, std::min<std::int32_t>(most, s.output.ring_rows)));
    const std::int32_t end = std::min(out.height, first + wanted);
    const std::int32_t needed = std::min(in.height, (end - 1) * s.stride - s.pad_top + s.span);
    for (; fed < needed; ++fed) arena.put_row(s.input, in, input, fed);
    std::vector<std::int8_t> after = arena.bytes;
    run_step(step, arena.bytes.data(), narrow(first), narrow(end));
    std::swap(after,
              arena.bytes);  // the expected rows go into the arena before, which must give the arena after
    for (std::int32_t y = first; y < end; ++y) arena.put_row(s.output, out, expected, y);
    ASSERT_EQ(arena.bytes, after) << "output rows [" << first << ", " << end << ")";
    first = end;
  }
}

std::int32_t random_ring(Random& random, std::int32_t least, std::int32_t height) {
  return least >= height ? height : static_cast<std::int32_t>(random.between(least, height));
}

template <typename WindowedStep>
void check_windowed(Random& random, const QuantizedGraph& graph, WindowedStep step) {
  const Shape& in = graph.graph.input_shape();
  const Shape& out = graph.graph.output_shape();
  const std::vector<std::int8_t> input = random_bytes(random, in.elements());
  const std::vector<std::int8_t> expected = interpret(graph, input).back();
  const mcufit_window& w = step.fields.window;
  const std::int32_t span = (w.kernel_height - 1) * w.dilation_height + 1;
  Arena arena(random);
  step.fields.input =
      arena.allocate(in, random_ring(random, std::max<std::int32_t>(span, w.stride_height), in.height));
  step.fields.output = arena.allocate(out, random_ring(random, 1, out.height));
  run_streamed(random, arena, RuntimeStep(step),
               {step.fields.input, step.fields.output, span, w.stride_height, w.pad_top}, in, out, input,
               expected);
}

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
    if (random.below(4) == 0) return AveragePool2d{{input.height, input.width, 1, 1, {}}};
    return AveragePool2d{random_window(random, input)};
  });
}

TEST(Kernels, MaxPool2dEqualsInterpreter) {
  check_cases<MaxPool2dStep>(
      [](Random& random, Shape input) -> Op { return MaxPool2d{random_window(random, input)}; });
}

// Takes the taps between the dilated ones out of a filter in which they are zero.
template <typename WindowedStep>
void dilate(WindowedStep& step, std::int16_t height, std::int16_t width, std::size_t filters) {
  mcufit_window& w = step.fields.window;
  const std::vector<std::int8_t> sparse = std::move(step.tables.filter);
  step.tables.filter.clear();
  const std::size_t depth =
      sparse.size() / filters / static_cast<std::size_t>(w.kernel_height * w.kernel_width);
  for (std::size_t i = 0; i < sparse.size(); ++i) {
    const auto tap = static_cast<std::int32_t>(i / depth) % (w.kernel_height * w.kernel_width);
    if (tap / w.kernel_width % height == 0 && tap % w.kernel_width % width == 0)
      step.tables.filter.push_back(sparse[i]);
  }
  w.kernel_height = narrow((w.kernel_height - 1) / height + 1);
  w.kernel_width = narrow((w.kernel_width - 1) / width + 1);
  w.dilation_height = height;
  w.dilation_width = width;
}

// A dilated kernel is a larger one with zeros between its taps: that is what the interpreter runs.
template <typename WindowedStep, typename Convolution>
void check_dilation(bool depthwise) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < kCases && !::testing::Test::HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    Shape input = random_shape(random, 8, 5);
    input.height += 4;
    input.width += 4;
    const auto height = narrow(random.between(1, 3)), width = narrow(random.between(1, 3));
    Convolution op;
    op.bias = true;
    op.window = square_window(1, static_cast<std::int32_t>(random.between(1, 2)), 0);
    op.window.kernel_height = static_cast<std::int32_t>(random.between(0, 1)) * height + 1;
    op.window.kernel_width = static_cast<std::int32_t>(random.between(0, 1)) * width + 1;
    op.window.padding = {op.window.kernel_height / 2, op.window.kernel_height / 2, op.window.kernel_width / 2,
                         op.window.kernel_width / 2};
    if constexpr (requires { op.output_channels; })
      op.output_channels = static_cast<std::int32_t>(random.between(1, 4));
    QuantizedGraph graph = single_op_graph(random, input, op);
    const std::size_t filters = depthwise ? 1 : static_cast<std::size_t>(graph.graph.output_shape().channels);
    auto& filter = graph.nodes[1].filter;
    const std::size_t taps = static_cast<std::size_t>(op.window.kernel_height * op.window.kernel_width);
    const std::size_t depth = filter.size() / filters / taps;
    for (std::size_t k = 0; k < filter.size(); ++k) {
      const auto tap = static_cast<std::int32_t>(k / depth % taps);
      if (tap / op.window.kernel_width % height != 0 || tap % op.window.kernel_width % width != 0)
        filter[k] = 0;
    }
    auto step = std::get<WindowedStep>(make_step(graph, stacked_plan(graph.graph), 1));
    dilate(step, height, width, filters);
    check_windowed(random, graph, std::move(step));
  }
}

TEST(Kernels, DilatedConv2dEqualsInterpreter) { check_dilation<Conv2dStep, Conv2d>(false); }
TEST(Kernels, DilatedDepthwiseConv2dEqualsInterpreter) {
  check_dilation<DepthwiseConv2dStep, DepthwiseConv2d>(true);
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

// The kernel's arithmetic is the interpreter's; what may differ is which inputs count and where the bytes go.
TEST(Kernels, SoftmaxEqualsInterpreter) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < kCases; ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const Shape shape{1, 1, static_cast<std::int32_t>(random.between(1, i % 4 == 0 ? 511 : 20))};
    const QuantizedGraph graph = single_op_graph(random, shape, Softmax{i % 2 == 0 ? 1.0F : 30.0F});
    const MemoryPlan plan = stacked_plan(graph.graph);
    const RuntimeStep step = make_step(graph, plan, 1);
    const std::vector<std::int8_t> input = random_bytes(random, shape.elements());
    std::vector<std::int8_t> arena = random_bytes(random, plan.arena_bytes + 7);
    std::copy(input.begin(), input.end(), arena.begin());
    std::vector<std::int8_t> expected = arena;
    const std::vector<std::int8_t> output = interpret(graph, input).back();
    std::copy(output.begin(), output.end(), expected.begin() + plan.placement(1).offset);
    run_step(step, arena.data(), 0, 1);
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

}  // namespace
}  // namespace mcufit::testing
