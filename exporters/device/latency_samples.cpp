// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "blocks/foundation/error.h"
#include "blocks/foundation/text.h"
#include "cost-models/latency_fit.h"
#include "exporters/device/device.h"
#include "exporters/device/emulation.h"
#include "exporters/device/layer_nets.h"
#include "exporters/device/toolchain.h"
#include "exporters/scratch_folder.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;

// A network and what a device took for it, layer by layer.
struct Measured {
  Graph graph;
  std::vector<LayerSample> samples;
  double whole = 0;
  double overhead = 0;
};

Measured measure(const QuantizedGraph& net, const Target& target, const Device& device,
                 const fs::path& folder, Random& random) {
  Cost cost;
  cost.plan = plan(net.graph, device.isa());
  PackageRequest request;
  request.name = "layers";
  request.target = target;
  write_package(folder / "package", net, cost, request);
  std::vector<std::int8_t> input(static_cast<std::size_t>(net.graph.input_shape().elements()));
  for (std::int8_t& value : input) value = static_cast<std::int8_t>(random.between(-128, 127));
  const LayersReport report = run_layers({folder / "package", folder, device.name, nullptr}, input);
  Measured m;
  m.graph = net.graph;
  m.whole = static_cast<double>(report.instructions_per_inference);
  m.overhead = static_cast<double>(report.overhead());
  for (const LayerRun& run : report.layers)
    m.samples.push_back({operator_class(net.graph.node(run.step.node)).value(),
                         terms_of(net.graph, run.step.node), static_cast<double>(run.instructions)});
  return m;
}

std::vector<LayerSample> all_samples(const std::vector<Measured>& networks) {
  std::vector<LayerSample> all;
  for (const Measured& m : networks) all.insert(all.end(), m.samples.begin(), m.samples.end());
  return all;
}

const Device& counting_device(const std::string& core) {
  const Device& device = find_device(core);
  if (device.has_linker_script() && !device.counts.empty()) return device;
  throw Error(ExitCode::usage,
              fmt::format("latency law of {}: layers are counted one by one on the emulated Arm and RISC-V "
                          "cores alone; accepted: one of those that `mcufit validate --list` shows",
                          core));
}

// The emulated board with all of its memory.
Target board_of(const Device& device) {
  Target target;
  target.clock_hz = 1;  // what is counted knows no time
  target.source = device.board;
  return device.limits_for(target);
}

}  // namespace

LatencyLaw measure_latency_law(const LatencyRequest& request) {
  const Device& device = counting_device(request.core);
  const Target target = board_of(device);
  const ScratchFolder scratch(fs::temp_directory_path());
  std::vector<Measured> fitted, held_out;
  for (int i = 0; i < request.networks + request.held_out_networks; ++i) {
    Random random(request.seed, {static_cast<std::uint64_t>(i)});
    (i < request.networks ? fitted : held_out)
        .push_back(measure(layer_net(random, request.rounds), target, device, scratch.path(), random));
  }
  const Toolchain toolchain(device, target, scratch.path());
  LatencyLaw law;
  law.core = request.core;
  law.device = device_text(device, "");
  law.compiler = toolchain.compiler();
  law.flags = join(toolchain.flags(), " ");
  law.counts = device.counts;
  law.seed = static_cast<std::int64_t>(request.seed);
  law.invoke = fitted.front().overhead;
  law.classes = fit_classes(all_samples(fitted), all_samples(held_out));
  law.held_out_networks = request.held_out_networks;
  for (const Measured& m : held_out)
    law.largest_network_error =
        std::max(law.largest_network_error, std::abs(predict(law, m.graph) - m.whole) / m.whole);
  return law;
}

}  // namespace mcufit
