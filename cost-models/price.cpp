// SPDX-License-Identifier: Apache-2.0
#include "cost-models/price.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/text.h"
#include "cost-models/cores.h"
#include "cost-models/count.h"
#include "cost-models/layout.h"

namespace mcufit {
namespace {

constexpr std::int64_t kMostCode = 1 << 20;

const KernelCode& kernel_code(const CodeSizes& sizes, const std::string& kernel) {
  const auto found = sizes.kernels.find(kernel);
  if (found != sizes.kernels.end()) return found->second;
  throw Error(ExitCode::config,
              fmt::format("code sizes of {}: kernel {} was not measured; try `mcufit calibrate code-size`",
                          sizes.core, kernel));
}

}  // namespace

CodeSizes read_code_sizes(ObjectReader& reader) {
  CodeSizes s;
  s.core = reader.string("core", "core, as GCC's -mcpu spells it");
  s.compiler = reader.string("compiler", "compiler and version that were measured");
  s.flags = reader.string("flags", "its flags");
  const auto bytes = [](ObjectReader& r, std::string_view key, std::string_view meaning) {
    return r.integer(key, {0, kMostCode}, meaning);
  };
  reader.dictionary("kernels", "the runtime, kernel by kernel",
                    [&](const std::string& name, ObjectReader& kernel) {
                      KernelCode& k = s.kernels[name];
                      k.text_bytes = bytes(kernel, "text_bytes", "machine code");
                      k.rodata_bytes = bytes(kernel, "rodata_bytes", "read-only data");
                      k.stack_bytes = bytes(kernel, "stack_bytes", "deepest stack below its caller");
                      kernel.dictionary("library", "what it needs of the compiler's library",
                                        [&](const std::string& member, ObjectReader& entry) {
                                          k.library[member] = bytes(entry, "text_bytes", "machine code");
                                        });
                    });
  s.invoke_base_bytes = bytes(reader, "invoke_base_bytes", "the invoke function without calls");
  s.invoke_step_bytes = bytes(reader, "invoke_step_bytes", "each call in it");
  s.invoke_stack_bytes = bytes(reader, "invoke_stack_bytes", "its own stack frame");
  s.invoke_rows_stack_bytes = bytes(reader, "invoke_rows_stack_bytes", "the same of a model with groups");
  s.invoke_from_stack_bytes =
      bytes(reader, "invoke_from_stack_bytes", "the same of a model whose input is streamed");
  s.accessor_bytes = bytes(reader, "accessor_bytes", "the functions that return input and output");
  return s;
}

nlohmann::json to_json(const CodeSizes& s) {
  nlohmann::json kernels = nlohmann::json::object();
  for (const auto& [name, k] : s.kernels) {
    nlohmann::json library = nlohmann::json::object();
    for (const auto& [member, bytes] : k.library) library[member] = {{"text_bytes", bytes}};
    kernels[name] = {{"text_bytes", k.text_bytes},
                     {"rodata_bytes", k.rodata_bytes},
                     {"stack_bytes", k.stack_bytes},
                     {"library", std::move(library)}};
  }
  return {{"core", s.core},
          {"compiler", s.compiler},
          {"flags", s.flags},
          {"kernels", std::move(kernels)},
          {"invoke_base_bytes", s.invoke_base_bytes},
          {"invoke_step_bytes", s.invoke_step_bytes},
          {"invoke_stack_bytes", s.invoke_stack_bytes},
          {"invoke_rows_stack_bytes", s.invoke_rows_stack_bytes},
          {"invoke_from_stack_bytes", s.invoke_from_stack_bytes},
          {"accessor_bytes", s.accessor_bytes}};
}

CodeSizesForTarget load_code_sizes(const Target& target) {
  const Core* core = find_core(target.core);
  const std::string sibling = core != nullptr ? core->sibling : "cortex-m4";
  const auto file = [](std::string_view name) {
    return config_folder() / "code-sizes" / fmt::format("{}.json", name);
  };
  const bool measured = std::filesystem::exists(file(target.core));
  return {read_config<CodeSizes>(JsonDocument::read(file(measured ? target.core : sibling)), read_code_sizes),
          !measured};
}

CodeCost price_code(const std::set<std::string, std::less<>>& kernels, std::int64_t calls,
                    const CodeSizes& sizes) {
  CodeCost cost{
      .code_bytes = sizes.accessor_bytes + sizes.invoke_base_bytes + calls * sizes.invoke_step_bytes,
      .stack_bytes = 0};
  std::map<std::string, std::int64_t, std::less<>> library;
  for (const std::string& kernel : kernels) {
    const KernelCode& k = kernel_code(sizes, kernel);
    cost.code_bytes += k.text_bytes + k.rodata_bytes;
    cost.stack_bytes = std::max(cost.stack_bytes, k.stack_bytes);
    library.insert(k.library.begin(), k.library.end());
  }
  for (const auto& [member, bytes] : library) cost.code_bytes += bytes;
  const bool streamed = kernels.contains(kInputRow), rows = kernels.contains(kRowOrder);
  cost.stack_bytes += streamed ? sizes.invoke_from_stack_bytes
                      : rows   ? sizes.invoke_rows_stack_bytes
                               : sizes.invoke_stack_bytes;
  return cost;
}

Cost price(const Graph& lowered, const CodeSizesForTarget& code, const TargetLaw* law) {
  return price(lowered, code, plan(lowered, isa_of(code)), law);
}

Cost price(const Graph& lowered, const CodeSizesForTarget& code, MemoryPlan plan, const TargetLaw* law) {
  Cost cost;
  cost.code_estimated = code.estimated;
  for (NodeId id = 0; id < lowered.size(); ++id) {
    const NodeLayout layout = node_layout(lowered, plan, id);
    cost.flash.weights_bytes += layout.filter_bytes;
    cost.flash.bias_bytes += layout.bias_bytes;
    cost.flash.table_bytes += layout.table_bytes;
    cost.flash.step_bytes += layout.step_bytes;
  }
  cost.flash.step_bytes += row_table_bytes(lowered, plan);
  const std::vector<KernelCall> calls = kernel_calls(lowered, plan);
  for (const KernelCall& call : calls) cost.macs += call.macs;
  cost.extra_macs = cost.macs - count(lowered).macs;
  const CodeCost priced = price_code(kernels_of(lowered, plan), std::ssize(calls), code.sizes);
  cost.flash.code_bytes = priced.code_bytes;
  cost.ram = {.arena_bytes = plan.arena_bytes,
              .data_bss_bytes = row_progress_bytes(plan),
              .stack_bytes = priced.stack_bytes};
  cost.plan = std::move(plan);
  if (law != nullptr) cost.speed = estimate_speed(lowered, cost.plan, *law);
  return cost;
}

Isa isa_of(const CodeSizesForTarget& code) {
  const Core* core = find_core(code.sizes.core);
  return core != nullptr ? core->isa : Isa::portable;
}

bool reads_wide_filters(const CodeSizesForTarget& code) { return isa_of(code) == Isa::dsp; }

void store_wide_filters(Cost& cost, const Graph& lowered, const CodeSizesForTarget& code) {
  cost.flash.wider_filter_bytes = 0;
  if (!reads_wide_filters(code)) return;
  for (NodeId id = 0; id < lowered.size(); ++id)
    cost.flash.wider_filter_bytes += wider_filter_bytes(lowered, id);
}

std::int64_t constant_bytes(const Cost& cost, const Graph& lowered, NodeId id) {
  const NodeLayout l = node_layout(lowered, cost.plan, id);
  return l.filter_bytes + l.bias_bytes + l.table_bytes + l.step_bytes +
         (cost.wide_filters() ? wider_filter_bytes(lowered, id) : 0);
}

std::string describe(const Cost& cost) {
  std::string text = describe(cost.plan);
  if (cost.extra_macs != 0)
    text += fmt::format("; {} of {} MACs made again (MAC factor {:.3f})", with_separators(cost.extra_macs),
                        with_separators(cost.macs), cost.mac_factor());
  return text;
}

nlohmann::json to_json(const Cost& cost) {
  nlohmann::json j = {{"macs", cost.macs},
                      {"extra_macs", cost.extra_macs},
                      {"mac_factor", cost.mac_factor()},
                      {"weights_bytes", cost.flash.weights_bytes},
                      {"wide_filters", cost.wide_filters()},
                      {"wider_filter_bytes", cost.flash.wider_filter_bytes},
                      {"bias_bytes", cost.flash.bias_bytes},
                      {"table_bytes", cost.flash.table_bytes},
                      {"model_bytes", cost.flash.model_bytes()},
                      {"step_bytes", cost.flash.step_bytes},
                      {"code_bytes", cost.flash.code_bytes},
                      {"code_estimated", cost.code_estimated},
                      {"flash_bytes", cost.flash.total()},
                      {"arena_bytes", cost.ram.arena_bytes},
                      {"data_bss_bytes", cost.ram.data_bss_bytes},
                      {"stack_bytes", cost.ram.stack_bytes},
                      {"ram_bytes", cost.ram.total()},
                      {"ram_lower_bound_bytes", cost.plan.lower_bound_bytes},
                      {"plan_runs", describe(cost.plan)}};
  if (cost.speed) put_speed(j, *cost.speed);
  return j;
}

}  // namespace mcufit
