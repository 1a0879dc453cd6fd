// SPDX-License-Identifier: Apache-2.0
// What tests of single kernels share: an arena in which tensors lie in layouts of the test's own.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "blocks/foundation/random.h"
#include "cost-models/cores.h"
#include "cost-models/kernel_scratch.h"
#include "cost-models/plan.h"
#include "exporters/runtime/mcufit_runtime.h"
#include "tests/exporters/random_graphs.h"

namespace mcufit::testing {

inline constexpr int kCases = 600;

inline std::int16_t narrow(std::int64_t value) { return static_cast<std::int16_t>(value); }

// A plan for make_step(), tensors one behind the other; tests put views of their own in its place.
inline MemoryPlan stacked_plan(const Graph& graph) {
  MemoryPlan plan;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const std::int64_t bytes = graph.node(id).shape.elements();
    plan.steps.push_back({.nodes = {id}});
    plan.placements.push_back(
        {.node = id, .offset = plan.arena_bytes, .bytes = bytes, .last_step = graph.size() - 1});
    plan.arena_bytes += (bytes + 3) / 4 * 4;
  }
  return plan;
}

// Whose variants of the kernels this program has.
#ifdef MCUFIT_TESTED_ISA
inline constexpr Isa kTestedIsa = Isa::MCUFIT_TESTED_ISA;
#else
inline constexpr Isa kTestedIsa = Isa::portable;
#endif

// Bytes of an arena that a kernel works with, and no others but its output's.
struct Scratch {
  std::size_t offset = 0;
  std::size_t bytes = 0;
};

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

  mcufit_view allocate(Shape shape) { return allocate(shape, shape.height); }

  // Exactly the bytes that the op of a graph of one op asks for, with some before and behind that are
  // nobody's; by words where the arena starts `misaligned` bytes behind one.
  Scratch allocate_scratch(const Graph& graph, Isa isa, std::size_t misaligned = 0) {
    const Scratch scratch{(bytes.size() + misaligned + 11) / 4 * 4 - misaligned,
                          static_cast<std::size_t>(kernel_scratch_bytes(graph, 1, isa))};
    const std::size_t size = scratch.offset + scratch.bytes + 8;
    const auto fill = random_bytes(random_, static_cast<std::int64_t>(size - bytes.size()));
    bytes.insert(bytes.end(), fill.begin(), fill.end());
    return scratch;
  }

  std::int8_t* pixel(const mcufit_view& view, std::int32_t row, std::int32_t column) {
    const std::int32_t at = row % view.ring_rows * view.row_stride + column * view.pixel_stride;
    return bytes.data() + view.offset + at;
  }

  void put_row(const mcufit_view& view, Shape shape, const std::vector<std::int8_t>& tensor,
               std::int32_t row) {
    for (std::int32_t x = 0; x < shape.width; ++x) {
      const std::int32_t from = (row * shape.width + x) * shape.channels;
      std::memcpy(pixel(view, row, x), tensor.data() + from, static_cast<std::size_t>(shape.channels));
    }
  }

  void put(const mcufit_view& view, Shape shape, const std::vector<std::int8_t>& tensor) {
    for (std::int32_t y = 0; y < shape.height; ++y) put_row(view, shape, tensor, y);
  }

  std::vector<std::int8_t> bytes;

 private:
  Random& random_;
};

// What was in the scratch before made no difference to what a call left of two arenas that differ there
// alone, byte by byte: `before` and its complement.
inline void expect_stable(const std::vector<std::int8_t>& first, const std::vector<std::int8_t>& second,
                          const std::vector<std::int8_t>& before, const Scratch& scratch) {
  for (std::size_t i = 0; i < first.size(); ++i) {
    const bool inside = i >= scratch.offset && i < scratch.offset + scratch.bytes;
    if (inside && first[i] == before[i] && second[i] == ~before[i]) continue;  // untouched
    ASSERT_EQ(first[i], second[i]) << "byte " << i
                                   << (inside ? " of the scratch at " : " beside the scratch at ")
                                   << scratch.offset;
  }
}

inline void complement(std::vector<std::int8_t>& bytes, const Scratch& scratch) {
  const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(scratch.offset);
  std::transform(begin, begin + static_cast<std::ptrdiff_t>(scratch.bytes), begin,
                 [](std::int8_t byte) { return static_cast<std::int8_t>(~byte); });
}

// Puts the scratch of one arena into another.
inline void restore(std::vector<std::int8_t>& bytes, const std::vector<std::int8_t>& from,
                    const Scratch& scratch) {
  const auto offset = static_cast<std::ptrdiff_t>(scratch.offset);
  std::copy_n(from.begin() + offset, scratch.bytes, bytes.begin() + offset);
}

// Runs a call twice, from different bytes in the scratch. Those count for nothing afterwards: they are what
// they were before.
template <typename Call>
void run_with_scratch(std::vector<std::int8_t>& arena, const Scratch& scratch, const Call& call) {
  const std::vector<std::int8_t> before = arena;
  std::vector<std::int8_t> other = arena;
  complement(other, scratch);
  call(arena.data());
  call(other.data());
  expect_stable(arena, other, before, scratch);
  restore(arena, before, scratch);
}

}  // namespace mcufit::testing
