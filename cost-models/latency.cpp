// SPDX-License-Identifier: Apache-2.0
#include "cost-models/latency.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/json_reader.h"
#include "cost-models/cores.h"
#include "cost-models/count.h"
#include "cost-models/group_tiles.h"
#include "cost-models/layout.h"

namespace mcufit {
namespace {

using nlohmann::json;

// How a window slides along one axis, over outputs [first, end).
struct Slide {
  std::int32_t kernel, stride, dilation, before, input, first, end;
};

// Over all output positions: taps inside of the input, and positions whose taps are all inside.
struct Taps {
  double inside = 0, whole = 0;
};

Taps taps_of(const Slide& s) {
  Taps taps;
  for (std::int32_t o = s.first; o < s.end; ++o) {
    const std::int64_t origin = std::int64_t{o} * s.stride - s.before;
    const std::int64_t first = origin < 0 ? (-origin + s.dilation - 1) / s.dilation : 0;
    const std::int64_t end = s.input > origin ? (s.input - origin + s.dilation - 1) / s.dilation : 0;
    const auto inside = std::max<std::int64_t>(0, std::min<std::int64_t>(end, s.kernel) - first);
    taps.inside += static_cast<double>(inside);
    if (inside == s.kernel) ++taps.whole;
  }
  return taps;
}

struct WindowSizes {
  double macs = 0, padding_macs = 0, runs = 0, padded_runs = 0, uneven = 0;

  // Taps of an output, and how many outputs of a pixel are taken at a time.
  WindowSizes by(std::int64_t taps, std::int64_t group, std::int64_t channels) const {
    WindowSizes sizes = *this;
    const double all = macs + padding_macs;
    sizes.uneven =
        taps % 4 != 0 ? all : all * static_cast<double>(channels % group) / static_cast<double>(channels);
    return sizes;
  }
};

// What is made of a node: all of it, or of a tile some columns.
struct Part {
  Shape shape;  // of the part
  ColumnRange columns;
};

// `depth`: channels that each output element sums over.
WindowSizes window_sizes(const Window& w, const Shape& in, const Part& out, double depth) {
  const Taps rows = taps_of(
      {w.kernel_height, w.stride_height, w.dilation_height, w.padding.top, in.height, 0, out.shape.height});
  const Taps columns = taps_of({w.kernel_width, w.stride_width, w.dilation_width, w.padding.left, in.width,
                                out.columns.begin, out.columns.end});
  const double inside = rows.inside * columns.inside * depth * out.shape.channels;
  const double all = static_cast<double>(out.shape.elements() * w.taps()) * depth;
  const double whole = w.kernel_height * rows.whole * columns.whole;
  return {inside, all - inside, rows.inside * out.shape.width * out.shape.channels,
          (rows.inside * out.shape.width - whole) * out.shape.channels};
}

WindowSizes sizes_of(const Graph& graph, NodeId id, const Part& out) {
  const Node& node = graph.node(id);
  const Shape& in = node.inputs.empty() ? node.shape : graph.node(node.inputs.front()).shape;
  const auto none = [](const auto&) { return WindowSizes{}; };
  return std::visit(
      overloaded{[&](const Conv2d& op) {
                   return window_sizes(op.window, in, out, in.channels)
                       .by(op.window.taps() * in.channels, 2, out.shape.channels);
                 },
                 [&](const DepthwiseConv2d& op) {
                   WindowSizes sizes = window_sizes(op.window, in, out, 1);
                   if (out.shape.channels < 4) sizes.uneven = sizes.macs + sizes.padding_macs;
                   return sizes;
                 },
                 [&](const AveragePool2d& op) { return window_sizes(op.window, in, out, 1); },
                 [&](const MaxPool2d& op) { return window_sizes(op.window, in, out, 1); },
                 [&](const FullyConnected&) {
                   const WindowSizes sizes{static_cast<double>(count_macs(graph, id)), 0,
                                           static_cast<double>(node.shape.elements())};
                   return sizes.by(in.elements(), 4, node.shape.channels);
                 },
                 [&](const Mean&) {
                   return WindowSizes{static_cast<double>(in.elements()), 0, 0};
                 },
                 [&](const Input& op) { return none(op); }, [&](const BatchNorm& op) { return none(op); },
                 [&](const Activate& op) { return none(op); }, [&](const Add& op) { return none(op); },
                 [&](const Mul& op) { return none(op); }, [&](const Softmax& op) { return none(op); },
                 [&](const Concatenation& op) { return none(op); }, [&](const Pad& op) { return none(op); },
                 [&](const Reshape& op) { return none(op); },
                 [&](const ResizeNearestNeighbor& op) { return none(op); }},
      node.op);
}

// `inputs`: elements of the inputs that the part reads.
Terms terms_of_part(const Graph& lowered, NodeId id, const Part& part, double inputs) {
  const WindowSizes sizes = sizes_of(lowered, id, part);
  return {1,
          sizes.macs,
          sizes.padding_macs,
          static_cast<double>(part.shape.elements()),
          inputs,
          static_cast<double>(node_layout(lowered, id).filter_bytes),
          static_cast<double>(part.shape.pixels()),
          static_cast<double>(part.shape.height),
          sizes.runs,
          sizes.padded_runs,
          sizes.uneven};
}

// The term that each call has anew, whatever it makes.
constexpr std::size_t kOne = 0;
static_assert(kTermNames[kOne] == "one");

// Of one tile of a node of a group, called once.
Terms terms_of_tile(const Graph& lowered, NodeId id, const RowGraph& rows, const GroupTiles& tiles,
                    std::int32_t tile) {
  Part part{lowered.node(id).shape, tiles.made(id, tile)};
  part.shape.width = part.columns.width();
  double inputs = 0;
  for (const RowGraph::Edge& input : rows.inputs(id)) {
    Shape read = lowered.node(input.node).shape;
    read.width = tiles.read(id, input, tile).width();
    inputs += static_cast<double>(read.elements());
  }
  return terms_of_part(lowered, id, part, inputs);
}

// Of a node of a step by rows: all tiles, each called row by row.
Terms terms_by_rows(const Graph& lowered, NodeId id, const RowGraph& rows, const Step& step) {
  const Terms whole = terms_of(lowered, id);
  Terms sum = whole;
  if (!step.tile_cuts.empty()) {
    const GroupTiles tiles(rows, step.nodes.front(), step.nodes.back(), step.tile_cuts);
    sum.fill(0);
    for (std::int32_t tile = 0; tile < tiles.tiles(); ++tile) {
      if (tiles.made(id, tile).width() == 0) continue;
      const Terms part = terms_of_tile(lowered, id, rows, tiles, tile);
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
    }
  }
  sum[kOne] *= rows.calls(id, step.nodes.front());
  // Columns that no tile needs are not made.
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = std::max(sum[i], whole[i]);
  return sum;
}

constexpr double kMostCost = 1e9;

Terms read_terms(ObjectReader& r) {
  Terms terms;
  for (std::size_t i = 0; i < terms.size(); ++i)
    terms[i] = r.number(kTermNames[i], {0, kMostCost}, "cost of each");
  return terms;
}

json terms_json(const Terms& terms) {
  json j = json::object();
  for (std::size_t i = 0; i < terms.size(); ++i) j[std::string(kTermNames[i])] = terms[i];
  return j;
}

ClassLaw read_class(ObjectReader& r) {
  constexpr std::int64_t kMostSamples = 1'000'000'000;
  ClassLaw law;
  r.object("terms", "cost of each unit of a layer's sizes",
           [&](ObjectReader& terms) { law.coefficients = read_terms(terms); });
  law.samples = r.integer("samples", {0, kMostSamples}, "layers that it was fitted to");
  law.held_out = r.integer("held_out", {0, kMostSamples}, "layers that it was compared with");
  law.median_relative_error = r.number("median_relative_error", {0, kMostCost}, "on those held out");
  law.p90_relative_error = r.number("p90_relative_error", {0, kMostCost}, "on those held out");
  return law;
}

double dot(const Terms& a, const Terms& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

Terms terms_of(const Graph& lowered, NodeId id) {
  const Node& node = lowered.node(id);
  double inputs = 0;
  for (const NodeId input : node.inputs) inputs += static_cast<double>(lowered.node(input).shape.elements());
  return terms_of_part(lowered, id, {node.shape, {0, node.shape.width}}, inputs);
}

std::vector<Terms> terms_of(const Graph& lowered, const MemoryPlan& plan) {
  const RowGraph rows(lowered);
  std::vector<Terms> terms;
  for (const Step& step : plan.steps) {
    for (const NodeId id : step.nodes)
      terms.push_back(step.by_rows ? terms_by_rows(lowered, id, rows, step) : terms_of(lowered, id));
  }
  return terms;
}

std::optional<std::string> operator_class(const Node& node) {
  if (!kernel_of(node)) return std::nullopt;
  if (const auto* conv = std::get_if<Conv2d>(&node.op))
    return conv->window.taps() == 1 ? "conv2d_pointwise" : "conv2d_spatial";
  if (std::holds_alternative<Activate>(node.op)) return "lookup";  // one kernel, whatever the curve
  return std::string(op_name(node.op));
}

LatencyLaw read_latency_law(ObjectReader& r) {
  LatencyLaw law;
  law.core = r.string("core", "core, as GCC's -mcpu spells it");
  law.device = r.string("device", "emulator or board that was measured");
  law.compiler = r.string("compiler", "compiler and version that were measured");
  law.flags = r.string("flags", "its flags");
  law.counts = r.choice("counts", {"instructions", "cycles"}, "what the law predicts");
  law.seed = r.integer("seed", {0, std::int64_t{1} << 53}, "of the generated layers");
  law.invoke = r.number("invoke", {0, kMostCost}, "of an inference, beside its layers");
  r.dictionary("classes", "operator classes",
               [&](const std::string& name, ObjectReader& entry) { law.classes[name] = read_class(entry); });
  law.held_out_networks = r.integer("held_out_networks", {0, 1'000'000}, "compared as a whole");
  law.largest_network_error = r.number("largest_network_error", {0, kMostCost}, "relative, of these");
  return law;
}

json to_json(const LatencyLaw& law) {
  json classes = json::object();
  for (const auto& [name, c] : law.classes)
    classes[name] = {{"terms", terms_json(c.coefficients)},
                     {"samples", c.samples},
                     {"held_out", c.held_out},
                     {"median_relative_error", c.median_relative_error},
                     {"p90_relative_error", c.p90_relative_error}};
  return {{"core", law.core},
          {"device", law.device},
          {"compiler", law.compiler},
          {"flags", law.flags},
          {"counts", law.counts},
          {"seed", law.seed},
          {"invoke", law.invoke},
          {"classes", std::move(classes)},
          {"held_out_networks", law.held_out_networks},
          {"largest_network_error", law.largest_network_error}};
}

namespace {

// `terms`: of a node, by its number.
template <typename TermsOf>
double sum_of_layers(const LatencyLaw& law, const Graph& lowered, const TermsOf& terms) {
  double sum = law.invoke;
  for (NodeId id = 0; id < lowered.size(); ++id) {
    const auto name = operator_class(lowered.node(id));
    if (!name) continue;
    const auto found = law.classes.find(*name);
    if (found == law.classes.end())
      throw Error(ExitCode::config,
                  fmt::format("latency law of {}: {} was not measured; try `mcufit calibrate latency`",
                              law.core, *name));
    sum += dot(found->second.coefficients, terms(id));
  }
  return sum;
}

}  // namespace

TargetLaw without_uneven(TargetLaw law) {
  static_assert(kTermNames.back() == "uneven_macs");
  for (auto& [name, entry] : law.law.classes) entry.coefficients.back() = 0;
  return law;
}

double predict(const LatencyLaw& law, const Graph& lowered) {
  return sum_of_layers(law, lowered, [&](NodeId id) { return terms_of(lowered, id); });
}

double predict(const LatencyLaw& law, const Graph& lowered, const MemoryPlan& plan) {
  if (!has_row_steps(plan)) return predict(law, lowered);
  const std::vector<Terms> terms = terms_of(lowered, plan);
  return sum_of_layers(law, lowered, [&](NodeId id) { return terms[static_cast<std::size_t>(id)]; });
}

std::optional<TargetLaw> load_latency_law(const Target& target) {
  const auto file = [](const std::string& core) {
    return config_folder() / "latency-laws" / (core + ".json");
  };
  const Core* core = find_core(target.core);
  if (core == nullptr) return std::nullopt;
  const bool own = std::filesystem::exists(file(core->name));
  if (!own && !std::filesystem::exists(file(core->sibling))) return std::nullopt;
  TargetLaw t;
  t.law =
      read_config<LatencyLaw>(JsonDocument::read(file(own ? core->name : core->sibling)), read_latency_law);
  t.of_sibling = !own;
  if (core->cycles) t.cycles_per_instruction = core->cycles->value;
  t.clock_hz = target.clock_hz;
  if (target.active_power) t.active_milliwatts = target.active_power->milliwatts;
  return t;
}

namespace {

Speed speed_of(double count, const TargetLaw& t) {
  constexpr double kMicrosecondsPerSecond = 1e6, kMillisecondsPerMicrosecond = 1e-3;
  Speed speed;
  if (t.law.counts == "cycles") {
    speed.cycles = count;
  } else {
    speed.instructions = count;
    if (t.cycles_per_instruction) speed.cycles = count * *t.cycles_per_instruction;
  }
  if (speed.cycles)
    speed.latency_us = *speed.cycles * kMicrosecondsPerSecond / static_cast<double>(t.clock_hz);
  if (speed.latency_us && t.active_milliwatts)
    speed.energy_uj = *t.active_milliwatts * *speed.latency_us * kMillisecondsPerMicrosecond;
  return speed;
}

}  // namespace

Speed estimate_speed(const Graph& lowered, const TargetLaw& law) {
  return speed_of(predict(law.law, lowered), law);
}

Speed estimate_speed(const Graph& lowered, const MemoryPlan& plan, const TargetLaw& law) {
  return speed_of(predict(law.law, lowered, plan), law);
}

void put_speed(json& document, const Speed& speed) {
  if (speed.instructions) document["instructions_per_inference"] = std::llround(*speed.instructions);
  if (speed.cycles) document["cycles"] = std::llround(*speed.cycles);
  if (speed.latency_us) document["latency_us"] = *speed.latency_us;
  if (speed.energy_uj) document["energy_uj"] = *speed.energy_uj;
  document["speed_estimated"] = speed.estimated;
}

std::optional<DutyCost> price_duty_cycle(const Speed& speed, const Target& target, const DutyCycle& cycle) {
  constexpr double kMicrosecondsPerSecond = 1e6;
  if (!(cycle.period_s > 0 && cycle.capacity_mah > 0 && cycle.volts > 0))
    throw Error(ExitCode::usage,
                fmt::format("duty cycle: found a period of {} s and a battery of {} mAh at {} V; accepted: "
                            "numbers above 0",
                            cycle.period_s, cycle.capacity_mah, cycle.volts));
  if (!speed.latency_us || !target.active_power || !target.sleep_power) return std::nullopt;
  const double share = *speed.latency_us / (cycle.period_s * kMicrosecondsPerSecond);
  if (share > 1)
    throw Error(ExitCode::usage,
                fmt::format("duty cycle: found a period of {} s; accepted: at least the {:.6f} s that an "
                            "inference takes on {}",
                            cycle.period_s, *speed.latency_us / kMicrosecondsPerSecond, target.name));
  DutyCost cost;
  cost.average_milliwatts =
      target.active_power->milliwatts * share + target.sleep_power->milliwatts * (1 - share);
  cost.battery_hours = cycle.capacity_mah * cycle.volts / cost.average_milliwatts;
  return cost;
}

}  // namespace mcufit
