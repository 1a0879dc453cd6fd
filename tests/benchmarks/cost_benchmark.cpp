// SPDX-License-Identifier: Apache-2.0
// How fast closed forms, exact prices and certified inversions are; ./dev bench-cost runs it beside
// tests/benchmarks/closed_form.py, the same closed form in plain Python.
#include <benchmark/benchmark.h>

#include "blocks/foundation/random.h"
#include "blocks/lower.h"
#include "cost-models/certify.h"
#include "cost-models/descent.h"
#include "cost-models/price_plan.h"
#include "tests/cost-models/published_nets.h"

namespace mcufit {
namespace {

constexpr std::size_t kDrawn = 1024;

const CodeSizesForTarget& code_sizes() {
  static const CodeSizesForTarget code = load_code_sizes(load_target("nrf52840"));
  return code;
}

// 12 resolutions: more than a million members.
Lattice large_lattice() {
  std::vector<Shape> inputs;
  for (std::int32_t side = 48; side <= 224; side += 16) inputs.push_back({side, side, 3});
  return fine_lattice(family("phinet"), inputs, 2);
}

Budget large_budget() { return {.flash_bytes = 1 << 20, .ram_bytes = 1 << 18, .macs = {}, .params = {}}; }

std::vector<Architecture> draw(const Lattice& lattice) {
  Random random(1);
  std::vector<Architecture> members;
  for (std::size_t i = 0; i < kDrawn; ++i) {
    Architecture a{
        lattice.family, {}, {lattice.inputs[random.below(lattice.inputs.size())], lattice.classes}};
    for (std::size_t k = 0; k < lattice.values.size(); ++k)
      a.hyperparameters[k] = lattice.values[k][random.below(lattice.values[k].size())];
    members.push_back(a);
  }
  return members;
}

void closed_form(benchmark::State& state) {
  const std::vector<Architecture> members = draw(large_lattice());
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(members[i++ % kDrawn].footprint());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(closed_form);

// A MobileNetV2 of 19 blocks: 62 nodes after lowering.
Architecture sixty_layers() {
  const Family& f = family("mobilenetv2");
  Architecture a{&f, default_hyperparameters(f), {{96, 96, 3}, 2}};
  for (std::size_t i = 0; i < f.parameters().size(); ++i) {
    const std::string_view name = f.parameters()[i].name;
    if (name == "stages") a.hyperparameters[i] = 5;
    if (name == "depth") a.hyperparameters[i] = 3;
  }
  return a;
}

void price_sixty_layers(benchmark::State& state) {
  const Architecture a = sixty_layers();
  const Budget budget = large_budget();
  for (auto _ : state) benchmark::DoNotOptimize(price_member(a, budget, code_sizes()));
  state.counters["nodes"] = static_cast<double>(lower(a.build()).size());
}
BENCHMARK(price_sixty_layers)->Unit(benchmark::kMicrosecond);

// The parts of a price.
void build_sixty_layers(benchmark::State& state) {
  const Architecture a = sixty_layers();
  for (auto _ : state) benchmark::DoNotOptimize(a.build());
}
BENCHMARK(build_sixty_layers)->Unit(benchmark::kMicrosecond);

void lower_sixty_layers(benchmark::State& state) {
  const Graph graph = sixty_layers().build();
  for (auto _ : state) benchmark::DoNotOptimize(lower(graph));
}
BENCHMARK(lower_sixty_layers)->Unit(benchmark::kMicrosecond);

void plan_sixty_layers(benchmark::State& state) {
  const Graph graph = lower(sixty_layers().build());
  for (auto _ : state) benchmark::DoNotOptimize(plan(graph));
}
BENCHMARK(plan_sixty_layers)->Unit(benchmark::kMicrosecond);

void quick_plan_sixty_layers(benchmark::State& state) {
  const Graph graph = lower(sixty_layers().build());
  for (auto _ : state) benchmark::DoNotOptimize(plan(graph, {.mode = PlanMode::quick}));
}
BENCHMARK(quick_plan_sixty_layers)->Unit(benchmark::kMicrosecond);

void best_plan_sixty_layers(benchmark::State& state) {
  const Graph graph = lower(sixty_layers().build());
  for (auto _ : state) benchmark::DoNotOptimize(plan(graph, {.mode = PlanMode::best}));
}
BENCHMARK(best_plan_sixty_layers)->Unit(benchmark::kMillisecond);

void tiled_plan_sixty_layers(benchmark::State& state) {
  const Graph graph = lower(sixty_layers().build());
  for (auto _ : state)
    benchmark::DoNotOptimize(plan(graph, {.input_streamed = true, .most_mac_factor = 2.0}));
}
BENCHMARK(tiled_plan_sixty_layers)->Unit(benchmark::kMillisecond);

// The front of each published net with its residual adds, at the largest factor published.
void tiled_front_of_a_published_net(benchmark::State& state) {
  const testing::PublishedNet& net = testing::published_nets()[static_cast<std::size_t>(state.range(0))];
  const Graph graph = testing::published_graph(net, true);
  const PlanOptions options{.input_streamed = true, .most_mac_factor = net.published.back().mac_factor};
  for (auto _ : state) benchmark::DoNotOptimize(plan_front(graph, options));
  state.SetLabel(net.name);
  state.counters["nodes"] = static_cast<double>(graph.size());
}
BENCHMARK(tiled_front_of_a_published_net)->DenseRange(0, 2)->Unit(benchmark::kMillisecond);

// A price that needs rows: layer by layer is too large.
void price_sixty_layers_by_rows(benchmark::State& state) {
  const Architecture a = sixty_layers();
  const Graph graph = lower(a.build());
  Budget budget = large_budget();
  const auto others = [](const Cost& cost) { return cost.ram.total() - cost.ram.arena_bytes; };
  const Cost whole = price(graph, code_sizes());
  budget.ram_bytes = 3 * whole.ram.arena_bytes / 5 + others(whole);
  for (auto _ : state) benchmark::DoNotOptimize(price_candidate(graph, code_sizes(), budget));
  state.SetLabel(describe(price_candidate(graph, code_sizes(), budget)));
}
BENCHMARK(price_sixty_layers_by_rows)->Unit(benchmark::kMicrosecond);

void certify_a_million(benchmark::State& state) {
  const Lattice lattice = large_lattice();
  Certificate answer;
  for (auto _ : state) answer = certify(lattice, large_budget(), code_sizes());
  state.counters["members"] = static_cast<double>(answer.proof.members);
  state.counters["priced"] = static_cast<double>(answer.proof.priced_exactly());
}
BENCHMARK(certify_a_million)->Unit(benchmark::kMillisecond)->UseRealTime();

// A law of the usual form with made-up coefficients, whose limit binds.
TargetLaw plain_law() {
  TargetLaw t;
  t.law.counts = "cycles";
  for (const char* name :
       {"conv2d_pointwise", "conv2d_spatial", "depthwise_conv2d", "fully_connected", "add", "average_pool2d"})
    t.law.classes[name].coefficients = {100, 2, 10};
  t.clock_hz = 64'000'000;
  return t;
}

void certify_a_million_in_time(benchmark::State& state) {
  const Lattice lattice = large_lattice();
  const TargetLaw law = plain_law();
  Budget budget = large_budget();
  budget.latency_us = 200'000;
  Certificate answer;
  for (auto _ : state)
    answer = certify(lattice, budget, code_sizes(), {.top = 1, .front = false, .law = &law});
  state.counters["priced"] = static_cast<double>(answer.proof.priced_exactly());
  state.SetLabel(std::string(to_string(answer.binding)));
}
BENCHMARK(certify_a_million_in_time)->Unit(benchmark::kMillisecond)->UseRealTime();

void front_of_a_million(benchmark::State& state) {
  const Lattice lattice = large_lattice();
  Certificate answer;
  for (auto _ : state) answer = certify(lattice, large_budget(), code_sizes(), {.top = 1, .front = true});
  state.counters["front"] = static_cast<double>(answer.front->members.size());
  state.counters["priced"] = static_cast<double>(answer.front->priced);
}
BENCHMARK(front_of_a_million)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(1);

}  // namespace
}  // namespace mcufit

BENCHMARK_MAIN();
