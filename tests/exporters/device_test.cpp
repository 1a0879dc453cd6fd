// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/device.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/subprocess.h"
#include "cost-models/layout.h"
#include "exporters/c_scratch.h"
#include "exporters/device/devices.h"
#include "exporters/interpreter.h"
#include "tests/exporters/sample_network.h"
#include "tests/exporters/streamed_plans.h"
#include "tests/random_seed.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;

// The reason why nothing can be run on a device here, or "".
std::string reason_against(const std::string& device) {
  const auto missing = missing_program(find_device(device));
  return missing ? missing->name + " is not installed" : "";
}

std::string message_of(ExitCode code, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

class DeviceRun : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = reason_against("cortex-m4"); !reason.empty()) GTEST_SKIP() << reason;
  }

  Cost write(const Target& target, const CodeSizesForTarget& code) {
    Cost cost = price(graph_.graph, code);
    write(target, cost);
    return cost;
  }

  void write(const Target& target, const Cost& cost) {
    write_package(package(), graph_, cost, {.name = "sample", .target = target, .self_test = vectors_});
  }

  DeviceReport run_it(const std::string& work = "work", const std::string& device = "",
                      const QuantizedGraph* network = nullptr) {
    return validate({package(), folder_.path() / work, device, network}, vectors_);
  }
  fs::path package() const { return folder_.path() / "package"; }

  // Changes a file of the package and its hash in the manifest.
  void edit(const std::string& name, const std::function<void(std::string&)>& change) {
    std::string text = read_file(package() / name);
    change(text);
    write_file(package() / name, text);
    auto manifest = nlohmann::json::parse(read_file(package() / "manifest.json"));
    manifest["files"][name] = {{"bytes", text.size()}, {"sha256", sha256(text)}};
    write_file(package() / "manifest.json", manifest.dump());
  }

  // Gives a node's first weight a wrong value, in either order that the file holds the filter in.
  void corrupt_weights(NodeId node) {
    edit("sample_weights.c", [&](std::string& text) {
      const std::string name = fmt::format("sample_n{}_filter[", node);
      std::size_t array = text.find(name);
      ASSERT_NE(array, std::string::npos);
      for (; array != std::string::npos; array = text.find(name, array + 1)) {
        const std::size_t number = text.find_first_of("-0123456789", text.find('{', array));
        const std::size_t comma = text.find_first_of(",\n", number);
        const bool positive = text[number] != '-';
        text.replace(number, comma - number, positive ? "-127" : "127");
      }
    });
  }

  QuantizedGraph graph_ = sample_network(seed());
  std::vector<TestVector> vectors_ = sample_vectors(graph_, 5, seed());
  TestFolder folder_;
};

class EmulatedCore : public DeviceRun, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    if (const std::string reason = reason_against(GetParam()); !reason.empty()) GTEST_SKIP() << reason;
  }

  void expect_as_predicted(const DeviceReport& report, const Cost& cost) const {
    EXPECT_FALSE(report.first_mismatch.has_value());
    ASSERT_EQ(report.outputs.size(), vectors_.size());
    for (std::size_t i = 0; i < vectors_.size(); ++i) EXPECT_EQ(report.outputs[i], vectors_[i].output);
    EXPECT_EQ(report.linked.flash, cost.flash) << to_json(report).dump(2) << to_json(cost).dump(2);
    const Isa isa = find_device(GetParam()).isa();
    EXPECT_EQ(report.linked.arena_bytes,
              cost.ram.arena_bytes + scratch_bytes_behind(graph_.graph, cost.plan, isa));
    EXPECT_EQ(report.linked.data_bss_bytes, cost.ram.data_bss_bytes);
    EXPECT_GE(report.arena_touched_bytes, covered_bytes(cost.plan, graph_.graph));
    EXPECT_LE(report.arena_touched_bytes, covered_bytes(cost.plan, graph_.graph, isa));
    EXPECT_EQ(report.stack_bound_bytes, cost.ram.stack_bytes);
    EXPECT_LE(report.stack_bytes, report.stack_bound_bytes);
    EXPECT_GT(report.stack_bytes, 0);
    EXPECT_GE(report.instructions_least, cost.macs);
  }
};

TEST_P(EmulatedCore, GivesTheInterpretersBytesAndThePredictedLedger) {
  MCUFIT_TRACE_SEED();
  const Target target = sample_target(GetParam(), find_device(GetParam()).fpu);
  CodeSizesForTarget code;
  code.sizes = measure_code_sizes(target);
  const Cost cost = write(target, code);
  const DeviceReport report = run_it();

  expect_as_predicted(report, cost);
  EXPECT_EQ(cost.ram.data_bss_bytes, 0);
  const auto law = load_latency_law(target);
  ASSERT_TRUE(law.has_value());
  const auto counted = static_cast<double>(report.instructions_per_inference);
  // Layers of a few odd channels are the hardest for a law: vectors of 16 run almost empty.
  EXPECT_NEAR(predict(law->law, graph_.graph), counted, 0.4 * counted)
      << "`mcufit calibrate latency --core " << GetParam() << "` makes the law anew";

  EXPECT_EQ(to_json(run_it("again")), to_json(report)) << "repeated to the instruction";

  const Cost streamed = price(graph_.graph, code, longest_groups(graph_.graph));
  EXPECT_GT(streamed.ram.data_bss_bytes, 0);
  write(target, streamed);
  expect_as_predicted(run_it("streamed"), streamed);

  const Cost tiled = price(graph_.graph, code, tiled_groups(graph_.graph));
  EXPECT_GT(tiled.flash.step_bytes, streamed.flash.step_bytes);
  write(target, tiled);
  expect_as_predicted(run_it("tiled"), tiled);

  const Cost fed = price(graph_.graph, code, tiled_groups(graph_.graph, InputUse::streamed));
  EXPECT_GT(fed.ram.stack_bytes, tiled.ram.stack_bytes);
  write(target, fed);
  expect_as_predicted(run_it("fed"), fed);
}

TEST_F(DeviceRun, OtherBytesAreReportedNotThrown) {
  MCUFIT_TRACE_SEED();
  write(sample_target("cortex-m4", true), no_code_sizes());
  const std::int8_t right = vectors_[3].output[2];
  vectors_[3].output[2] = static_cast<std::int8_t>(right ^ 1);
  vectors_[4].output[0] = static_cast<std::int8_t>(vectors_[4].output[0] ^ 1);
  const DeviceReport report = run_it();
  ASSERT_TRUE(report.first_mismatch.has_value());
  EXPECT_EQ(report.first_mismatch->sample, 3);
  EXPECT_EQ(report.first_mismatch->index, 2);
  EXPECT_EQ(report.first_mismatch->found, right);
}

TEST_F(DeviceRun, WhatExceedsTheTargetDoesNotLink) {
  Target target = sample_target("cortex-m4", true);
  target.flash_bytes = 4096;
  write(target, no_code_sizes());
  EXPECT_THAT(message_of(ExitCode::constraint_not_met, [&] { run_it(); }), ::testing::HasSubstr("FLASH"));
  target = sample_target("cortex-m4", true);
  target.ram_bytes = price(graph_.graph, no_code_sizes()).ram.arena_bytes + 64;
  write(target, no_code_sizes());
  EXPECT_THAT(message_of(ExitCode::constraint_not_met, [&] { run_it(); }),
              ::testing::HasSubstr("exceed the RAM"));
}

// The node that is named is the one whose weight was changed, whatever comes behind it.
TEST_F(DeviceRun, TheFirstDifferingLayerIsNamed) {
  constexpr std::uint64_t kSeed = 5;  // of a network in which changes reach the output
  graph_ = sample_network(kSeed);
  vectors_ = sample_vectors(graph_, 5, kSeed);
  int corrupted = 0;
  for (NodeId id = 1; id < graph_.graph.size(); ++id) {
    if (graph_.node(id).filter.empty()) continue;
    write(sample_target("cortex-m4", true), no_code_sizes());
    corrupt_weights(id);
    const DeviceReport report = run_it("work", "host", &graph_);
    if (!report.first_mismatch) continue;  // nothing of it reaches the output
    ++corrupted;
    ASSERT_TRUE(report.first_mismatch->layer.has_value());
    const LayerMismatch& layer = *report.first_mismatch->layer;
    EXPECT_EQ(layer.step.node, id);
    EXPECT_EQ(layer.step.name, graph_.graph.node(id).name);
    ASSERT_TRUE(layer.index.has_value());
    const auto& input = vectors_[static_cast<std::size_t>(layer.sample)].input;
    const auto right = interpret(graph_, input)[static_cast<std::size_t>(id)];
    EXPECT_EQ(layer.expected, right[static_cast<std::size_t>(*layer.index)]);
    EXPECT_NE(layer.expected, layer.found);

    const auto by_checksum = run_it("again", "host").first_mismatch->layer;
    ASSERT_TRUE(by_checksum.has_value());
    EXPECT_EQ(by_checksum->step.node, id);
    EXPECT_FALSE(by_checksum->index.has_value());
  }
  EXPECT_GE(corrupted, 2);
}

// In groups too, down to the byte where the network is at hand: rows are compared as calls make them.
TEST_F(DeviceRun, TheFirstDifferingLayerOfAGroupIsNamed) {
  constexpr std::uint64_t kSeed = 5;
  graph_ = sample_network(kSeed);
  vectors_ = sample_vectors(graph_, 5, kSeed);
  for (const auto& [id, input] : {std::pair{1, InputUse::streamed}, std::pair{3, InputUse::whole}}) {
    const MemoryPlan plan = longest_groups(graph_.graph, input);
    ASSERT_GT(plan.steps[static_cast<std::size_t>(plan.placement(id).first_step)].nodes.size(), 4U);
    write(sample_target("cortex-m4", true), price(graph_.graph, no_code_sizes(), plan));
    corrupt_weights(id);
    const DeviceReport report = run_it("work", "host", &graph_);
    ASSERT_TRUE(report.first_mismatch && report.first_mismatch->layer);
    const LayerMismatch& layer = *report.first_mismatch->layer;
    EXPECT_EQ(layer.step.node, id);
    EXPECT_EQ(layer.step.name, graph_.graph.node(id).name);
    const auto& sample = vectors_[static_cast<std::size_t>(layer.sample)].input;
    const auto right = interpret(graph_, sample)[static_cast<std::size_t>(id)];
    EXPECT_EQ(layer.expected, right[static_cast<std::size_t>(layer.index.value())]);
    EXPECT_NE(layer.expected, layer.found);

    if (input == InputUse::whole) continue;
    const auto by_checksum = run_it("again", "cortex-m4").first_mismatch->layer;
    ASSERT_TRUE(by_checksum.has_value());
    EXPECT_EQ(by_checksum->step.node, id);
    EXPECT_FALSE(by_checksum->index.has_value());
  }
}

// Layer by layer: the interpreter's tensors, the same counts again, and nothing lost between them.
TEST_F(DeviceRun, LayersAddUpToTheInference) {
  MCUFIT_TRACE_SEED();
  write(sample_target("cortex-m4", true), no_code_sizes());
  const auto tensors = interpret(graph_, vectors_[0].input);
  for (const Device& device : devices()) {
    if (!reason_against(device.name).empty()) continue;
    const auto layers_of = [&](const char* work) {
      return run_layers({package(), folder_.path() / work, device.name, nullptr}, vectors_[0].input);
    };
    const LayersReport report = layers_of("one");
    ASSERT_EQ(report.layers.size(), called_nodes(graph_.graph).size());
    for (const LayerRun& layer : report.layers) {
      EXPECT_EQ(layer.outputs.at(0), tensors[static_cast<std::size_t>(layer.step.node)]) << layer.step.name;
      EXPECT_TRUE(device.counts.empty() || layer.instructions > layer.step.macs) << layer.step.name;
    }
    EXPECT_EQ(to_json(report), to_json(layers_of("two"))) << device.name;
    if (device.counts.empty()) continue;
    EXPECT_GT(report.overhead(), 0) << device.name;
    EXPECT_LT(report.overhead(), 100) << device.name;
  }
}

// Of what a call made the columns of its tile, row after row; the byte that is named is the tensor's.
class TiledRun : public DeviceRun, public ::testing::WithParamInterface<InputUse> {};

TEST_P(TiledRun, EachTileOfAGroupIsALayer) {
  constexpr std::uint64_t kSeed = 5;  // of a network in which changes reach the output
  graph_ = sample_network(kSeed);
  vectors_ = sample_vectors(graph_, 5, kSeed);
  const Cost tiled = price(graph_.graph, no_code_sizes(), tiled_groups(graph_.graph, GetParam()));
  const Step& group = tiled.plan.steps[GetParam() == InputUse::whole ? 1 : 0];
  ASSERT_FALSE(group.tile_cuts.empty());
  write(sample_target("cortex-m4", true), tiled);
  const auto tensors = interpret(graph_, vectors_[0].input);
  const Manifest manifest = read_manifest(package());
  const RunRequest request{package(), folder_.path() / "layers", "host", nullptr};
  const LayersReport report = run_layers(request, vectors_[0].input);
  for (std::size_t tile = 0; tile <= group.tile_cuts.size(); ++tile) {
    EXPECT_EQ(report.layers[tile].step.node, group.nodes.back());
    EXPECT_EQ(report.layers[tile].step.tile, tile);
  }
  for (const LayerRun& layer : report.layers) {
    for (std::size_t i = 0; i < layer.outputs.size(); ++i) {
      const ManifestStep& step = manifest.steps[layer.first_call + i];
      auto right = columns_of(tensors[static_cast<std::size_t>(step.node)], step.shape, step.columns);
      ASSERT_LE(layer.outputs[i].size(), right.size()) << step.name;
      right.resize(layer.outputs[i].size());
      EXPECT_EQ(layer.outputs[i], right) << step.name << " in tile " << step.tile;
    }
  }

  corrupt_weights(1);
  const DeviceReport wrong = run_it("work", "host", &graph_);
  ASSERT_TRUE(wrong.first_mismatch && wrong.first_mismatch->layer);
  const LayerMismatch& layer = *wrong.first_mismatch->layer;
  EXPECT_EQ(layer.step.node, 1);
  const auto& sample = vectors_[static_cast<std::size_t>(layer.sample)].input;
  EXPECT_EQ(layer.expected, interpret(graph_, sample)[1].at(static_cast<std::size_t>(layer.index.value())));
  const auto by_checksum = run_it("again", "cortex-m4").first_mismatch->layer;
  ASSERT_TRUE(by_checksum.has_value());
  EXPECT_EQ(by_checksum->step.node, 1);
}

INSTANTIATE_TEST_SUITE_P(Inputs, TiledRun, ::testing::Values(InputUse::whole, InputUse::streamed),
                         [](const ::testing::TestParamInfo<InputUse>& input) {
                           return std::string(input.param == InputUse::whole ? "Whole" : "Streamed");
                         });

TEST_F(DeviceRun, AModelThatWritesPastItsArenaIsFound) {
  write(sample_target("cortex-m4", true), no_code_sizes());
  edit("sample.c", [](std::string& text) {
    const std::string first = "{ return sample_arena.bytes + ";
    text.replace(text.find(first), first.size(), "{ return sample_arena.bytes + SAMPLE_ARENA_BYTES - 8 + ");
  });
  EXPECT_THAT(message_of(ExitCode::validation_mismatch, [&] { run_it(); }), ::testing::HasSubstr("arena"));
}

TEST_F(DeviceRun, MissingProgramsAreNamedWithTheirPackage) {
  write(sample_target("cortex-m4", true), no_code_sizes());
  const std::string path = std::getenv("PATH");
  const fs::path programs = folder_.path() / "bin";
  fs::create_directories(programs);
  setenv("PATH", programs.c_str(), 1);
  const std::string compiler = message_of(ExitCode::device_not_found, [&] { run_it(); });
  const std::string measuring =
      message_of(ExitCode::device_not_found, [] { measure_code_sizes(sample_target("cortex-m4", true)); });
  fs::create_symlink("/bin/true", programs / "arm-none-eabi-gcc");
  const std::string emulator = message_of(ExitCode::device_not_found, [&] { run_it(); });
  setenv("PATH", path.c_str(), 1);
  EXPECT_THAT(compiler, ::testing::HasSubstr("apt-get install gcc-arm-none-eabi"));
  EXPECT_THAT(measuring, ::testing::HasSubstr("apt-get install gcc-arm-none-eabi"));
  EXPECT_THAT(emulator, ::testing::HasSubstr("apt-get install qemu-system-arm"));
}

TEST_F(DeviceRun, CoresWithoutABoardAreRefused) {
  write(sample_target("cortex-m85", true), no_code_sizes());
  EXPECT_THAT(message_of(ExitCode::device_not_found, [&] { run_it(); }), ::testing::HasSubstr("cortex-m85"));
}

TEST_F(DeviceRun, APackageRunsOnEveryDevice) {
  MCUFIT_TRACE_SEED();
  write(sample_target("cortex-m4", true), no_code_sizes());
  for (const Device& device : devices()) {
    if (const std::string reason = reason_against(device.name); !reason.empty()) {
      std::cout << "not tried: " << device.name << ": " << reason << "\n";
      continue;
    }
    const DeviceReport report = run_it(device.name, device.name);
    EXPECT_EQ(report.core, device.name);
    EXPECT_FALSE(report.first_mismatch.has_value()) << device.name;
    EXPECT_EQ(report.instructions_per_inference > 0, !device.counts.empty()) << device.name;
  }
}

TEST_F(DeviceRun, SamplesMustHaveTheNetworksShape) {
  write(sample_target("cortex-m4", true), no_code_sizes());
  vectors_[1].output.push_back(0);
  EXPECT_THAT(message_of(ExitCode::input, [&] { run_it(); }), ::testing::HasSubstr("6 outputs"));
  vectors_.clear();
  EXPECT_THAT(message_of(ExitCode::input, [&] { run_it(); }), ::testing::HasSubstr("no sample"));
}

class CodeSizeTable : public ::testing::TestWithParam<std::string> {};

// With MCUFIT_UPDATE_GOLDEN set the table is written instead.
TEST_P(CodeSizeTable, IsWhatTheCompilerMakes) {
  if (const std::string reason = reason_against(GetParam()); !reason.empty()) GTEST_SKIP() << reason;
  const Target target = sample_target(GetParam(), find_device(GetParam()).fpu);
  const CodeSizes measured = measure_code_sizes(target);
  if (std::getenv("MCUFIT_UPDATE_GOLDEN") != nullptr) {
    write_file(config_folder() / "code-sizes" / (target.core + ".json"), to_json(measured).dump(2) + "\n");
  }
  const CodeSizesForTarget table = load_code_sizes(target);
  EXPECT_FALSE(table.estimated);
  if (table.sizes.compiler != measured.compiler) {
    GTEST_SKIP() << "the table is of " << table.sizes.compiler << ", here is " << measured.compiler;
  }
  EXPECT_EQ(to_json(table.sizes), to_json(measured))
      << "MCUFIT_UPDATE_GOLDEN=1 with this test writes the table";
}

std::vector<std::string> emulated_cores() {
  std::vector<std::string> names;
  for (const Device& device : devices()) {
    if (device.has_memories() && device.call_graph) names.push_back(device.name);
  }
  return names;
}

std::string core_name(const ::testing::TestParamInfo<std::string>& core) {
  std::string name = core.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Devices, EmulatedCore, ::testing::ValuesIn(emulated_cores()), core_name);
INSTANTIATE_TEST_SUITE_P(Devices, CodeSizeTable, ::testing::ValuesIn(emulated_cores()), core_name);

}  // namespace
}  // namespace mcufit::testing
