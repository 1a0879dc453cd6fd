// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "blocks/quantized_graph.h"
#include "cost-models/plan.h"
#include "exporters/package.h"

namespace mcufit {

// Files of a package: content by name.
using PackageFiles = std::map<std::string, std::string, std::less<>>;

// Every C file of a package. No function's size depends on the network: <name>_invoke() walks a constant list
// of calls, so that flash can be predicted to the byte from the number of steps and the kernels alone. No
// pointer to a function is stored or called. Throws
// Error(input) for a name that is no C identifier, for test vectors of another shape and for a streamed input
// of which nothing is read, Error(internal) for a plan without room for what its kernels work with.
// `wide_filters`: depthwise filters have a wide form too, for compilers whose core reads it
// (Cost::wide_filters()).
PackageFiles emit_c(const QuantizedGraph& graph, const MemoryPlan& plan, const PackageRequest& request,
                    bool wide_filters = false);

// The function of <name>_steps.c through which <name>_run() reaches a kernel: "<name>_run_conv2d_s8".
std::string adapter_name(std::string_view package, std::string_view kernel);

// Throws Error(input) unless `name` can prefix symbols and file names: a lower-case C identifier of at most
// 48 characters that is no keyword and does not start with "mcufit".
void check_package_name(std::string_view name);

}  // namespace mcufit
