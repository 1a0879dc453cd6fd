// SPDX-License-Identifier: Apache-2.0
#include "cost-models/bound.h"

#include <algorithm>
#include <limits>

#include "blocks/lower.h"
#include "cost-models/grouping.h"
#include "cost-models/layout.h"
#include "exporters/runtime/mcufit_runtime.h"

namespace mcufit {
namespace {

std::int64_t filter_bytes(const Footprint& f) {
  return f.filter_elements + kBytesPerFilterChannel * f.filter_channels;
}

// A kernel that works on a whole input, and the one in its place where a group feeds it with rows.
struct Replaceable {
  const char* whole;
  const char* by_rows;
  std::int64_t step_bytes_saved;  // by the second, at most
};
constexpr Replaceable kReplaceable[] = {
    {"mean_s8", "mean_rows_s8",
     std::max<std::int64_t>(MCUFIT_MEAN_S8_STEP_BYTES - MCUFIT_MEAN_ROWS_S8_STEP_BYTES, 0)},
    {"average_pool2d_s8", "average_pool2d_rows_s8",
     std::max<std::int64_t>(MCUFIT_POOL2D_S8_STEP_BYTES - MCUFIT_AVERAGE_POOL2D_ROWS_S8_STEP_BYTES, 0)}};

// Of any plan with steps by rows, at least: each replaceable kernel as it is, or the other one in its place.
CodeCost least_row_code(const Graph& lowered, const CodeSizes& sizes) {
  const auto calls = static_cast<std::int64_t>(called_nodes(lowered).size());
  CodeCost least{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max()};
  for (unsigned replaced = 0; replaced < 1U << std::size(kReplaceable); ++replaced) {
    auto kernels = kernels_of(lowered);
    for (std::size_t i = 0; i < std::size(kReplaceable); ++i) {
      if ((replaced >> i & 1U) != 0 && kernels.erase(kReplaceable[i].whole) > 0)
        kernels.emplace(kReplaceable[i].by_rows);
    }
    kernels.emplace(kRowOrder);
    const CodeCost code = price_code(kernels, calls, sizes);
    least.code_bytes = std::min(least.code_bytes, code.code_bytes);
    least.stack_bytes = std::min(least.stack_bytes, code.stack_bytes);
  }
  return least;
}

std::int64_t step_bytes_saved(const Graph& lowered) {
  std::int64_t saved = 0;
  for (const Node& node : lowered.nodes) {
    for (const Replaceable& r : kReplaceable) saved += kernel_of(node) == r.whole ? r.step_bytes_saved : 0;
  }
  return saved;
}

}  // namespace

Overhead overhead_of(const Architecture& bottom_corner, const Budget& budget,
                     const CodeSizesForTarget& code) {
  const Graph lowered = lower(bottom_corner.build());
  const Cost whole = price(lowered, code);
  Overhead overhead;
  overhead.flash_bytes = whole.flash.total() - filter_bytes(bottom_corner.footprint());
  overhead.whole_ram_bytes = overhead.ram_bytes = whole.ram.total() - whole.ram.arena_bytes;
  if (budget.plan == PlanChoice::layer_by_layer) return overhead;
  const CodeCost rows = least_row_code(lowered, code.sizes);
  const std::int64_t flash_by_rows = overhead.flash_bytes - whole.flash.code_bytes + rows.code_bytes +
                                     least_row_table_bytes(lowered) - step_bytes_saved(lowered);
  overhead.flash_bytes = std::min(overhead.flash_bytes, flash_by_rows);
  overhead.ram_bytes = std::min(overhead.ram_bytes, rows.stack_bytes);
  return overhead;
}

std::int64_t flash_lower_bound(const Footprint& footprint, const Overhead& overhead) {
  return filter_bytes(footprint) + overhead.flash_bytes;
}

std::int64_t whole_ram_lower_bound(const Footprint& footprint, const Overhead& overhead) {
  return footprint.peak_activation_bytes + overhead.whole_ram_bytes;
}

std::int64_t input_ram_lower_bound(const Shape& input, const Overhead& overhead) {
  return input.elements() + overhead.ram_bytes;
}

std::int64_t row_ram_lower_bound(const Graph& lowered, const Overhead& overhead, const Budget& budget) {
  const LiveBytesSearch search =
      budget.mac_factor > 1 ? LiveBytesSearch{.tiles = true} : LiveBytesSearch{.longest = kQuickGroup};
  return least_live_bytes(RowGraph(lowered), search) + overhead.ram_bytes;
}

bool rows_may_fit(const Graph& lowered, const Overhead& overhead, const Budget& budget) {
  if (budget.mac_factor > 1) return row_ram_lower_bound(lowered, overhead, budget) <= budget.ram_bytes;
  return live_bytes_within(RowGraph(lowered), kQuickGroup, budget.ram_bytes - overhead.ram_bytes);
}

Fit bound(const Footprint& bottom_corner, const Shape& input, const Overhead& overhead,
          const Budget& budget) {
  Fit fit;
  fit.hold(Resource::flash, flash_lower_bound(bottom_corner, overhead), budget.flash_bytes);
  fit.hold(Resource::ram,
           budget.plan == PlanChoice::layer_by_layer ? whole_ram_lower_bound(bottom_corner, overhead)
                                                     : input_ram_lower_bound(input, overhead),
           budget.ram_bytes);
  if (budget.macs) fit.hold(Resource::macs, bottom_corner.macs, *budget.macs);
  if (budget.params) fit.hold(Resource::params, bottom_corner.params, *budget.params);
  return fit;
}

}  // namespace mcufit
