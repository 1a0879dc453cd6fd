// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "blocks/quantized_graph.h"
#include "cost-models/layout.h"
#include "cost-models/plan.h"

namespace mcufit {

// C text of an array in flash: `const int8_t name[3] MCUFIT_IN_FLASH = {...};`, some numbers a line.
std::string c_array(std::string_view declaration, std::span<const std::int8_t> values);
std::string c_array(std::string_view declaration, std::span<const std::int32_t> values);

// Numbers a line, as the inside of braces, each line indented by `indent` spaces.
std::string c_numbers(std::span<const std::int8_t> values, std::size_t indent);

// One kernel call of a package as C text, which names the macro of scratch_macro().
struct StepText {
  std::string kernel;     // "conv2d_s8"
  std::string step;       // definition of `static const mcufit_conv2d_s8_step <name>_step<id>`
  std::string tables;     // definitions of <name>_n<id>_filter, _bias, ...; empty where the op has none
  std::string externals;  // their declarations
  int end = 0;            // the call computes [0, end)
};

// Of a call in a tile; its tables are those of the node. With `wide_filters` depthwise filters are wide where
// the core's kernel reads them so.
StepText step_text(const QuantizedGraph& graph, const MemoryPlan& plan, const KernelCall& call,
                   std::string_view package, bool wide_filters = false);

// "model_step3", of a tile behind the first "model_step3_tile1".
std::string step_name(const KernelCall& call, std::string_view package);

// Text for a C comment: without what could end it.
std::string c_comment(std::string_view text);

}  // namespace mcufit
