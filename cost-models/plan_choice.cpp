// SPDX-License-Identifier: Apache-2.0
#include "cost-models/plan_choice.h"

namespace mcufit {

const std::vector<std::string>& plan_choice_names() {
  static const std::vector<std::string> names{"fits", "layer-by-layer", "least-ram"};
  return names;
}

std::string_view to_string(PlanChoice choice) {
  return plan_choice_names()[static_cast<std::size_t>(choice)];
}

std::optional<PlanChoice> find_plan_choice(std::string_view name) {
  for (std::size_t i = 0; i < plan_choice_names().size(); ++i) {
    if (plan_choice_names()[i] == name) return static_cast<PlanChoice>(i);
  }
  return std::nullopt;
}

}  // namespace mcufit
