// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "blocks/graph.h"
#include "cost-models/cores.h"

namespace mcufit {

// One node, or a group of consecutive nodes that runs row by row in the order of row_schedule(). Step 0
// starts with the input tensor, which the sender fills: whole before the step, or in a group of several nodes
// row by row when its calls come up.
struct Step {
  std::vector<NodeId> nodes;
  bool by_rows = false;  // one row per call; groups always, one node when its output overlaps its input
  // Of a group that runs in tiles (GroupTiles) the columns of the last node's output at which a tile ends.
  std::vector<std::int32_t> tile_cuts = {};
  // What the kernels of its nodes work with, one call at a time.
  std::int64_t scratch_offset = 0;
  std::int64_t scratch_bytes = 0;
  bool operator==(const Step&) const = default;
};

// Where a node's output tensor lies in the arena and from which step to which it is needed, inclusive.
struct Placement {
  NodeId node = 0;
  std::int64_t offset = 0;
  std::int64_t bytes = 0;
  std::int32_t first_step = 0;
  std::int32_t last_step = 0;
  // 0: the whole tensor. Else a rolling line buffer inside of its group: row r lies at r % ring_rows, and in
  // a group that runs in tiles has the columns that the widest tile asks for.
  std::int32_t ring_rows = 0;
  // The int32 sums of a mean or an average that its group feeds with rows, one per element of the output;
  // needed during that step alone.
  std::int64_t sums_offset = 0;
  std::int64_t sums_bytes = 0;
  bool operator==(const Placement&) const = default;
};

// In which steps the nodes run and where their outputs lie. One placement per node, in node order.
struct MemoryPlan {
  std::vector<Step> steps;
  std::vector<Placement> placements;
  std::int64_t arena_bytes = 0;
  std::int64_t lower_bound_bytes = 0;  // see the function that planned
  Isa isa = Isa::portable;             // whose kernels the scratch of the steps is for (kernel_scratch.h)

  const Placement& placement(NodeId id) const { return placements[static_cast<std::size_t>(id)]; }
};

// Tensors start at multiples of this, for kernels that load words.
inline constexpr std::int64_t kTensorAlignment = 4;

// Layer by layer in node order; element-wise nodes write over an input that nobody reads later, a reshape is
// its input's bytes. Its bound is the most bytes live at one step: no layer-by-layer placement needs less.
// The plan is verified.
MemoryPlan plan(const Graph& lowered, Isa isa = Isa::portable);

enum class PlanMode {
  layer_by_layer,
  quick,  // groups of few nodes, one placement: for prices inside of a search
  best,   // all groups, placements improved: never larger than quick
};

struct PlanOptions {
  PlanMode mode = PlanMode::best;
  // With a limit: of the plans that fit it one with the fewest MACs and calls (in the quick mode, of the few
  // that it tries). Without, or if none fits: the smallest.
  std::optional<std::int64_t> ram_limit = {};
  bool input_streamed = false;  // the sender may deliver the input row by row when it is asked for
  // Groups may run in tiles, which makes columns twice, up to so many times the MACs of the network. Above 1
  // plan_front() may give plans in tiles, and so may the quick mode where it finds no other within the limit;
  // the input, if it is streamed, is then delivered tile by tile.
  double most_mac_factor = 1.0;
  Isa isa = Isa::portable;  // of the kernels
};

// A larger factor allows no more.
inline constexpr double kMostMacFactor = 1e6;

// Groups run row by row wherever that saves bytes; never larger than layer by layer. The bound of the best
// mode is least_live_bytes(), that of the quick mode the most bytes that one step of its own grouping needs.
// The plan is verified.
MemoryPlan plan(const Graph& lowered, const PlanOptions& options);

// The nodes of a group in the quick mode, at most: an inverted residual and its neighbours.
inline constexpr NodeId kQuickGroup = 8;

// A plan and what it costs: no other of its front has as few arena bytes, MACs and calls.
struct FrontPoint {
  MemoryPlan plan;
  std::int64_t macs = 0;                // those that tiles make again among them
  std::int64_t calls = 0;               // of kernels, a row each in groups
  std::int64_t extra_weight_bytes = 0;  // filter bytes read again because a kernel is called row by row
};

// The plans of a net that are worth having, smallest arena first; the last is layer by layer. The bound of
// plans among which there are some in tiles is that of tiles, too.
std::vector<FrontPoint> plan_front(const Graph& lowered, const PlanOptions& options);

// Runs the plan row by row on paper. Throws Error(internal) when a row is overwritten that is still read, a
// row or column is read that is not there, a tensor leaves the arena or is not kept as long as it is needed,
// or a group cannot run by rows or in its tiles.
void verify(const MemoryPlan& plan, const Graph& lowered);

// True when node `id` writes its output over its input `input` element by element, or is the same bytes.
bool in_place(const MemoryPlan& plan, const Graph& lowered, NodeId id, NodeId input);

// Bytes of the tensors that are needed while step `step` runs; one that is written over counts once.
std::int64_t live_bytes(const MemoryPlan& plan, const Graph& lowered, std::int32_t step);

// "layer by layer", "3 groups by rows" or "3 groups by rows, 1 in tiles": how a network runs.
std::string describe(const MemoryPlan& plan);

// The arena over time, a line per step: live bytes, a bar, and the tensors.
std::string picture(const MemoryPlan& plan, const Graph& lowered);

nlohmann::json to_json(const MemoryPlan& plan);

}  // namespace mcufit
