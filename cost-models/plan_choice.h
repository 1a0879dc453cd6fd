// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mcufit {

// Which memory plan a network is given.
enum class PlanChoice {
  fits,  // layer by layer where the RAM limit holds that, else the fewest calls of kernels that it holds
  layer_by_layer,
  least_ram,  // groups of layers row by row, the smallest
};

// "fits", "layer-by-layer", "least-ram", in the order of the choices.
const std::vector<std::string>& plan_choice_names();
std::string_view to_string(PlanChoice choice);
std::optional<PlanChoice> find_plan_choice(std::string_view name);

}  // namespace mcufit
