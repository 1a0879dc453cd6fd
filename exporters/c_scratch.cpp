// SPDX-License-Identifier: Apache-2.0
#include "exporters/c_scratch.h"

#include <fmt/format.h>

#include <algorithm>

#include "blocks/foundation/error.h"
#include "cost-models/kernel_scratch.h"
#include "exporters/c_text.h"

namespace mcufit {
namespace {

std::string behind_macro(const std::string& name) { return upper(name) + "_SCRATCH_BYTES_BEHIND"; }

// A core with Helium has the DSP instructions too, so that the branch of the first is there even where it
// takes nothing.
std::string bytes_by_isa(const Graph& lowered, const MemoryPlan& plan, const std::string& name) {
  std::string text;
  for (const Isa isa : variant_isas()) {
    const std::int64_t bytes = scratch_bytes_behind(lowered, plan, isa);
    if (bytes == 0 && !text.empty()) continue;
    text += fmt::format("#{} defined({})\n#define {} {}\n", text.empty() ? "if" : "elif", isa_macro(isa),
                        behind_macro(name), bytes);
  }
  return text + fmt::format("#else\n#define {} 0\n#endif\n", behind_macro(name));
}

}  // namespace

std::int64_t scratch_bytes_behind(const Graph& lowered, const MemoryPlan& plan, Isa isa) {
  if (isa == plan.isa) return 0;
  std::int64_t most = 0;
  for (NodeId id = 0; id < lowered.size(); ++id)
    most = std::max(most, kernel_scratch_bytes(lowered, id, isa));
  return most;
}

bool has_scratch_behind(const Graph& lowered, const MemoryPlan& plan) {
  return std::ranges::any_of(isas(), [&](Isa isa) { return scratch_bytes_behind(lowered, plan, isa) > 0; });
}

void check_scratch(const Graph& lowered, const MemoryPlan& plan) {
  for (const Step& step : plan.steps) {
    for (const NodeId id : step.nodes) {
      const std::int64_t needed = kernel_scratch_bytes(lowered, id, plan.isa);
      if (needed <= step.scratch_bytes) continue;
      throw Error(
          ExitCode::internal,
          fmt::format("{}: the plan has {} bytes for the kernel of {} to work with, which takes {} for {}; "
                      "accepted: that many, or a plan for portable kernels",
                      lowered.name, step.scratch_bytes, lowered.node(id).name, needed, to_string(plan.isa)));
    }
  }
}

std::string arena_macros(const Graph& lowered, const MemoryPlan& plan, const std::string& name) {
  const std::string arena = upper(name) + "_ARENA_BYTES";
  if (!has_scratch_behind(lowered, plan)) return fmt::format("#define {} {}\n\n", arena, plan.arena_bytes);
  const std::string planned =
      plan.isa == Isa::portable
          ? "is for kernels in portable C"
          : fmt::format("has room for what kernels for {} work with", to_string(plan.isa));
  return fmt::format(
      "\n/* The memory plan {}.\n"
      "   Kernels for other instruction sets work behind what is planned, so that all files of the package "
      "are "
      "to\n   be compiled for the same core, with the same flags. */\n"
      "{}#define {} ({} + {})\n\n",
      planned, bytes_by_isa(lowered, plan, name), arena, plan.arena_bytes, behind_macro(name));
}

std::string scratch_macro(const Graph& lowered, const MemoryPlan& plan, const std::string& name) {
  const bool works = std::ranges::any_of(lowered.nodes, [](const Node& node) {
    return std::holds_alternative<Conv2d>(node.op) || std::holds_alternative<DepthwiseConv2d>(node.op);
  });
  if (!works) return "";
  const std::string macro = scratch_macro_name(name);
  if (!has_scratch_behind(lowered, plan)) return fmt::format("#define {}(planned) (planned)\n\n", macro);
  return fmt::format(
      "/* Where a kernel works: where the plan has room for it, or behind what is planned. */\n"
      "#if {0} == 0\n#define {1}(planned) (planned)\n#else\n#define {1}(planned) ({2}_ARENA_BYTES - {0})\n"
      "#endif\n\n",
      behind_macro(name), macro, upper(name));
}

std::string scratch_macro_name(std::string_view name) { return upper(name) + "_SCRATCH"; }

}  // namespace mcufit
