// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>

#include "blocks/footprint.h"
#include "blocks/graph.h"
#include "cost-models/latency.h"
#include "cost-models/plan.h"
#include "cost-models/target.h"

namespace mcufit {

// What one kernel costs compiled: .text and .rodata bytes, and the deepest stack below its caller.
struct KernelCode {
  std::int64_t text_bytes = 0;
  std::int64_t rodata_bytes = 0;
  std::int64_t stack_bytes = 0;
  // Members of the compiler's library that it needs (division and wide products where the core has none),
  // with their bytes; a model gets each of them once.
  std::map<std::string, std::int64_t, std::less<>> library;
};

// Measured sizes of the runtime for one core, compiler and set of flags; configs/code-sizes/<core>.json,
// written by `mcufit calibrate code-size`.
struct CodeSizes {
  std::string core;
  std::string compiler;  // `arm-none-eabi-gcc -dumpfullversion`
  std::string flags;
  std::map<std::string, KernelCode, std::less<>> kernels;  // by kernel name: "conv2d_s8"
  std::int64_t invoke_base_bytes = 0;                      // <model>_invoke() of a model without steps
  std::int64_t invoke_step_bytes = 0;                      // and each of its calls, literal included
  std::int64_t invoke_stack_bytes = 0;
  std::int64_t invoke_rows_stack_bytes = 0;  // of a model with groups that run row by row
  std::int64_t invoke_from_stack_bytes = 0;  // of a model whose input is streamed
  std::int64_t accessor_bytes = 0;           // <model>_input() and <model>_output() together
};

CodeSizes read_code_sizes(ObjectReader& reader);
nlohmann::json to_json(const CodeSizes& sizes);

// The table for a target's core. `estimated` is true where no table was measured for it and a sibling core's
// stands in.
struct CodeSizesForTarget {
  CodeSizes sizes;
  bool estimated = false;
};
CodeSizesForTarget load_code_sizes(const Target& target);

// Flash by owner, in bytes.
struct FlashLedger {
  std::int64_t weights_bytes = 0;       // of packed filters, a byte a weight
  std::int64_t wider_filter_bytes = 0;  // what wide ones have beyond that (store_wide_filters())
  std::int64_t bias_bytes = 0;
  std::int64_t table_bytes = 0;
  std::int64_t step_bytes = 0;
  std::int64_t code_bytes = 0;  // kernels, the model's invoke function, their read-only data

  // The same on every core.
  std::int64_t model_bytes() const { return weights_bytes + bias_bytes + table_bytes; }
  std::int64_t total() const { return model_bytes() + wider_filter_bytes + step_bytes + code_bytes; }
  bool operator==(const FlashLedger&) const = default;
};

// RAM by owner, in bytes. Input and output lie in the arena.
struct RamLedger {
  std::int64_t arena_bytes = 0;
  std::int64_t data_bss_bytes = 0;  // how far the calls of a group are; else the runtime has none
  std::int64_t stack_bytes = 0;

  std::int64_t total() const { return arena_bytes + data_bss_bytes + stack_bytes; }
  bool operator==(const RamLedger&) const = default;
};

// A graph on a target.
struct Cost {
  std::int64_t macs = 0;        // those that tiles of the plan make again among them
  std::int64_t extra_macs = 0;  // beyond the network's; below 0 where tiles leave out what nobody reads
  FlashLedger flash;
  RamLedger ram;
  bool code_estimated = false;
  std::optional<Speed> speed;  // where a latency law was given
  MemoryPlan plan;

  // Whether the package has them: each is larger than the filter that it stands for.
  bool wide_filters() const { return flash.wider_filter_bytes > 0; }

  // By which the plan multiplies the network's MACs.
  double mac_factor() const {
    return extra_macs == 0 ? 1.0 : static_cast<double>(macs) / static_cast<double>(macs - extra_macs);
  }
};

// Of the kernels that were measured.
Isa isa_of(const CodeSizesForTarget& code);

// With plan(lowered, isa_of(code)), or that plan. `law`, which may be null, adds the speed.
Cost price(const Graph& lowered, const CodeSizesForTarget& code, const TargetLaw* law = nullptr);
Cost price(const Graph& lowered, const CodeSizesForTarget& code, MemoryPlan plan,
           const TargetLaw* law = nullptr);

// Whether the core's kernels read wide filters at all.
bool reads_wide_filters(const CodeSizesForTarget& code);

// Depthwise filters lie in flash as the core's kernels compute with them: fewer instructions for more bytes.
// Where its kernels have no such form, and for networks without such filters, nothing changes.
void store_wide_filters(Cost& cost, const Graph& lowered, const CodeSizesForTarget& code);

// The constants of one node as this package has them.
std::int64_t constant_bytes(const Cost& cost, const Graph& lowered, NodeId id);

// Code of a model with these kernels and so many calls, and its stack.
struct CodeCost {
  std::int64_t code_bytes = 0;
  std::int64_t stack_bytes = 0;
};
CodeCost price_code(const std::set<std::string, std::less<>>& kernels, std::int64_t calls,
                    const CodeSizes& sizes);

// describe(cost.plan), and where its tiles make columns twice what that costs.
std::string describe(const Cost& cost);

// {"weights_bytes", "model_bytes", "flash_bytes", "arena_bytes", "ram_bytes", "stack_bytes", "macs", ...},
// and what put_speed() adds where there is one.
nlohmann::json to_json(const Cost& cost);

}  // namespace mcufit
