// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/family.h"
#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/text.h"
#include "blocks/lower.h"
#include "cost-models/count.h"
#include "cost-models/layout.h"
#include "search/cli/network_source.h"
#include "search/cli/report.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

// The deployed form of whatever was named.
Graph load_network(const fs::path& source) {
  if (source.extension() != ".json") return load_quantized(source).graph;
  return lower(read_config<Architecture>(JsonDocument::read(source), read_architecture).build());
}

// One line of the table.
struct Layer {
  const Node& node;
  NodeId id;
  std::int64_t macs, params, live_bytes, flash_bytes;
};

std::vector<Layer> layers_of(const Graph& graph, const MemoryPlan& plan) {
  std::vector<Layer> layers;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const NodeLayout l = node_layout(graph, id);
    layers.push_back({graph.node(id), id, count_macs(graph, id), count_params(graph, id),
                      live_bytes(plan, graph, id),
                      l.filter_bytes + l.bias_bytes + l.table_bytes + l.step_bytes});
  }
  return layers;
}

std::string layer_table(const std::vector<Layer>& layers) {
  std::vector<std::vector<std::string>> rows{
      {"step", "node", "op", "output", "params", "MACs", "live B", "flash B"}};
  for (const Layer& l : layers)
    rows.push_back({std::to_string(l.id), l.node.name, std::string(op_name(l.node.op)),
                    to_string(l.node.shape), with_separators(l.params), with_separators(l.macs),
                    with_separators(l.live_bytes), with_separators(l.flash_bytes)});
  return aligned_table(rows);
}

nlohmann::json layer_json(const std::vector<Layer>& layers) {
  nlohmann::json list = nlohmann::json::array();
  for (const Layer& l : layers)
    list.push_back({{"node", l.id},
                    {"name", l.node.name},
                    {"op", op_name(l.node.op)},
                    {"shape", {l.node.shape.height, l.node.shape.width, l.node.shape.channels}},
                    {"params", l.params},
                    {"macs", l.macs},
                    {"live_bytes", l.live_bytes},
                    {"flash_bytes", l.flash_bytes}});
  return list;
}

// Whether the target's memories hold it, and what is left or missing.
std::string verdict(const Cost& cost, const Budget& budget, const Target& target) {
  const auto held = [](const char* memory, std::int64_t needed, std::int64_t there) {
    return fmt::format("{} {} of {} bytes ({:.1f} %{})", memory, with_separators(needed),
                       with_separators(there), 100 * static_cast<double>(needed) / static_cast<double>(there),
                       needed > there ? ", too much by " + with_separators(needed - there) : "");
  };
  return fmt::format("{}: {}, {}\n", target.name, held("flash", cost.flash.total(), budget.flash_bytes),
                     held("RAM", cost.ram.total(), budget.ram_bytes));
}

class AnalyzeVerb : public Verb {
 public:
  std::string_view name() const override { return "analyze"; }
  std::string_view summary() const override {
    return "shows a network layer by layer on a target: MACs, RAM over time, flash";
  }
  std::string_view usage() const override { return "analyze SOURCE --target NAME [options]"; }
  std::string_view example() const override { return "mcufit analyze model.tflite --target nrf52840"; }
  std::size_t most_arguments() const override { return 1; }

  void add_options(po::options_description& options) const override {
    options.add_options()("target", po::value<std::string>()->required(),
                          "a target's name or file (`mcufit targets`)");
  }

  ExitCode run(const po::variables_map& options, const std::vector<std::string>& arguments) const override {
    if (arguments.empty())
      throw Error(ExitCode::usage,
                  fmt::format("mcufit analyze: found no source; accepted: a .tflite file, an architecture "
                              "file (.json) or a package; usage: mcufit {}",
                              usage()));
    const Target target = load_target(options["target"].as<std::string>());
    const Budget budget = derive(target, {});
    const Graph graph = load_network(arguments[0]);
    const Cost cost = price(graph, load_code_sizes(target));
    const bool fits = cost.flash.total() <= budget.flash_bytes && cost.ram.total() <= budget.ram_bytes;
    const auto layers = layers_of(graph, cost.plan);
    if (options.count("json") > 0) {
      nlohmann::json document = to_json(cost);
      document["source"] = arguments[0];
      document["target"] = to_json(target);
      document["budget"] = to_json(budget);
      document["fits"] = fits;
      document["layers"] = layer_json(layers);
      document["plan"] = to_json(cost.plan);
      std::cout << document.dump(2) << "\n";
    } else {
      std::cout << fmt::format(
          "{}\n{}\nRAM over time (arena {} bytes, no layer-by-layer plan needs less than {})\n{}\n{}",
          layer_table(layers), ledger_table(cost.flash, cost.ram, nullptr),
          with_separators(cost.plan.arena_bytes), with_separators(cost.plan.lower_bound_bytes),
          picture(cost.plan, graph), verdict(cost, budget, target));
    }
    return fits ? ExitCode::ok : ExitCode::constraint_not_met;
  }
};

}  // namespace

const Verb& make_verb_analyze() {
  static const AnalyzeVerb verb;
  return verb;
}

}  // namespace mcufit
