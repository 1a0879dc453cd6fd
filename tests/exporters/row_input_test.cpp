// SPDX-License-Identifier: Apache-2.0
// Packages that take their input row by row, through their own API: on this machine, and on an emulated core
// for a network of every family and the shared models.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <tuple>

#include "blocks/family.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/subprocess.h"
#include "cost-models/layout.h"
#include "exporters/device/device.h"
#include "exporters/device/devices.h"
#include "exporters/tflite/import.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/random_nets.h"
#include "tests/exporters/sample_network.h"
#include "tests/exporters/streamed_plans.h"
#include "tests/random_seed.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;

class RowInput : public ::testing::Test {
 protected:
  fs::path package() const { return folder_.path() / "package"; }

  void write(const QuantizedGraph& graph, const MemoryPlan& plan, std::size_t vectors = 3) {
    vectors_ = sample_vectors(graph, vectors, seed());
    write_package(package(), graph, price(graph.graph, no_code_sizes(), plan),
                  {"net", sample_target("cortex-m4", true), vectors_, nullptr});
  }

  // Compiles the package with `main_text` under sanitizers and runs it; returns what it prints.
  std::string run_on_host(const std::string& file, const std::string& main_text) {
    write_file(folder_.path() / file, main_text);
    std::vector<std::string> objects;
    for (const std::string& source : read_manifest(package()).sources) {
      objects.push_back(source + ".o");
      compile("gcc", {"-std=c99", "-c", (package() / source).string(), "-o", objects.back()});
    }
    objects.insert(objects.begin(), {"-I" + package().string(), file, "-o", "program"});
    compile(file.ends_with(".cpp") ? "g++" : "gcc", objects);
    const Finished finished = mcufit::run({.program = folder_.path() / "program",
                                           .arguments = {},
                                           .environment = {},
                                           .folder = folder_.path()});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return finished.out;
  }

  // The sample's bytes as a C initialiser.
  std::string first_input() const {
    std::string text;
    for (const std::int8_t byte : vectors_[0].input) text += fmt::format("{},", byte);
    return text;
  }

  std::string first_output() const {
    std::string text;
    for (const std::int8_t byte : vectors_[0].output) text += fmt::format("{} ", byte);
    return text + "\n";
  }

  TestFolder folder_;

 private:
  void compile(const char* compiler, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"-O1", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror",
                                         "-fsanitize=address,undefined", "-fno-sanitize-recover=all"});
    const Finished finished = mcufit::run({.program = compiler,
                                           .arguments = std::move(arguments),
                                           .environment = {},
                                           .folder = folder_.path()});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
  }

  std::vector<TestVector> vectors_;
};

// Feeds `rows` rows of the sample, or all that are asked for; C++ and C.
constexpr const char* kFeed = R"(
static int8_t sample[NET_INPUT_BYTES] = {%};

static int feed(int rows) {
  int fed = 0, i;
  net_start();
  while (net_next_input_row() != 0 && fed != rows) {
    for (i = 0; i < NET_INPUT_ROW_BYTES; ++i) net_next_input_row()[i] = sample[fed * NET_INPUT_ROW_BYTES + i];
    ++fed;
    if ((net_feed_row() == 1) != (fed == NET_INPUT_ROWS)) return -1;
  }
  return fed;
}
)";

// The same of `pieces` pieces: of each tile the rows in order, of each a part that lies inside of it.
constexpr const char* kFeedPieces = R"(
static int8_t sample[NET_INPUT_BYTES] = {%};

static int feed(int pieces) {
  int fed = 0, i;
  net_start();
  while (net_next_input_row() != 0 && fed != pieces) {
    const net_input_piece piece = net_next_input_piece();
    const int bytes = piece.columns * NET_INPUT_CHANNELS, end = piece.first_column + piece.columns;
    const int from = (piece.row * NET_INPUT_WIDTH + piece.first_column) * NET_INPUT_CHANNELS;
    if (piece.row != fed % NET_INPUT_ROWS || bytes > NET_INPUT_PIECE_BYTES) return -1;
    if (piece.first_column < 0 || piece.columns < 1 || end > NET_INPUT_WIDTH) return -2;
    for (i = 0; i < bytes; ++i) net_next_input_row()[i] = sample[from + i];
    ++fed;
    if ((net_feed_row() == 1) != (fed == NET_INPUT_ROWS * NET_INPUT_TILES)) return -3;
  }
  return fed;
}
)";

constexpr const char* kPrint = R"(
static void print_output(void) {
  int i;
  for (i = 0; i < NET_OUTPUT_BYTES; ++i) printf("%d ", net_output()[i]);
  printf("\n");
}
)";

constexpr const char* kUse = R"(
int main(void) {
  printf("%d %d %d\n", net_next_input_row() == 0, net_next_input_piece().columns, net_feed_row());
  printf("%d\n", feed(2));
  printf("%d\n", feed(NET_INPUT_ROWS * NET_INPUT_TILES - 1));
  printf("%d\n", feed(-1));
  print_output();
  printf("%d %d %d\n", net_next_input_row() == 0, net_next_input_piece().columns, net_feed_row());
  print_output();
  net_start();
  net_invoke_from(sample);
  print_output();
  return 0;
}
)";

// `feed` is kFeed or kFeedPieces.
std::string use_of(std::string feed, const std::string& input) {
  feed.replace(feed.find('%'), 1, input);
  return "#include <stdio.h>\n#include \"net.h\"\n" + feed + kPrint + kUse;
}

// What that prints where `pieces` rows or pieces are asked for.
std::string expected_of(int pieces, const std::string& output) {
  return fmt::format("1 0 1\n2\n{}\n{}\n{}1 0 1\n{}{}", pieces - 1, pieces, output, output, output);
}

TEST_F(RowInput, FeedingGivesTheInterpretersBytesInCAndCxx) {
  MCUFIT_TRACE_SEED();
  const QuantizedGraph graph = sample_network(seed());
  write(graph, longest_groups(graph.graph, InputUse::streamed));
  const std::string expected = expected_of(9, first_output());
  EXPECT_EQ(run_on_host("main.c", use_of(kFeed, first_input())), expected);
  EXPECT_EQ(run_on_host("main.cpp", use_of(kFeedPieces, first_input())), expected) << "a piece is a row";
}

TEST_F(RowInput, FeedingTileByTileGivesTheInterpretersBytes) {
  MCUFIT_TRACE_SEED();
  const QuantizedGraph graph = sample_network(seed());
  const MemoryPlan plan = tiled_groups(graph.graph, InputUse::streamed);
  ASSERT_EQ(plan.steps.front().tile_cuts.size(), 1);
  write(graph, plan);
  EXPECT_EQ(run_on_host("main.c", use_of(kFeedPieces, first_input())), expected_of(2 * 9, first_output()));
}

constexpr const char* kSelfTest =
    "#include <stdio.h>\n#include \"net.h\"\n#include \"net_selftest.h\"\n"
    "int main(void) {\n  printf(\"%d %d\\n\", net_selftest(), net_selftest_call());\n  return 0;\n}\n";

TEST_F(RowInput, RandomNetsPassTheirSelfTests) {
  for (int i = 0; i < 3 && !HasFailure(); ++i) {
    SCOPED_TRACE(case_name(test_seed(), i));
    Random random(test_seed(), {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_net(random, 10);
    const MemoryPlan plan =
        packed_plan(random, graph.graph, 8, i == 0 ? InputUse::whole : InputUse::streamed);
    write(graph, plan, 2);
    EXPECT_EQ(run_on_host("main.c", kSelfTest), "0 -1\n");
  }
}

TEST_F(RowInput, RandomTilesPassTheirSelfTests) {
  int tiled = 0;
  for (int i = 0; tiled < 2 && !HasFailure(); ++i) {
    ASSERT_LT(i, 100);
    SCOPED_TRACE(case_name(test_seed(), i));
    Random random(test_seed(), {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_column_net(random, 8);
    const MemoryPlan plan = packed_tiled_plan(random, graph.graph, 8, InputUse::streamed);
    if (plan.steps.front().tile_cuts.empty()) continue;
    ++tiled;
    write(graph, plan, 2);
    EXPECT_EQ(run_on_host("main.c", kSelfTest), "0 -1\n");
  }
}

// Inside of a group, where the tensor never exists whole; in tiles, in the second one. A streamed input is a
// call.
TEST_F(RowInput, TheSelfTestNamesTheFirstCallThatDiffersInAGroup) {
  constexpr std::uint64_t kSeed = 5;
  const QuantizedGraph graph = sample_network(kSeed);
  const MemoryPlan tiles = tiled_groups(graph.graph, InputUse::streamed);
  const auto calls_of_tile = static_cast<int>(tiles.steps.front().nodes.size());
  for (const auto& [plan, damaged, call] :
       {std::tuple{longest_groups(graph.graph, InputUse::whole), "net_step2 = {", 1},
        std::tuple{longest_groups(graph.graph, InputUse::streamed), "net_step4 = {", 4},
        std::tuple{tiles, "net_step2_tile1 = {", calls_of_tile + 2}}) {
    write(graph, plan, 2);
    std::string text = read_file(package() / "net_steps.c");
    const std::size_t step = text.find(damaged);
    ASSERT_NE(step, std::string::npos);
    const std::size_t end = text.find(".output_max = ", step);
    text.replace(end, text.find_first_of(",}", end) - end, ".output_max = -128");
    std::ofstream(package() / "net_steps.c") << text;
    auto manifest = nlohmann::json::parse(read_file(package() / "manifest.json"));
    manifest["files"]["net_steps.c"] = {{"bytes", text.size()}, {"sha256", sha256(text)}};
    write_file(package() / "manifest.json", manifest.dump());
    EXPECT_THAT(run_on_host("main.c", kSelfTest), ::testing::EndsWith(fmt::format(" {}\n", call)));
  }
}

// Every byte, the ledger and the bytes of the arena.
void expect_validates(const QuantizedGraph& graph, const MemoryPlan& plan, const fs::path& folder) {
  const auto vectors = sample_vectors(graph, 2, seed());
  Target target = sample_target("cortex-m4", true);
  target.flash_bytes = 2 << 20;
  target.ram_bytes = 256 << 10;
  const CodeSizesForTarget code = load_code_sizes(target);
  const Cost cost = price(graph.graph, code, plan);
  write_package(folder / "package", graph, cost, {"net", target, {vectors[0]}, nullptr});
  const DeviceReport report = validate({folder / "package", folder / "work", "", &graph}, vectors);
  EXPECT_FALSE(report.first_mismatch.has_value()) << to_json(report).dump(2);
  const Prediction predicted = predict(read_manifest(folder / "package"), find_device(target.core));
  EXPECT_EQ(report.linked.arena_bytes, predicted.ram.arena_bytes);
  EXPECT_EQ(report.linked.data_bss_bytes, cost.ram.data_bss_bytes);
  EXPECT_GE(report.arena_touched_bytes, covered_bytes(plan, graph.graph));
  EXPECT_LE(report.arena_touched_bytes, covered_bytes(plan, graph.graph, Isa::dsp));
  EXPECT_LE(report.stack_bytes, report.stack_bound_bytes);
  EXPECT_EQ(report.instructions_most_per_row > 0, streams_input(plan));
  EXPECT_LT(report.instructions_most_per_row, report.instructions_per_inference);
  EXPECT_EQ(report.linked.flash.step_bytes, cost.flash.step_bytes);
  EXPECT_LE(report.linked.flash.model_bytes(), cost.flash.model_bytes());
  if (code.sizes.compiler != report.compiler) return;  // the table is another compiler's
  EXPECT_EQ(report.linked.flash, cost.flash);
  EXPECT_EQ(report.stack_bound_bytes, cost.ram.stack_bytes);
}

TEST_F(RowInput, ANetOfEveryFamilyValidatesOnAnEmulatedCore) {
  MCUFIT_TRACE_SEED();
  if (const auto missing = missing_program(find_device("cortex-m4"))) GTEST_SKIP() << missing->name;
  int fed = 0;
  for (const Family* family : families()) {
    SCOPED_TRACE(std::string(family->name()));
    const Graph graph = family->build(default_hyperparameters(*family), {{32, 32, 3}, 5});
    const QuantizedGraph net = random_integers(graph, seed());
    const MemoryPlan smallest = plan(net.graph, {.input_streamed = true});
    fed += streams_input(smallest) ? 1 : 0;
    expect_validates(net, smallest, folder_.path());
  }
  EXPECT_GE(fed, 5);
}

// Columns made twice for less RAM, in plans of the planner.
TEST_F(RowInput, TilesOfANetAndOfASharedModelValidateOnAnEmulatedCore) {
  MCUFIT_TRACE_SEED();
  if (const auto missing = missing_program(find_device("cortex-m4"))) GTEST_SKIP() << missing->name;
  const Family& mobilenet = family("mobilenetv2");
  std::vector<QuantizedGraph> nets{
      random_integers(mobilenet.build(default_hyperparameters(mobilenet), {{32, 32, 3}, 5}), seed())};
  if (const auto path = data_folder() / "mlperf-tiny" / "ic_resnet8_int8.tflite"; fs::exists(path))
    nets.push_back(import_tflite(read_file(path), "ic"));
  for (const QuantizedGraph& net : nets) {
    SCOPED_TRACE(net.graph.name);
    const MemoryPlan smallest = plan(net.graph, {.input_streamed = true, .most_mac_factor = 1.5});
    EXPECT_FALSE(smallest.steps.front().tile_cuts.empty());
    EXPECT_LT(smallest.arena_bytes, plan(net.graph, {.input_streamed = true}).arena_bytes);
    expect_validates(net, smallest, folder_.path());
  }
}

TEST_F(RowInput, SharedModelsValidateOnAnEmulatedCore) {
  MCUFIT_TRACE_SEED();
  if (const auto missing = missing_program(find_device("cortex-m4"))) GTEST_SKIP() << missing->name;
  for (const char* file : {"ic_resnet8_int8.tflite", "kws_dscnn_int8.tflite"}) {
    SCOPED_TRACE(file);
    const auto path = data_folder() / "mlperf-tiny" / file;
    if (!fs::exists(path)) GTEST_SKIP() << path << " is not there; MCUFIT_DATA names its folder";
    const QuantizedGraph net = import_tflite(read_file(path), file);
    const MemoryPlan smallest = plan(net.graph, {.input_streamed = true});
    EXPECT_TRUE(streams_input(smallest));
    EXPECT_LT(smallest.arena_bytes, plan(net.graph, {}).arena_bytes);
    expect_validates(net, smallest, folder_.path());
  }
}

}  // namespace
}  // namespace mcufit::testing
