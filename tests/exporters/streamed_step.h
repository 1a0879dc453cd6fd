// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "exporters/interpreter.h"
#include "exporters/steps.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/step_arena.h"

namespace mcufit::testing {

// Where a step finds its tensors and works, and which input rows one output row reads.
struct Streamed {
  mcufit_view input, output;
  Scratch scratch;
  std::int32_t span, stride, pad_top;  // span: rows from the first to the last tap
};

// Feeds input rows into the ring as they are needed, runs random portions of output rows, and compares each.
inline void run_streamed(Random& random, Arena& arena, const RuntimeStep& step, const Streamed& s,
                         const Shape& in, const Shape& out, const std::vector<std::int8_t>& input,
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
    run_with_scratch(arena.bytes, s.scratch,
                     [&](std::int8_t* bytes) { run_step(step, bytes, narrow(first), narrow(end)); });
    std::swap(after,
              arena.bytes);  // the expected rows go into the arena before, which must give the arena after
    for (std::int32_t y = first; y < end; ++y) arena.put_row(s.output, out, expected, y);
    ASSERT_EQ(arena.bytes, after) << "output rows [" << first << ", " << end << ")";
    first = end;
  }
}

// Often the whole tensor, so that a call makes several rows.
inline std::int32_t random_ring(Random& random, std::int32_t least, std::int32_t height) {
  return least >= height || random.below(2) == 0 ? height
                                                 : static_cast<std::int32_t>(random.between(least, height));
}

template <typename WindowedStep>
void put_scratch(WindowedStep& step, const Scratch& scratch) {
  if constexpr (requires { step.fields.scratch; })
    step.fields.scratch = static_cast<std::int32_t>(scratch.offset);
}

// Of a graph of one op, in a random layout.
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
  const Scratch scratch = arena.allocate_scratch(graph.graph, kTestedIsa);
  put_scratch(step, scratch);
  run_streamed(random, arena, RuntimeStep(step),
               {step.fields.input, step.fields.output, scratch, span, w.stride_height, w.pad_top}, in, out,
               input, expected);
}

}  // namespace mcufit::testing
