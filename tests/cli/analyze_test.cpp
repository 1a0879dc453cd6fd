// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "blocks/foundation/files.h"
#include "tests/cli/program.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kArchitecture =
    R"({"family": "phinet", "input": [32, 32, 3], "classes": 2, "hyperparameters": {"squeeze_excite": 1}})";

json layers_sum(const json& layers, const char* key) {
  return std::accumulate(
      layers.begin(), layers.end(), std::int64_t{0},
      [&](std::int64_t sum, const json& layer) { return sum + layer.at(key).get<std::int64_t>(); });
}

TEST(Analyze, LayersAddUpToTheLedger) {
  const Folder folder;
  folder.write("net.json", kArchitecture);
  const Finished f = mcufit({"analyze", "net.json", "--target", "nrf52840", "--json"}, folder.path());
  ASSERT_EQ(f.exit_code, 0) << f.err;
  const json j = json::parse(f.out);
  EXPECT_TRUE(j.at("fits").get<bool>());
  EXPECT_EQ(layers_sum(j.at("layers"), "macs"), j.at("macs"));
  EXPECT_EQ(layers_sum(j.at("layers"), "flash_bytes"),
            j.at("model_bytes").get<std::int64_t>() + j.at("step_bytes").get<std::int64_t>());
  std::int64_t most_live = 0;
  for (const json& layer : j.at("layers"))
    most_live = std::max(most_live, layer.at("live_bytes").get<std::int64_t>());
  EXPECT_LE(most_live, j.at("ram_lower_bound_bytes"));  // which counts whole words
  EXPECT_GE(most_live + 64, j.at("ram_lower_bound_bytes"));
}

TEST(Analyze, ATargetThatIsTooSmallIsAnAnswer) {
  const Folder folder;
  folder.write("net.json",
               R"({"family": "phinet", "input": [96, 96, 3], "classes": 2, "hyperparameters": {}})");
  const Finished f = mcufit({"analyze", "net.json", "--target", "microbit"}, folder.path());
  EXPECT_EQ(f.exit_code, 10);
  EXPECT_THAT(f.out, HasSubstr("too much by"));
  EXPECT_THAT(f.out, HasSubstr("block1/expand"));
}

TEST(Analyze, ReadsModelFiles) {
  const fs::path model = fs::path(MCUFIT_SOURCE_DIR) / "tests/fuzz/corpus/fuzz_tflite/small.tflite";
  const Folder folder;
  const Finished f = mcufit({"analyze", model.string(), "--target", "nrf52840"}, folder.path());
  EXPECT_EQ(f.exit_code, 0) << f.err;
  EXPECT_THAT(f.out, HasSubstr("conv2d"));
}

TEST(Analyze, WrongSourcesAreNamed) {
  const Folder folder;
  EXPECT_EQ(mcufit({"analyze", "--target", "nrf52840"}, folder.path()).exit_code, 2);
  EXPECT_EQ(mcufit({"analyze", "none.json", "--target", "nrf52840"}, folder.path()).exit_code, 5);
  folder.write("net.json", R"({"family": "phinets"})");
  const Finished f = mcufit({"analyze", "net.json", "--target", "nrf52840"}, folder.path());
  EXPECT_EQ(f.exit_code, 3);
  EXPECT_THAT(f.err, HasSubstr("did you mean 'phinet'"));
}

}  // namespace
}  // namespace mcufit::testing
