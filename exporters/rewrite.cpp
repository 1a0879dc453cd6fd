// SPDX-License-Identifier: Apache-2.0
#include "exporters/rewrite.h"

#include <fmt/format.h>

#include <algorithm>

#include "blocks/foundation/error.h"
#include "blocks/foundation/text.h"
#include "cost-models/count.h"
#include "exporters/rewrite/passes.h"

namespace mcufit {
namespace {

constexpr RewritePass kPasses[] = {
    {"fuse_pad", "a spatial pad of zeros becomes the padding of the convolution that alone reads it"},
    {"fuse_activation", "relu and relu6 that only clamp are fused into the op before"},
    {"remove_identity", "ops whose output is their input are removed"},
    {"fold_constants", "add and mul with a constant operand become a quantize, relu, relu6 or nothing"},
    {"dead_channels", "channels that are constant for every input, or that nobody reads, are removed"}};
constexpr void (*kRun[])(QuantizedGraph&) = {fuse_pad, fuse_activation, remove_identity, fold_constants,
                                             remove_dead_channels};
static_assert(std::size(kPasses) == std::size(kRun));

// What a report is the difference of.
struct Size {
  std::int64_t nodes = 0, channels = 0, macs = 0, weights_bytes = 0;
};

Size size_of(const QuantizedGraph& graph) {
  Size size{.nodes = graph.graph.size()};
  for (NodeId id = 0; id < graph.graph.size(); ++id) {
    size.macs += count_macs(graph.graph, id);
    size.weights_bytes += static_cast<std::int64_t>(graph.node(id).filter.size());
  }
  return size;
}

// Channels by which nodes of `before` that are in `after` too have become narrower.
std::int64_t narrowed(const Graph& before, const Graph& after) {
  std::int64_t channels = 0;
  auto at = before.nodes.begin();  // passes keep the order and the names
  for (const Node& node : after.nodes) {
    at = std::find_if(at, before.nodes.end(), [&](const Node& old) { return old.name == node.name; });
    channels += at->shape.channels - node.shape.channels;
  }
  return channels;
}

}  // namespace

std::span<const RewritePass> rewrite_passes() { return kPasses; }

RewriteOptions skip_rewrites(std::string_view list) {
  RewriteOptions options;
  if (list == "none") return options;
  std::vector<std::string> names;
  for (const RewritePass& pass : kPasses) names.emplace_back(pass.name);
  if (list == "all") return {{names.begin(), names.end()}};
  while (true) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string name(list.substr(0, comma));
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw Error(ExitCode::usage,
                  fmt::format("--no-rewrite: found '{}'; accepted: none, all, or names of {}", name,
                              fmt::join(names, ", ")));
    }
    options.skipped.insert(name);
    if (comma == list.size()) return options;
    list.remove_prefix(comma + 1);
  }
}

Rewritten rewrite(const QuantizedGraph& graph, const RewriteOptions& options) {
  Rewritten result;
  result.graph = graph;
  result.macs_before = size_of(graph).macs;
  for (std::size_t i = 0; i < std::size(kPasses); ++i)
    if (!options.skipped.contains(kPasses[i].name)) result.reports.push_back({.pass = kPasses[i].name});
  for (bool changed = true; changed;) {
    changed = false;
    std::size_t next = 0;
    for (std::size_t i = 0; i < std::size(kPasses); ++i) {
      if (options.skipped.contains(kPasses[i].name)) continue;
      RewriteReport& report = result.reports[next++];
      const QuantizedGraph before = result.graph;
      kRun[i](result.graph);
      if (result.graph.graph == before.graph) continue;
      changed = true;
      const Size old_size = size_of(before), new_size = size_of(result.graph);
      report.nodes_removed += old_size.nodes - new_size.nodes;
      report.channels_removed += narrowed(before.graph, result.graph.graph);
      report.macs_saved += old_size.macs - new_size.macs;
      report.weights_bytes_saved += old_size.weights_bytes - new_size.weights_bytes;
    }
  }
  verify(result.graph);
  result.macs_after = size_of(result.graph).macs;
  return result;
}

}  // namespace mcufit
