// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "blocks/graph.h"
#include "cost-models/plan.h"
#include "cost-models/target.h"

namespace mcufit {

class ObjectReader;

// The sizes that a layer's time is a sum of:
// - one: each call
// - macs: multiply-accumulates at taps inside of the input, of a pooling the elements read; none elsewhere
// - padding_macs: multiply-accumulates at taps outside
// - outputs, inputs: elements
// - weight_bytes: of the filter
// - pixels, rows: of the output
// - runs: stretches of input that a kernel walks, one for each output element and kernel row inside
// - padded_runs: those of them at pixels whose window leaves the input
// - uneven_macs: multiply-accumulates, inside or not, that kernels do not take several at a time: all where
// the
//   taps of an output come not by fours; else those of a convolution's odd channel, of the outputs of a
//   fully-connected layer that are left after its fours, of a depthwise layer with less than four channels
inline constexpr std::array<std::string_view, 11> kTermNames{
    "one",    "macs", "padding_macs", "outputs",     "inputs",     "weight_bytes",
    "pixels", "rows", "runs",         "padded_runs", "uneven_macs"};
using Terms = std::array<double, kTermNames.size()>;

Terms terms_of(const Graph& lowered, NodeId id);

// Of each node as a plan runs it: every call counts as "one", each row's in groups, and of a group in tiles
// the columns that two tiles need count in both. No term is below that of the node run at once. How a group's
// calls are put in order is not in it.
std::vector<Terms> terms_of(const Graph& lowered, const MemoryPlan& plan);

// The class whose law a node of a lowered graph follows: its op's name, a convolution's with _pointwise or
// _spatial behind it, "lookup" for every activation that is a node. Nothing for what no kernel executes.
std::optional<std::string> operator_class(const Node& node);

// One class: what each term costs, none of them below zero, and how wrong that was on layers that the fit had
// not seen.
struct ClassLaw {
  Terms coefficients = {};
  std::int64_t samples = 0;
  std::int64_t held_out = 0;
  double median_relative_error = 0;
  double p90_relative_error = 0;
};

// What inferences take on one core with one compiler and set of flags; configs/latency-laws/<core>.json,
// written by `mcufit calibrate latency`.
struct LatencyLaw {
  std::string core;
  std::string device;  // what was measured: "mps2-an386 (QEMU 7.2.22)"
  std::string compiler;
  std::string flags;
  std::string counts;  // what the law predicts: "instructions", or "cycles"
  std::int64_t seed = 0;
  double invoke = 0;  // <model>_invoke() without its calls
  std::map<std::string, ClassLaw, std::less<>> classes;
  // Of whole inferences, on networks that the fit had not seen.
  std::int64_t held_out_networks = 0;
  double largest_network_error = 0;  // relative
};

LatencyLaw read_latency_law(ObjectReader& reader);
nlohmann::json to_json(const LatencyLaw& law);

// The law's answer for a graph layer by layer, or by its plan, in the unit that it counts; by no plan less
// than layer by layer. Throws Error(config) where a class was not measured.
double predict(const LatencyLaw& law, const Graph& lowered);
double predict(const LatencyLaw& law, const Graph& lowered, const MemoryPlan& plan);

// A law as it holds on a target.
struct TargetLaw {
  LatencyLaw law;
  bool of_sibling = false;                       // measured on another core, which stands in
  std::optional<double> cycles_per_instruction;  // from documents (cores.h)
  std::int64_t clock_hz = 0;
  std::optional<double> active_milliwatts;
};

// The law without the cost of uneven_macs, the one term that falls where a network grows: what it says of the
// least member of a box holds for all of them.
TargetLaw without_uneven(TargetLaw law);

// Nothing where neither the target's core nor its sibling has a law.
std::optional<TargetLaw> load_latency_law(const Target& target);

// One inference on a target by a law. Estimates, each of them: cycles and what follows from them rest on a
// number of cycles per instruction that no one measured on this target.
struct Speed {
  std::optional<double> instructions;  // nothing where the law counts cycles at once
  std::optional<double> cycles;
  std::optional<double> latency_us;  // memory without wait states
  std::optional<double> energy_uj;   // active power times latency
  bool estimated = true;
};

Speed estimate_speed(const Graph& lowered, const TargetLaw& law);  // layer by layer
Speed estimate_speed(const Graph& lowered, const MemoryPlan& plan, const TargetLaw& law);

// Adds "instructions_per_inference", "cycles", "latency_us", "energy_uj" (those that are known) and
// "speed_estimated".
void put_speed(nlohmann::json& document, const Speed& speed);

// How a device is used: an inference each period, asleep between them, from a battery.
struct DutyCycle {
  double period_s = 1;
  double capacity_mah = 0;  // of the battery
  double volts = 3;         // its voltage: capacity times voltage is what it holds
};

struct DutyCost {
  double average_milliwatts = 0;
  double battery_hours = 0;
};

// Nothing where latency, active or sleep power is not known. Throws Error(usage) where an inference takes
// longer than the period, or a number is not above zero.
std::optional<DutyCost> price_duty_cycle(const Speed& speed, const Target& target, const DutyCycle& cycle);

}  // namespace mcufit
