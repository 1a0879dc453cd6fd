// SPDX-License-Identifier: Apache-2.0
// What tests of single kernels share: an arena in which tensors lie in layouts of the test's own.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "blocks/foundation/random.h"
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

}  // namespace mcufit::testing
