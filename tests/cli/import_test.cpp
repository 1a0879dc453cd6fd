// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks/foundation/files.h"
#include "tests/cli/program.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

std::string small_model() {
  return read_file(fs::path(MCUFIT_SOURCE_DIR) / "tests/fuzz/corpus/fuzz_tflite/small.tflite");
}

class Import : public ::testing::Test {
 protected:
  Finished import(const std::string& model, const std::vector<std::string>& more = {}) const {
    folder_.write("Small-Model.tflite", model);
    std::vector<std::string> arguments{"import",   "Small-Model.tflite", "--target",
                                       "nrf52840", "--output",           "run/package"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return mcufit(arguments, folder_.path());
  }
  Folder folder_;
};

TEST_F(Import, GivesAPackageThatValidates) {
  const Finished f = import(small_model());
  ASSERT_EQ(f.exit_code, 0) << f.err;
  EXPECT_THAT(f.out, HasSubstr("small_model: 8 nodes, 984 MACs"));
  EXPECT_THAT(f.out, HasSubstr("5x6x2 int8 (scale 0.5, zero point -3)"));
  EXPECT_THAT(f.out, HasSubstr("RAM: arena"));
  EXPECT_TRUE(fs::exists(folder_.path() / "run/package/small_model.h"));
  EXPECT_EQ(fs::file_size(folder_.path() / "run/vectors.bin"), 16U * (60 + 3));
  if (!missing_for_device().empty()) GTEST_SKIP() << missing_for_device();
  const Finished device = mcufit({"validate", "run/package"}, folder_.path());
  EXPECT_EQ(device.exit_code, 0) << device.out << device.err;
}

TEST_F(Import, NamesTheFolderAndTheTargetItself) {
  folder_.write("Small-Model.tflite", small_model());
  const Finished f = mcufit({"import", "Small-Model.tflite"}, folder_.path());
  ASSERT_EQ(f.exit_code, 0) << f.err;
  EXPECT_THAT(f.out, HasSubstr("mcufit validate small_model/package"));
  EXPECT_TRUE(fs::exists(folder_.path() / "small_model/package/manifest.json"));
  EXPECT_TRUE(fs::exists(folder_.path() / "small_model/vectors.bin"));
  EXPECT_THAT(read_file(folder_.path() / "small_model/package/manifest.json"), HasSubstr("nrf52840"));
}

TEST_F(Import, BenchRepeatsToTheInstructionAndAddsUp) {
  if (!missing_for_device().empty()) GTEST_SKIP() << missing_for_device();
  ASSERT_EQ(import(small_model()).exit_code, 0);
  const Finished f = mcufit({"bench", "run/package", "--json"}, folder_.path());
  ASSERT_EQ(f.exit_code, 0) << f.err;
  EXPECT_EQ(mcufit({"bench", "run/package", "--json"}, folder_.path()).out, f.out);
  const json j = json::parse(f.out);
  ASSERT_EQ(j["layers"].size(), 7U);
  std::int64_t sum = j["overhead"];
  for (const json& layer : j["layers"]) sum += layer["instructions"].get<std::int64_t>();
  EXPECT_EQ(sum, j["per_inference"]);
  EXPECT_EQ(mcufit({"bench", "run/package", "--device", "host"}, folder_.path()).exit_code, 2);
  const Finished table = mcufit({"bench", "run/package", "--device", "all"}, folder_.path());
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("cortex-m4"));
  EXPECT_THAT(table.out, HasSubstr("host"));
}

TEST_F(Import, JsonTellsGraphAndCost) {
  const Finished f = import(small_model(), {"--json", "--name", "other", "--vectors", "3"});
  ASSERT_EQ(f.exit_code, 0) << f.err;
  const json j = json::parse(f.out);
  EXPECT_EQ(j["name"], "other");
  EXPECT_EQ(j["graph"]["nodes"].size(), 8U);
  EXPECT_EQ(j["cost"]["macs"], 984);
  EXPECT_EQ(fs::file_size(folder_.path() / "run/vectors.bin"), 3U * (60 + 3));
}

TEST_F(Import, BadFilesAreFourAndLeaveNothing) {
  for (const std::string& bad : {std::string(), std::string("no model"), small_model().substr(0, 500)}) {
    const Finished f = import(bad);
    EXPECT_EQ(f.exit_code, 4) << f.err;
    EXPECT_THAT(f.err, HasSubstr("Small-Model.tflite"));
    EXPECT_FALSE(fs::exists(folder_.path() / "run"));
  }
  EXPECT_EQ(import(small_model(), {"--name", "No Identifier"}).exit_code, 4);
}

TEST_F(Import, RewritesAreToldAndCanBeSkipped) {
  const Finished f = import(small_model());
  EXPECT_THAT(f.out, HasSubstr("rewrites: none changes this network"));
  const json all = json::parse(import(small_model(), {"--json"}).out)["rewrites"];
  EXPECT_EQ(all["macs"], 984);
  EXPECT_EQ(all["macs_before"], 984);
  EXPECT_EQ(all["passes"].size(), 5U);
  const json two = json::parse(
      import(small_model(), {"--json", "--no-rewrite", "fuse_pad,dead_channels"}).out)["rewrites"];
  EXPECT_EQ(two["passes"].size(), 3U);
  const Finished unknown = import(small_model(), {"--no-rewrite", "fuse_pads"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("fuse_activation"));
}

// The input of this model is 490 bytes; fed row by row ten at a time.
TEST_F(Import, TheInputMayComeRowByRow) {
  const fs::path model = data_folder() / "mlperf-tiny/kws_dscnn_int8.tflite";
  if (!fs::exists(model)) GTEST_SKIP() << model << " is not there; MCUFIT_DATA names its folder";
  const auto imported = [&](const char* input) {
    return json::parse(mcufit({"import", model, "--output", std::string(input) + "/package", "--name", "kws",
                               "--plan", "least-ram", "--input", input, "--vectors", "2", "--json"},
                              folder_.path())
                           .out);
  };
  const json rows = imported("rows"), whole = imported("whole");
  EXPECT_TRUE(rows["input_streamed"]);
  EXPECT_FALSE(whole["input_streamed"]);
  EXPECT_LT(rows["cost"]["arena_bytes"], whole["cost"]["arena_bytes"]);
  const json manifest = json::parse(read_file(folder_.path() / "rows/package/manifest.json"));
  EXPECT_EQ(manifest["symbols"]["feed_row"], "kws_feed_row");
  EXPECT_THAT(read_file(folder_.path() / "rows/package/kws.h"),
              HasSubstr("#define KWS_INPUT_ROW_BYTES 10\n"));
  if (!missing_for_device().empty()) GTEST_SKIP() << missing_for_device();
  const Finished device = mcufit({"validate", "rows/package", "--json"}, folder_.path());
  ASSERT_EQ(device.exit_code, 0) << device.out << device.err;
  const json report = json::parse(device.out);
  EXPECT_EQ(report["linked"]["arena_bytes"], rows["cost"]["arena_bytes"]);
  const json bench = json::parse(mcufit({"bench", "rows/package", "--json"}, folder_.path()).out);
  ASSERT_LE(bench["layers"].size(), 4U);
  EXPECT_THAT(bench["layers"][0]["name"].get<std::string>(), ::testing::StartsWith("input .. "));
  EXPECT_LT(std::abs(bench["overhead"].get<std::int64_t>()), 2000);
}

TEST_F(Import, UsageErrorsAreTwo) {
  const Finished layers = import(small_model(), {"--input", "rows", "--plan", "layer-by-layer"});
  EXPECT_EQ(layers.exit_code, 2);
  EXPECT_THAT(layers.err, HasSubstr("--plan least-ram"));
  EXPECT_EQ(import(small_model(), {"--input", "columns"}).exit_code, 2);
  const Finished none = import(small_model(), {"--input", "rows"});
  EXPECT_EQ(none.exit_code, 10);
  EXPECT_THAT(none.err, HasSubstr("--input whole"));
  EXPECT_EQ(mcufit({"import"}, folder_.path()).exit_code, 2);
  EXPECT_EQ(import(small_model(), {"--vectors", "0"}).exit_code, 2);
  EXPECT_EQ(mcufit({"import", "--target", "nrf52840", "--output", "x"}, folder_.path()).exit_code, 2);
}

}  // namespace
}  // namespace mcufit::testing
