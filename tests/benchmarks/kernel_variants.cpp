// SPDX-License-Identifier: Apache-2.0
// Every kernel variant of the build list on a typical layer, beside the portable kernel on the same emulated
// core. Run by
// `./dev bench-kernels --variants`.
#include <fmt/format.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/builder.h"
#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/text.h"
#include "cost-models/cycle_table.h"
#include "exporters/device/device.h"
#include "exporters/device/devices.h"
#include "exporters/package.h"
#include "exporters/scratch_folder.h"
#include "tests/benchmarks/variant_layers.h"
#include "tests/exporters/sample_network.h"

namespace mcufit::testing {

namespace fs = std::filesystem;

// The layer is each net's last.
Graph add_layer() {
  GraphBuilder b("layer", {16, 16, 32});
  b.add("layer", b.input(), b.input());
  return b.finish();
}

Graph average_pool_layer() {
  GraphBuilder b("layer", {8, 8, 64});
  b.global_average_pool("layer", b.input());
  return b.finish();
}

Graph conv2d_layer() {
  GraphBuilder b("layer", {16, 16, 32});
  b.conv2d("layer", b.input(), 32, square_window(3, 1, 1));
  return b.finish();
}

Graph depthwise_layer() {
  GraphBuilder b("layer", {16, 16, 64});
  b.depthwise_conv2d("layer", b.input(), square_window(3, 1, 1));
  return b.finish();
}

Graph fully_connected_layer() {
  GraphBuilder b("layer", {1, 1, 128});
  b.fully_connected("layer", b.input(), 128);
  return b.finish();
}

namespace {

struct Variant {
  std::string_view kernel, isa;
};

#define MCUFIT_VARIANT(kernel, isa) {#kernel, #isa},
constexpr Variant kVariants[] = {MCUFIT_FOR_EACH_KERNEL_VARIANT(MCUFIT_VARIANT)};

const char* core_of(std::string_view isa) {
  return std::find_if(kVariantCores.begin(), kVariantCores.end(),
                      [&](const VariantCore& v) { return v.isa == isa; })
      ->core;
}

// Takes the variants out of a package: its kernels are the portable ones then.
void make_portable(const fs::path& package) {
  const std::string name = "mcufit_isa.h";
  const std::string text = "#define MCUFIT_PORTABLE\n" + read_file(package / name);
  write_file(package / name, text);
  auto manifest = nlohmann::json::parse(read_file(package / "manifest.json"));
  manifest["files"][name] = {{"bytes", text.size()}, {"sha256", sha256(text)}};
  write_file(package / "manifest.json", manifest.dump());
}

LayerRun run_layer(const Graph& graph, const char* core, bool portable) {
  const ScratchFolder scratch(fs::temp_directory_path());
  const QuantizedGraph net = random_integers(graph, 1);
  const Device& device = find_device(core);
  Target target = device.limits_for(Target{});
  target.clock_hz = 1;  // what is counted knows no time
  target.source = target.board;
  write_package(scratch.path() / "package", net,
                price(net.graph, no_code_sizes(), plan(net.graph, device.isa())),
                {.name = "layer", .target = target, .self_test = {}});
  if (portable) make_portable(scratch.path() / "package");
  const bool cycles = load_cycle_table(core).has_value();
  const std::vector<std::int8_t> input(static_cast<std::size_t>(net.graph.input_shape().elements()), 17);
  return run_layers({scratch.path() / "package", scratch.path(), core, nullptr, cycles}, input).layers.back();
}

std::string gain(std::int64_t variant, std::int64_t portable) {
  return portable == 0 ? "-"
                       : fmt::format("{:.2f}", static_cast<double>(variant) / static_cast<double>(portable));
}

std::string count(std::int64_t value) { return value == 0 ? "-" : with_separators(value); }

void print_all() {
  std::cout << "| variant | core | layer | MACs | portable | variant | ratio | portable cycles | variant | "
               "ratio |\n"
               "|---|---|---|---|---|---|---|---|---|---|\n";
  for (const auto& [kernel, isa] : kVariants) {
    const Graph graph = std::find(kBenchedKernels.begin(), kBenchedKernels.end(), kernel)->layer();
    const char* core = core_of(isa);
    const LayerRun portable = run_layer(graph, core, true), variant = run_layer(graph, core, false);
    std::cout << fmt::format("| {}_{} | {} | {} to {} | {} | {} | {} | {} | {} | {} | {} |\n", kernel, isa,
                             core, to_string(graph.input_shape()), to_string(variant.step.shape),
                             count(variant.step.macs), count(portable.instructions),
                             count(variant.instructions), gain(variant.instructions, portable.instructions),
                             count(portable.cycles), count(variant.cycles),
                             gain(variant.cycles, portable.cycles));
  }
}

}  // namespace
}  // namespace mcufit::testing

int main() {
  try {
    mcufit::testing::print_all();
    return EXIT_SUCCESS;
  } catch (const mcufit::Error& error) {
    std::cerr << error.what() << "\n";
    return static_cast<int>(error.code());
  }
}
