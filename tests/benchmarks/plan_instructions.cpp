// SPDX-License-Identifier: Apache-2.0
// What plans by rows and in tiles cost on the emulated Cortex-M4, beside layer by layer: packages of the
// published nets and of the shared models, run and compared byte for byte. Run by `./dev bench-plans`; the
// shared models are looked for in MCUFIT_DATA.
#include <fmt/format.h>

#include <cmath>
#include <iostream>

#include "blocks/family.h"
#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/text.h"
#include "blocks/lower.h"
#include "exporters/device/device.h"
#include "exporters/tflite/import.h"
#include "tests/cost-models/published_nets.h"
#include "tests/exporters/sample_network.h"

namespace mcufit {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr Isa kIsa = Isa::dsp;  // of the Cortex-M4

struct Case {
  std::string name;
  MemoryPlan plan;
};

struct Measured {
  Cost cost;
  std::int64_t instructions = 0;
};

// Writes the package, runs it and holds it to its prediction.
Measured measure(const QuantizedGraph& net, const MemoryPlan& plan, std::size_t samples) {
  const testing::TestFolder folder;
  Target target = testing::sample_target("cortex-m4", true);
  target.flash_bytes = 4 << 20;
  target.ram_bytes = 1 << 20;
  const std::optional<TargetLaw> law = load_latency_law(target);
  const Cost cost = price(net.graph, load_code_sizes(target), plan, law ? &*law : nullptr);
  const auto vectors = testing::sample_vectors(net, samples, kSeed);
  write_package(folder.path() / "package", net, cost, {"net", target, {}, nullptr});
  const DeviceReport report =
      validate({folder.path() / "package", folder.path() / "work", "", &net}, vectors);
  if (report.first_mismatch) throw Error(ExitCode::validation_mismatch, net.graph.name + ": bytes differ");
  if (report.linked.arena_bytes != cost.ram.arena_bytes || report.linked.flash != cost.flash)
    throw Error(ExitCode::validation_mismatch, net.graph.name + ": the linker map differs from the price");
  return {cost, report.instructions_per_inference};
}

std::string predicted(const Cost& cost) {
  if (!cost.speed || !cost.speed->instructions) return "-";
  return with_separators(std::llround(*cost.speed->instructions));
}

// The first case is what the others are beside.
void print(const QuantizedGraph& net, const std::vector<Case>& cases, std::size_t samples) {
  std::vector<std::vector<std::string>> rows{
      {"", "arena B", "all RAM B", "flash B", "code B", "MACs", "instructions", "", "predicted"}};
  std::int64_t first = 0;
  for (const Case& c : cases) {
    const Measured m = measure(net, c.plan, samples);
    if (first == 0) first = m.instructions;
    const double more = 100.0 * (static_cast<double>(m.instructions) / static_cast<double>(first) - 1);
    rows.push_back({"  " + c.name, with_separators(m.cost.ram.arena_bytes),
                    with_separators(m.cost.ram.total()), with_separators(m.cost.flash.total()),
                    with_separators(m.cost.flash.code_bytes), with_separators(m.cost.macs),
                    with_separators(m.instructions), fmt::format("{:+.1f} %", more), predicted(m.cost)});
  }
  std::cout << net.graph.name << "\n" << aligned_table(rows) << std::flush;
}

// Of the factors at which RAM was published the least and the largest that tiles make use of.
std::vector<Case> published_cases(const testing::PublishedNet& net, const Graph& graph) {
  std::vector<Case> cases{{"layer by layer", plan(graph, kIsa)},
                          {"input row by row", plan(graph, {.input_streamed = true, .isa = kIsa})}};
  for (const testing::PublishedPoint& p : net.published) {
    MemoryPlan tiles = plan(graph, {.input_streamed = true, .most_mac_factor = p.mac_factor, .isa = kIsa});
    if (tiles.arena_bytes < cases.back().plan.arena_bytes)
      cases.push_back({fmt::format("in tiles, MAC factor at most {:.2f}", p.mac_factor), std::move(tiles)});
  }
  return cases;
}

QuantizedGraph sized(const Graph& lowered) {
  Random random(kSeed);
  std::vector<std::int8_t> sample;
  for (std::int64_t i = 0; i < lowered.input_shape().elements(); ++i)
    sample.push_back(static_cast<std::int8_t>(random.between(-128, 127)));
  return testing::sized_network(random, lowered, sample);
}

void print_published() {
  for (const testing::PublishedNet& net : testing::published_nets()) {
    Graph graph = testing::published_graph(net, false);
    graph.name = net.name;
    print(sized(graph), published_cases(net, graph), 1);
  }
}

void print_shared(const std::string& name, const std::string& file) {
  const auto path = data_folder() / "mlperf-tiny" / file;
  if (!std::filesystem::exists(path)) {
    std::cout << fmt::format("{}: {} is not there; MCUFIT_DATA names its folder\n", name, path.string());
    return;
  }
  const QuantizedGraph net = import_tflite(read_file(path), name);
  print(net,
        {{"layer by layer", plan(net.graph, kIsa)},
         {"least RAM", plan(net.graph, {.isa = kIsa})},
         {"input row by row", plan(net.graph, {.input_streamed = true, .isa = kIsa})}},
        4);
}

// What tiles cost a family's default member with the input in RAM.
void print_family(const std::string& name) {
  const Family& f = family(name);
  const QuantizedGraph net = sized(lower(f.build(default_hyperparameters(f), {{48, 48, 1}, 2})));
  std::vector<Case> cases{{"layer by layer", plan(net.graph, kIsa)}};
  for (const double factor : {1.0, 1.2, 2.0})
    cases.push_back({fmt::format("least RAM, MAC factor at most {}", factor),
                     plan(net.graph, {.most_mac_factor = factor, .isa = kIsa})});
  print(net, cases, 4);
}

}  // namespace
}  // namespace mcufit

int main() {
  try {
    mcufit::print_shared("ic", "ic_resnet8_int8.tflite");
    mcufit::print_shared("kws", "kws_dscnn_int8.tflite");
    mcufit::print_published();
    for (const char* family : {"phinet", "mobilenetv2"}) mcufit::print_family(family);
    return 0;
  } catch (const mcufit::Error& error) {
    std::cerr << error.what() << "\n";
    return static_cast<int>(error.code());
  }
}
