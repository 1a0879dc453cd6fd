// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "blocks/family.h"
#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/text.h"
#include "blocks/lower.h"
#include "cost-models/count.h"
#include "cost-models/layout.h"
#include "search/cli/network_source.h"
#include "search/cli/plan_choice.h"
#include "search/cli/report.h"
#include "search/cli/shortage_report.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

// The deployed form of whatever was named, and where that is known the member of a family that it is.
struct Network {
  Graph graph;
  std::optional<Architecture> architecture;
};

// A trained run's folder stands for the package in it.
Network load_network(fs::path source) {
  if (fs::is_directory(source / "package")) source /= "package";
  if (source.extension() != ".json") return {load_quantized(source).graph, std::nullopt};
  const auto architecture = read_config<Architecture>(JsonDocument::read(source), read_architecture);
  return {lower(architecture.build()), architecture};
}

// One line of the table.
struct Layer {
  const Node& node;
  NodeId id;
  std::int64_t macs, params, live_bytes, flash_bytes;
  std::optional<double> count;  // instructions or cycles by the law, where there is one
};

// A law that knows every class of the network's layers; else why there is no estimate.
struct Law {
  std::optional<TargetLaw> of_target;
  std::string missing;

  const TargetLaw* get() const { return of_target ? &*of_target : nullptr; }
};

Law find_law(const Target& target, const Graph& graph) {
  Law law{load_latency_law(target), ""};
  if (!law.of_target) law.missing = fmt::format("no latency law of {} was measured", target.core);
  for (NodeId id = 0; id < graph.size() && law.of_target; ++id) {
    const auto name = operator_class(graph.node(id));
    if (!name || law.of_target->law.classes.contains(*name)) continue;
    law.missing = fmt::format("the latency law of {} does not know {}", law.of_target->law.core, *name);
    law.of_target.reset();
  }
  return law;
}

std::optional<double> count_of(const Law& law, const Node& node, const Terms& terms) {
  const auto name = operator_class(node);
  if (!law.of_target || !name) return std::nullopt;
  const Terms& coefficients = law.of_target->law.classes.at(*name).coefficients;
  return std::inner_product(terms.begin(), terms.end(), coefficients.begin(), 0.0);
}

// Of each node, what all of its tiles make.
std::vector<std::int64_t> macs_of(const Graph& graph, const MemoryPlan& plan) {
  std::vector<std::int64_t> macs(graph.nodes.size());
  for (const KernelCall& call : kernel_calls(graph, plan))
    macs[static_cast<std::size_t>(call.node)] += call.macs;
  return macs;
}

// Most bytes live at one step, the input apart: for a sender that keeps it elsewhere.
std::int64_t arena_without_input(const Graph& graph, const MemoryPlan& plan) {
  std::int64_t most = 0;
  for (std::int32_t step = 0; step < std::ssize(plan.steps); ++step) {
    std::int64_t live = live_bytes(plan, graph, step);
    const std::vector<NodeId>& nodes = plan.steps[static_cast<std::size_t>(step)].nodes;
    const bool reads_over = step > 0 && nodes.size() == 1 && in_place(plan, graph, nodes.front(), 0);
    if (step <= plan.placement(0).last_step && !reads_over) live -= plan.placement(0).bytes;
    most = std::max(most, live);
  }
  return std::min(most, plan.arena_bytes);  // where a step's input and output overlap, less is enough
}

std::vector<Layer> layers_of(const Graph& graph, const Cost& cost, const Law& law) {
  const MemoryPlan& plan = cost.plan;
  const std::vector<std::int64_t> macs = macs_of(graph, plan);
  const std::vector<Terms> terms = terms_of(graph, plan);
  std::vector<Layer> layers;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const auto at = static_cast<std::size_t>(id);
    layers.push_back({graph.node(id), id, macs[at], count_params(graph, id),
                      live_bytes(plan, graph, plan.placement(id).first_step), constant_bytes(cost, graph, id),
                      count_of(law, graph.node(id), terms[at])});
  }
  return layers;
}

std::string layer_table(const std::vector<Layer>& layers, const Law& law) {
  std::vector<std::vector<std::string>> rows{
      {"step", "node", "op", "output", "params", "MACs", "live B", "flash B"}};
  if (law.of_target) rows.front().push_back(fmt::format("{} (estimated)", law.of_target->law.counts));
  for (const Layer& l : layers) {
    rows.push_back({std::to_string(l.id), l.node.name, std::string(op_name(l.node.op)),
                    to_string(l.node.shape), with_separators(l.params), with_separators(l.macs),
                    with_separators(l.live_bytes), with_separators(l.flash_bytes)});
    if (law.of_target) rows.back().push_back(l.count ? with_separators(std::llround(*l.count)) : "-");
  }
  return aligned_table(rows);
}

// RAM with and without the input's bytes, what no plan of this kind goes below, and the estimate of time.
std::string totals(const Graph& graph, const Cost& cost, const Law& law) {
  const std::int64_t others = cost.ram.total() - cost.ram.arena_bytes;
  const std::int64_t bound = cost.plan.lower_bound_bytes;
  const std::string input =
      fmt::format("RAM with the input ({} bytes) in the arena {}, at least {} without it",
                  with_separators(graph.input_shape().elements()), with_separators(cost.ram.total()),
                  with_separators(arena_without_input(graph, cost.plan) + others));
  const Placement& rows = cost.plan.placement(0);
  const std::string streamed =
      fmt::format("RAM with the input row by row, {} bytes of it in the arena at a time, {}",
                  with_separators(rows.bytes), with_separators(cost.ram.total()));
  std::string text = fmt::format("{}; the arena is {} bytes above its lower bound {}\n",
                                 streams_input(cost.plan) ? streamed : input,
                                 with_separators(cost.plan.arena_bytes - bound), with_separators(bound));
  if (cost.extra_macs != 0)
    text += fmt::format("MACs: {}, {} of them made again by tiles (MAC factor {:.3f})\n",
                        with_separators(cost.macs), with_separators(cost.extra_macs), cost.mac_factor());
  if (!cost.speed) return text + fmt::format("time and energy: {}\n", law.missing);
  const auto add = [&](const char* what, const std::optional<double>& value) {
    if (value) text += fmt::format("{}: {} (estimated)\n", what, with_separators(std::llround(*value)));
  };
  add("instructions per inference", cost.speed->instructions);
  add("cycles", cost.speed->cycles);
  add("latency in us", cost.speed->latency_us);
  add("energy in uJ", cost.speed->energy_uj);
  return text;
}

// How the network is used, where `--period` says it.
std::optional<DutyCycle> duty_cycle(const po::variables_map& options) {
  if (options.count("period") == 0) return std::nullopt;
  return DutyCycle{options["period"].as<double>(), options["battery"].as<double>(),
                   options["volts"].as<double>()};
}

std::optional<DutyCost> price_duty(const std::optional<DutyCycle>& cycle, const Cost& cost,
                                   const Target& target) {
  return cycle && cost.speed ? price_duty_cycle(*cost.speed, target, *cycle) : std::nullopt;
}

std::string duty_text(const std::optional<DutyCycle>& cycle, const std::optional<DutyCost>& priced,
                      const Target& target) {
  if (!cycle) return "";
  if (!priced)
    return fmt::format(
        "battery life: not known; it needs a latency law, active_power and sleep_power of {}\n", target.name);
  return fmt::format(
      "an inference every {} s: {:.4g} mW on average, a battery of {} mAh at {} V lasts {:.4g} days "
      "(estimated)\n",
      cycle->period_s, priced->average_milliwatts, cycle->capacity_mah, cycle->volts,
      priced->battery_hours / 24);
}

nlohmann::json layer_json(const std::vector<Layer>& layers, const std::string& counts) {
  nlohmann::json list = nlohmann::json::array();
  for (const Layer& l : layers) {
    list.push_back({{"node", l.id},
                    {"name", l.node.name},
                    {"op", op_name(l.node.op)},
                    {"shape", {l.node.shape.height, l.node.shape.width, l.node.shape.channels}},
                    {"params", l.params},
                    {"macs", l.macs},
                    {"live_bytes", l.live_bytes},
                    {"flash_bytes", l.flash_bytes}});
    if (l.count) list.back()[counts] = *l.count;
  }
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
                          "a target's name or file (`mcufit targets`)")(
        "period", po::value<double>(),
        "seconds from one inference to the next, asleep in between: battery life")(
        "battery", po::value<double>()->default_value(220), "its capacity in mAh")(
        "volts", po::value<double>()->default_value(3), "its voltage");
    add_plan_options(options);
    add_input_option(options);
  }

  ExitCode run(const po::variables_map& options, const std::vector<std::string>& arguments) const override {
    if (arguments.empty())
      throw Error(ExitCode::usage,
                  fmt::format("mcufit analyze: found no source; accepted: a .tflite file, an architecture "
                              "file (.json), a package or a run's folder; usage: mcufit {}",
                              usage()));
    const Target target = load_target(options["target"].as<std::string>());
    Budget budget = derive(target, {});
    read_plan_options(options, budget);
    const Network network = load_network(arguments[0]);
    const Graph& graph = network.graph;
    const Law law = find_law(target, graph);
    const CodeSizesForTarget code = load_code_sizes(target);
    const Cost cost = price_package(options, graph, code, budget, law.get());
    const auto shortage =
        report_shortage(graph, cost, budget, code, network.architecture ? &*network.architecture : nullptr);
    const auto layers = layers_of(graph, cost, law);
    const auto cycle = duty_cycle(options);
    const auto duty = price_duty(cycle, cost, target);
    if (options.count("json") > 0) {
      nlohmann::json document = to_json(cost);
      document["source"] = arguments[0];
      document["target"] = to_json(target);
      document["budget"] = to_json(budget);
      document["fits"] = !shortage;
      if (shortage) document["shortage"] = to_json(*shortage);
      document["layers"] = layer_json(layers, law.of_target ? law.of_target->law.counts : "");
      document["input_bytes"] = graph.input_shape().elements();
      document["input_streamed"] = streams_input(cost.plan);
      document["ram_without_input_bytes"] =
          arena_without_input(graph, cost.plan) + cost.ram.total() - cost.ram.arena_bytes;
      document["above_lower_bound_bytes"] = cost.plan.arena_bytes - cost.plan.lower_bound_bytes;
      document["plan"] = to_json(cost.plan);
      if (duty) {
        document["average_milliwatts"] = duty->average_milliwatts;
        document["battery_hours"] = duty->battery_hours;
      }
      std::cout << document.dump(2) << "\n";
    } else {
      std::cout << fmt::format(
          "{}\n{}{}\n{}\n{}", layer_table(layers, law), ledger_table(cost.flash, cost.ram, nullptr),
          wide_filters_note(budget, code, &cost) + totals(graph, cost, law) + duty_text(cycle, duty, target),
          ram_over_time(cost.plan, graph), verdict(cost, budget, target));
      if (shortage) std::cout << to_string(*shortage);
    }
    return shortage ? ExitCode::constraint_not_met : ExitCode::ok;
  }
};

}  // namespace

const Verb& make_verb_analyze() {
  static const AnalyzeVerb verb;
  return verb;
}

}  // namespace mcufit
