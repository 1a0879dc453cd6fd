// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cost-models/ways_out.h"

namespace mcufit {

// What keeps a network from a target, and what would let it in.
struct ShortageReport {
  Shortage shortage;
  std::vector<WayOut> ways;
};

// Nothing where the budget's flash and RAM hold the network at this price. `member`, which may be null, is
// the member of a family that it is.
std::optional<ShortageReport> report_shortage(const Graph& lowered, const Cost& cost, const Budget& budget,
                                              const CodeSizesForTarget& code, const Architecture* member);

// The step that binds, the bytes missing, and a line for each way out.
std::string to_string(const ShortageReport& report);
nlohmann::json to_json(const ShortageReport& report);

}  // namespace mcufit
