// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cost-models/price.h"
#include "cost-models/target.h"
#include "exporters/rewrite.h"

namespace mcufit {

// A quantized network as it is packaged: rewritten, and priced as that.
struct Deployed {
  Rewritten rewritten;
  Cost cost;

  const QuantizedGraph& graph() const { return rewritten.graph; }
};
Deployed deploy(const QuantizedGraph& graph, const CodeSizesForTarget& code, const Budget& budget,
                const RewriteOptions& options = {});

// What the passes that found something removed and saved, one line each; one line where none did.
std::string rewrite_table(const Rewritten& rewritten);

// {"macs_before": ..., "macs": ..., "passes": [{"pass": ..., "nodes_removed": ..., ...}]}
nlohmann::json to_json(const Rewritten& rewritten);

// "all, none or names joined by commas: fuse_pad (a spatial pad ...), ...", for --no-rewrite.
std::string rewrite_help();

}  // namespace mcufit
