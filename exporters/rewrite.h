// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "blocks/quantized_graph.h"

namespace mcufit {

// Rewrites of a quantized graph that change no byte of its output for any input, only what it costs.

struct RewritePass {
  std::string_view name;
  std::string_view summary;
};
// In the order in which they run.
std::span<const RewritePass> rewrite_passes();

struct RewriteOptions {
  std::set<std::string, std::less<>> skipped;  // names of passes
};

// "none", "all", or names joined by commas, as passes to skip. Throws Error(usage) naming an unknown one.
RewriteOptions skip_rewrites(std::string_view list);

// What one pass did, over all its rounds.
struct RewriteReport {
  std::string_view pass;
  std::int64_t nodes_removed = 0;
  std::int64_t channels_removed = 0;  // of the outputs of nodes that stay
  std::int64_t macs_saved = 0;
  std::int64_t weights_bytes_saved = 0;  // of filters
  bool operator==(const RewriteReport&) const = default;
};

struct Rewritten {
  QuantizedGraph graph;                // verified
  std::vector<RewriteReport> reports;  // one per pass that was not skipped
  std::int64_t macs_before = 0, macs_after = 0;
};

// Runs the passes in turn until none of them finds anything. Precondition: verify(graph) passed. The graph's
// input and output keep shape and quantization; nodes that stay keep their names.
Rewritten rewrite(const QuantizedGraph& graph, const RewriteOptions& options = {});

}  // namespace mcufit
