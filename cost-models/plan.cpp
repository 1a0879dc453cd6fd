// SPDX-License-Identifier: Apache-2.0
#include "cost-models/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "blocks/foundation/error.h"
#include "blocks/foundation/text.h"
#include "cost-models/kernel_scratch.h"

namespace mcufit {
namespace {

std::int64_t align(std::int64_t bytes) {
  return (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

bool live_together(const Placement& a, const Placement& b) {
  return a.first_step <= b.last_step && b.first_step <= a.last_step;
}

// A stretch of the arena that one tensor, or a chain of tensors written over each other, occupies.
struct Block {
  std::vector<NodeId> nodes;
  Placement extent;  // offset, bytes and steps of the whole chain
};

// True when node `id` may write over input `from`, all of whose bytes it then replaces.
bool may_replace(const Graph& lowered, NodeId id, NodeId from) {
  return works_in_place(lowered.node(id).op) &&
         lowered.node(from).shape.elements() == lowered.node(id).shape.elements();
}

// Chains each element-wise node to an operand that nobody needs later, and each reshape to its input, whose
// bytes it is; every other node starts a block of its own.
std::vector<Block> chain_blocks(const Graph& lowered, const std::vector<NodeId>& last) {
  std::vector<Block> blocks;
  std::vector<std::size_t> block_of(lowered.nodes.size());
  for (NodeId id = 0; id < lowered.size(); ++id) {
    const Node& node = lowered.node(id);
    const std::int32_t dies = last[static_cast<std::size_t>(id)];
    std::size_t block = blocks.size();
    for (const NodeId from : node.inputs) {
      const std::size_t of_input = block_of[static_cast<std::size_t>(from)];
      const bool free = blocks[of_input].extent.last_step == id && may_replace(lowered, id, from);
      if (free || std::holds_alternative<Reshape>(node.op)) block = of_input;
    }
    if (block == blocks.size()) {
      blocks.push_back(
          {{}, {.node = id, .bytes = align(node.shape.elements()), .first_step = id, .last_step = dies}});
    }
    blocks[block].nodes.push_back(id);
    blocks[block].extent.last_step = std::max(blocks[block].extent.last_step, dies);
    block_of[static_cast<std::size_t>(id)] = block;
  }
  return blocks;
}

// What is placed: tensors, and what the kernel of a step works with.
struct Layout {
  std::vector<Block> blocks;
  std::vector<Placement> scratch;
};

Layout layout_of(const Graph& lowered, const std::vector<NodeId>& last, Isa isa) {
  Layout layout{chain_blocks(lowered, last), {}};
  for (NodeId id = 0; id < lowered.size(); ++id) {
    const std::int64_t bytes = kernel_scratch_bytes(lowered, id, isa);
    if (bytes > 0) layout.scratch.push_back({.node = id, .bytes = bytes, .first_step = id, .last_step = id});
  }
  return layout;
}

using Placed = std::vector<const Placement*>;

// Those of `placed` that live with `block`, by offset.
Placed neighbours(const Placement& block, const Placed& placed) {
  Placed live;
  for (const Placement* p : placed) {
    if (live_together(*p, block)) live.push_back(p);
  }
  std::sort(live.begin(), live.end(), [](const auto* a, const auto* b) { return a->offset < b->offset; });
  return live;
}

// The lowest offset at which `block` touches none of `placed` that lives with it.
std::int64_t lowest_gap(const Placement& block, const Placed& placed) {
  std::int64_t offset = 0;
  for (const Placement* p : neighbours(block, placed)) {
    if (offset + block.bytes <= p->offset) break;
    offset = std::max(offset, p->offset + p->bytes);
  }
  return offset;
}

// The highest such offset below `ceiling`; the lowest gap where there is none.
std::int64_t highest_gap(const Placement& block, const Placed& placed, std::int64_t ceiling) {
  const Placed live = neighbours(block, placed);
  std::int64_t end = ceiling;
  for (auto p = live.rbegin(); p != live.rend(); ++p) {
    // One further down may reach higher: neighbours that do not live together overlap.
    if ((*p)->offset + (*p)->bytes > end - block.bytes) end = std::min(end, (*p)->offset);
  }
  return end >= block.bytes ? end - block.bytes : lowest_gap(block, placed);
}

// Places blocks in the given order, then scratch where these leave room; returns the arena's size. With a
// ceiling, every other block hangs from it: of a chain of layers each tensor then lies at the end that its
// producer's input has left, which reaches the bound.
std::int64_t place(Layout& layout, const std::vector<std::size_t>& order,
                   std::optional<std::int64_t> ceiling) {
  Placed placed;
  std::int64_t arena = 0;
  bool hang = false;
  for (const std::size_t i : order) {
    Placement& extent = layout.blocks[i].extent;
    extent.offset = hang ? highest_gap(extent, placed, *ceiling) : lowest_gap(extent, placed);
    hang = ceiling.has_value() && !hang;
    arena = std::max(arena, extent.offset + extent.bytes);
    placed.push_back(&extent);
  }
  for (Placement& scratch : layout.scratch) {
    scratch.offset = lowest_gap(scratch, placed);
    arena = std::max(arena, scratch.offset + scratch.bytes);
  }
  return arena;
}

std::int64_t most_live(const Layout& layout, NodeId steps) {
  std::vector<std::int64_t> live(static_cast<std::size_t>(steps));
  const auto add = [&](const Placement& p) {
    for (std::int32_t step = p.first_step; step <= p.last_step; ++step)
      live[static_cast<std::size_t>(step)] += p.bytes;
  };
  for (const Block& block : layout.blocks) add(block.extent);
  for (const Placement& scratch : layout.scratch) add(scratch);
  return *std::max_element(live.begin(), live.end());
}

// Tries orders and ends that place chains of tensors well and keeps the best.
void place_best(Layout& layout, std::int64_t bound) {
  struct Attempt {
    bool (*before)(const Placement&, const Placement&);
    bool from_both_ends;
  };
  const auto born = [](const Placement& a, const Placement& b) { return a.first_step < b.first_step; };
  const auto larger = [](const Placement& a, const Placement& b) { return a.bytes > b.bytes; };
  const auto longer = [](const Placement& a, const Placement& b) {
    return a.last_step - a.first_step > b.last_step - b.first_step;
  };
  std::optional<Layout> best;
  std::int64_t least = 0;
  for (const Attempt& attempt : {Attempt{born, true}, Attempt{larger, false}, Attempt{longer, false},
                                 Attempt{larger, true}, Attempt{born, false}}) {
    std::vector<std::size_t> order(layout.blocks.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return attempt.before(layout.blocks[a].extent, layout.blocks[b].extent);
    });
    const std::int64_t arena =
        place(layout, order, attempt.from_both_ends ? std::optional(bound) : std::nullopt);
    if (!best || arena < least) {
      best = layout;
      least = arena;
    }
    if (least == bound) break;
  }
  layout = std::move(*best);
}

}  // namespace

MemoryPlan plan(const Graph& lowered, Isa isa) {
  const std::vector<NodeId> last = last_uses(lowered);
  Layout layout = layout_of(lowered, last, isa);
  MemoryPlan result;
  result.isa = isa;
  result.lower_bound_bytes = most_live(layout, lowered.size());
  place_best(layout, result.lower_bound_bytes);
  result.placements.resize(lowered.nodes.size());
  for (const Block& block : layout.blocks) {
    result.arena_bytes = std::max(result.arena_bytes, block.extent.offset + block.extent.bytes);
    for (const NodeId id : block.nodes) {
      result.placements[static_cast<std::size_t>(id)] = {.node = id,
                                                         .offset = block.extent.offset,
                                                         .bytes = lowered.node(id).shape.elements(),
                                                         .first_step = id,
                                                         .last_step = last[static_cast<std::size_t>(id)]};
    }
  }
  for (NodeId id = 0; id < lowered.size(); ++id) result.steps.push_back({.nodes = {id}});
  for (const Placement& scratch : layout.scratch) {
    Step& step = result.steps[static_cast<std::size_t>(scratch.node)];
    step.scratch_offset = scratch.offset;
    step.scratch_bytes = scratch.bytes;
    result.arena_bytes = std::max(result.arena_bytes, scratch.offset + scratch.bytes);
  }
  verify(result, lowered);
  return result;
}

bool in_place(const MemoryPlan& plan, const Graph& lowered, NodeId id, NodeId input) {
  const auto& inputs = lowered.node(id).inputs;
  return may_replace(lowered, id, input) && std::find(inputs.begin(), inputs.end(), input) != inputs.end() &&
         plan.placement(id).offset == plan.placement(input).offset &&
         (std::holds_alternative<Reshape>(lowered.node(id).op) ||
          plan.placement(input).last_step == plan.placement(id).first_step);
}

std::int64_t live_bytes(const MemoryPlan& plan, const Graph& lowered, std::int32_t step) {
  std::int64_t live = plan.steps[static_cast<std::size_t>(step)].scratch_bytes;
  const std::vector<NodeId>& nodes = plan.steps[static_cast<std::size_t>(step)].nodes;
  for (const Placement& p : plan.placements) {
    if (p.first_step == step) live += p.sums_bytes;
    if (step < p.first_step || step > p.last_step) continue;
    const auto& inputs = lowered.node(nodes[0]).inputs;
    const bool replaced = nodes.size() == 1 &&
                          std::find(inputs.begin(), inputs.end(), p.node) != inputs.end() &&
                          in_place(plan, lowered, nodes[0], p.node);  // counted with what takes its place
    if (!replaced) live += p.bytes;
  }
  return live;
}

namespace {

// The arena during one step: '#' what it makes, '=' what it finds or keeps, '~' what its kernels work with,
// each column one of `columns` parts.
std::string bar(const MemoryPlan& plan, std::int32_t step, std::int64_t columns) {
  std::string line(static_cast<std::size_t>(columns), '.');
  const auto column = [&](std::int64_t offset) { return offset * columns / plan.arena_bytes; };
  const auto fill = [&](std::int64_t offset, std::int64_t bytes, char mark) {
    const std::int64_t end = std::min(std::max(column(offset + bytes), column(offset) + 1), columns);
    for (std::int64_t c = column(offset); c < end; ++c) line[static_cast<std::size_t>(c)] = mark;
  };
  for (const Placement& p : plan.placements) {
    if (step < p.first_step || step > p.last_step) continue;
    fill(p.offset, p.bytes, p.first_step == step ? '#' : '=');
    if (p.first_step == step && p.sums_bytes > 0) fill(p.sums_offset, p.sums_bytes, '#');
  }
  const Step& s = plan.steps[static_cast<std::size_t>(step)];
  if (s.scratch_bytes > 0) fill(s.scratch_offset, s.scratch_bytes, '~');
  return line;
}

}  // namespace

std::string picture(const MemoryPlan& plan, const Graph& lowered) {
  constexpr std::int64_t kColumns = 48;
  std::vector<std::vector<std::string>> rows{
      {"step", "node", "live bytes", "arena (each column is one of 48 equal parts)"}};
  for (std::int32_t step = 0; step < static_cast<std::int32_t>(plan.steps.size()); ++step) {
    const std::vector<NodeId>& nodes = plan.steps[static_cast<std::size_t>(step)].nodes;
    std::string name = lowered.node(nodes.front()).name;
    if (nodes.size() > 1) name += " .. " + lowered.node(nodes.back()).name;
    rows.push_back({std::to_string(step), name, with_separators(live_bytes(plan, lowered, step)),
                    "|" + bar(plan, step, kColumns) + "|"});
  }
  return aligned_table(rows);
}

std::string describe(const MemoryPlan& plan) {
  const auto groups =
      std::count_if(plan.steps.begin(), plan.steps.end(), [](const Step& step) { return step.by_rows; });
  if (groups == 0) return "layer by layer";
  const auto in_tiles = std::count_if(plan.steps.begin(), plan.steps.end(),
                                      [](const Step& step) { return !step.tile_cuts.empty(); });
  return fmt::format("{} group{} by rows{}", groups, groups == 1 ? "" : "s",
                     in_tiles == 0 ? "" : fmt::format(", {} in tiles", in_tiles));
}

nlohmann::json to_json(const MemoryPlan& plan) {
  nlohmann::json placements = nlohmann::json::array();
  for (const Placement& p : plan.placements) {
    nlohmann::json entry = {{"node", p.node},
                            {"offset", p.offset},
                            {"bytes", p.bytes},
                            {"first_step", p.first_step},
                            {"last_step", p.last_step}};
    if (p.ring_rows > 0) entry["ring_rows"] = p.ring_rows;
    if (p.sums_bytes > 0) {
      entry["sums_offset"] = p.sums_offset;
      entry["sums_bytes"] = p.sums_bytes;
    }
    placements.push_back(std::move(entry));
  }
  nlohmann::json steps = nlohmann::json::array();
  for (const Step& step : plan.steps) {
    steps.push_back({{"nodes", step.nodes}, {"by_rows", step.by_rows}});
    if (!step.tile_cuts.empty()) steps.back()["tile_cuts"] = step.tile_cuts;
    if (step.scratch_bytes > 0) {
      steps.back()["scratch_offset"] = step.scratch_offset;
      steps.back()["scratch_bytes"] = step.scratch_bytes;
    }
  }
  return {{"arena_bytes", plan.arena_bytes}, {"lower_bound_bytes", plan.lower_bound_bytes},
          {"runs", describe(plan)},          {"kernels", to_string(plan.isa)},
          {"steps", std::move(steps)},       {"placements", std::move(placements)}};
}

}  // namespace mcufit
