// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "blocks/graph.h"

namespace mcufit {

// The execution of one node over its whole output. Step 0 fills the input tensor (the sender does), step i >
// 0 executes a node.
struct Step {
  NodeId node = 0;
};

// Where a node's output tensor lies in the arena and from which step to which it is needed, inclusive.
struct Placement {
  NodeId node = 0;
  std::int64_t offset = 0;
  std::int64_t bytes = 0;
  std::int32_t first_step = 0;
  std::int32_t last_step = 0;
  bool operator==(const Placement&) const = default;
};

// When each node runs and where its output lies. One placement per node, in node order.
struct MemoryPlan {
  std::vector<Step> steps;
  std::vector<Placement> placements;
  std::int64_t arena_bytes = 0;
  std::int64_t lower_bound_bytes = 0;  // most bytes live at one step: no layer-by-layer placement needs less

  const Placement& placement(NodeId id) const { return placements[static_cast<std::size_t>(id)]; }
};

// Tensors start at multiples of this, for kernels that load words.
inline constexpr std::int64_t kTensorAlignment = 4;

// Layer by layer in node order; element-wise nodes write over an input that nobody reads later, a reshape is
// its input's bytes. The plan is verified.
MemoryPlan plan(const Graph& lowered);

// Throws Error(internal) when two placements that are ever live together share a byte (unless one is written
// in place of the other), one leaves the arena, or a node reads what no longer lies there.
void verify(const MemoryPlan& plan, const Graph& lowered);

// True when step `id` writes its output over its input `input` element by element, or is the same bytes.
bool in_place(const MemoryPlan& plan, const Graph& lowered, NodeId id, NodeId input);

// Bytes of the tensors that are needed while step `step` runs; one that is written over counts once.
std::int64_t live_bytes(const MemoryPlan& plan, const Graph& lowered, NodeId step);

// The arena over time, a line per step: live bytes, a bar, and the tensors.
std::string picture(const MemoryPlan& plan, const Graph& lowered);

nlohmann::json to_json(const MemoryPlan& plan);

}  // namespace mcufit
