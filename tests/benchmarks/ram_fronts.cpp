// SPDX-License-Identifier: Apache-2.0
// The Pareto sets of arena bytes and calls of published nets and of the shared models, beside what others
// need, with the scratch of the kernels for an instruction set. Run by `./dev ram-fronts [ISA]`; the shared
// models are looked for in MCUFIT_DATA.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <span>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/text.h"
#include "cost-models/count.h"
#include "cost-models/layout.h"
#include "cost-models/plan.h"
#include "exporters/checksums.h"
#include "exporters/tflite/import.h"
#include "exporters/tile_columns.h"
#include "tests/cost-models/published_nets.h"

namespace mcufit {
namespace {

using testing::published_graph;
using testing::published_nets;
using testing::PublishedNet;

double milliseconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count();
}

void print_front(const Graph& graph, bool input_streamed, Isa isa) {
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<FrontPoint> front = plan_front(graph, {.input_streamed = input_streamed, .isa = isa});
  const double front_ms = milliseconds(begin);
  const auto quick_begin = std::chrono::steady_clock::now();
  const MemoryPlan quick =
      plan(graph, {.mode = PlanMode::quick, .input_streamed = input_streamed, .isa = isa});
  const double quick_ms = milliseconds(quick_begin);
  std::cout << fmt::format(
      "  input {}: {} plans of {} nodes in {:.1f} ms; bound {} bytes; quick {} bytes in {:.3f} ms\n",
      input_streamed ? "streamed" : "in the arena", front.size(), graph.size(), front_ms,
      with_separators(front[0].plan.lower_bound_bytes), with_separators(quick.arena_bytes), quick_ms);
  std::vector<std::vector<std::string>> rows{
      {"", "arena bytes", "MACs", "calls", "extra weight bytes", "steps"}};
  for (const FrontPoint& p : front) {
    rows.push_back({" ", with_separators(p.plan.arena_bytes), with_separators(p.macs),
                    with_separators(p.calls), with_separators(p.extra_weight_bytes),
                    std::to_string(p.plan.steps.size())});
  }
  std::cout << aligned_table(rows);
}

std::string published(const PublishedNet& net) {
  std::string text = fmt::format("{} layer by layer", with_separators(net.layer_by_layer_bytes));
  for (const testing::PublishedPoint& p : net.published)
    text += fmt::format("; {} at MAC factor {:.2f}", with_separators(p.bytes), p.mac_factor);
  return text;
}

// What the sender delivers of the input, in tiles some of it more than once.
std::int64_t delivered_bytes(const Graph& graph, const MemoryPlan& plan) {
  const std::int64_t once = bytes_made(graph, plan).front();
  if (!streams_input(plan)) return once;
  const auto tiles = static_cast<std::int32_t>(plan.steps.front().tile_cuts.size()) + 1;
  std::int64_t columns = 0;
  for (std::int32_t tile = 0; tile < tiles; ++tile)
    columns += made_part(graph, plan, {.tile = tile}).columns.width();
  return once / graph.input_shape().width * columns;
}

// Of a front, the smallest plan at each MAC factor at which something was published. Tiles make columns
// again; the input, if it is streamed, is delivered tile by tile.
void print_tiled(const PublishedNet& net, const Graph& graph, bool input_streamed, Isa isa) {
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<FrontPoint> front = plan_front(
      graph,
      {.input_streamed = input_streamed, .most_mac_factor = net.published.back().mac_factor, .isa = isa});
  std::cout << fmt::format("  input {}, groups in tiles: {} plans in {:.1f} ms; bound {} bytes\n",
                           input_streamed ? "streamed tile by tile" : "in the arena", front.size(),
                           milliseconds(begin), with_separators(front[0].plan.lower_bound_bytes));
  const auto macs = static_cast<double>(count(graph).macs);
  std::vector<std::vector<std::string>> rows{{"", "MAC factor at most", "published", "arena bytes",
                                              "MAC factor", "MACs", "calls", "extra weight bytes",
                                              "groups in tiles", "input bytes delivered"}};
  for (const testing::PublishedPoint& p : net.published) {
    const auto least = std::find_if(front.begin(), front.end(), [&](const FrontPoint& f) {
      return static_cast<double>(f.macs) <= p.mac_factor * macs;
    });  // the last of a front has a factor of 1
    const std::vector<Step>& steps = least->plan.steps;
    const auto in_tiles = [](const Step& step) { return !step.tile_cuts.empty(); };
    rows.push_back({" ", fmt::format("{:.2f}", p.mac_factor), with_separators(p.bytes),
                    with_separators(least->plan.arena_bytes),
                    fmt::format("{:.3f}", static_cast<double>(least->macs) / macs),
                    with_separators(least->macs), with_separators(least->calls),
                    with_separators(least->extra_weight_bytes),
                    std::to_string(std::count_if(steps.begin(), steps.end(), in_tiles)),
                    with_separators(delivered_bytes(graph, least->plan))});
  }
  std::cout << aligned_table(rows);
}

void print_published(Isa isa) {
  for (const PublishedNet& net : published_nets()) {
    for (const bool adds : {false, true}) {
      const Graph graph = published_graph(net, adds);
      std::cout << fmt::format("{}, {} residual adds; msf-CNN, without adds and input: {}\n", net.name,
                               adds ? "with" : "without", published(net));
      for (const bool streamed : {true, false}) {
        print_front(graph, streamed, isa);
        print_tiled(net, graph, streamed, isa);
      }
    }
  }
}

struct SharedModel {
  std::string name, file, others;
};

void print_shared(const SharedModel& model, Isa isa) {
  const auto path = data_folder() / "mlperf-tiny" / model.file;
  if (!std::filesystem::exists(path)) {
    std::cout << fmt::format("{}: {} is not there; MCUFIT_DATA names its folder\n", model.name,
                             path.string());
    return;
  }
  std::cout << fmt::format("{}; others, arena bytes: {}\n", model.name, model.others);
  const Graph graph = import_tflite(read_file(path), model.name).graph;
  for (const bool streamed : {false, true}) print_front(graph, streamed, isa);
}

// None named: the portable kernels, which work with nothing beside tensors.
Isa isa_named(std::span<char* const> arguments) {
  if (arguments.empty()) return Isa::portable;
  const std::optional<Isa> isa = find_isa(arguments[0]);
  if (isa && arguments.size() == 1) return *isa;
  throw Error(ExitCode::usage, fmt::format("ram-fronts: found '{}'; accepted: one of portable, mve, dsp, v6m "
                                           "and rv32, whose kernels' scratch is counted",
                                           fmt::join(arguments, " ")));
}

void print_all(Isa isa) {
  std::cout << fmt::format("Kernels: {}\n", to_string(isa));
  print_published(isa);
  print_shared({"ic", "ic_resnet8_int8.tflite", "54,996 (TFLite Micro), 56,672 (best vendor)"}, isa);
  print_shared({"kws", "kws_dscnn_int8.tflite", "22,820 (TFLite Micro), 22,272 (best vendor)"}, isa);
  print_shared({"ad", "ad_fc_autoencoder_int8.tflite", "2,580 (TFLite Micro), 2,048 (best vendor)"}, isa);
}

}  // namespace
}  // namespace mcufit

int main(int argc, char** argv) {
  try {
    mcufit::print_all(mcufit::isa_named(std::span(argv, static_cast<std::size_t>(argc)).subspan(1)));
    return 0;
  } catch (const mcufit::Error& error) {
    std::cerr << error.what() << "\n";
    return static_cast<int>(error.code());
  }
}
