// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cost-models/certify.h"
#include "cost-models/phinet_equations.h"

namespace mcufit {

// One PhiNet by the paper's equations and by the network itself.
struct EquationsRow {
  std::string what;  // "certified best", "root 1, plausible"
  PhiNetKnobs knobs;
  PhiNetDemands equations;      // ram_bytes: activations of the first blocks
  std::optional<Member> exact;  // none where the knobs lie outside the family's bounds
};

// The closed equations of the PhiNets paper, inverted for the budget, beside exact figures.
struct EquationsReport {
  PhiNetFrame frame;
  std::vector<EquationsRow> rows;              // the certified best member, then every root
  std::optional<PhiNetDemands> limits;         // where the budget limits MACs
  std::size_t roots = 0, roots_of_limits = 0;  // of the best member's own figures, and of the limits
};

// Of a certificate of the PhiNets. The equations are inverted for the figures that they give for the best
// member (which is among the roots), and for the limits where MACs are limited (a byte of flash is a
// parameter).
EquationsReport compare_equations(const Certificate& certificate, const Budget& budget,
                                  const CodeSizesForTarget& code);

std::string equations_text(const EquationsReport& report);
nlohmann::json to_json(const EquationsReport& report);

}  // namespace mcufit
