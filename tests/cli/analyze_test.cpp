// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <tuple>

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

TEST(Analyze, RamWithAndWithoutTheInput) {
  const Folder folder;
  folder.write("net.json", kArchitecture);
  const json j =
      json::parse(mcufit({"analyze", "net.json", "--target", "nrf52840", "--json"}, folder.path()).out);
  EXPECT_EQ(j.at("input_bytes"), 32 * 32 * 3);
  EXPECT_LE(j.at("ram_without_input_bytes"), j.at("ram_bytes"));
  EXPECT_GE(
      j.at("ram_without_input_bytes").get<std::int64_t>() + j.at("input_bytes").get<std::int64_t>() + 64,
      j.at("ram_lower_bound_bytes").get<std::int64_t>() + j.at("stack_bytes").get<std::int64_t>());
  EXPECT_EQ(j.at("above_lower_bound_bytes").get<std::int64_t>(),
            j.at("arena_bytes").get<std::int64_t>() - j.at("ram_lower_bound_bytes").get<std::int64_t>());
}

TEST(Analyze, AnInputRowByRowNeedsLessOfTheArena) {
  const Folder folder;
  folder.write("net.json",
               R"({"family": "mobilenetv2", "input": [32, 32, 3], "classes": 2, "hyperparameters": {}})");
  const auto analyzed = [&](const char* input, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"analyze", "net.json", "--target", "nrf52840",
                                       "--input", input,      "--plan",   "least-ram"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return mcufit(arguments, folder.path()).out;
  };
  const json rows = json::parse(analyzed("rows", {"--json"})),
             whole = json::parse(analyzed("whole", {"--json"}));
  EXPECT_TRUE(rows.at("input_streamed").get<bool>());
  EXPECT_FALSE(whole.at("input_streamed").get<bool>());
  EXPECT_LT(rows.at("arena_bytes"), whole.at("arena_bytes"));
  EXPECT_GE(rows.at("arena_bytes"), rows.at("ram_lower_bound_bytes"));
  EXPECT_LT(rows.at("plan").at("placements").at(0).at("bytes"), 32 * 32 * 3);
  EXPECT_THAT(analyzed("rows"), HasSubstr("RAM with the input row by row, "));
}

// A law with 1 for each MAC and 10 for each call, whatever the class: then the sums are known.
TEST(Analyze, LayersInstructionsAddUpToTheLaw) {
  const Folder folder;
  const fs::path configs = fs::path(MCUFIT_SOURCE_DIR) / "configs";
  fs::create_directories(folder.path() / "configs");
  for (const char* part : {"targets", "code-sizes"})
    fs::copy(configs / part, folder.path() / "configs" / part, fs::copy_options::recursive);
  json classes = json::object();
  for (const char* name : {"conv2d_pointwise", "conv2d_spatial", "depthwise_conv2d", "fully_connected", "add",
                           "mul", "average_pool2d", "lookup"})
    classes[name] = {{"terms",
                      {{"one", 10},
                       {"macs", 1},
                       {"outputs", 0},
                       {"inputs", 0},
                       {"weight_bytes", 0},
                       {"pixels", 0},
                       {"runs", 0},
                       {"padding_macs", 0},
                       {"rows", 0},
                       {"padded_runs", 0},
                       {"uneven_macs", 0}}},
                     {"samples", 20},
                     {"held_out", 5},
                     {"median_relative_error", 0},
                     {"p90_relative_error", 0}};
  json law = {{"core", "cortex-m4"},
              {"device", "test"},
              {"compiler", "test"},
              {"flags", "-O2"},
              {"counts", "instructions"},
              {"seed", 1},
              {"invoke", 100},
              {"classes", classes},
              {"held_out_networks", 0},
              {"largest_network_error", 0}};
  folder.write("configs/latency-laws/cortex-m4.json", law.dump());
  folder.write("net.json", kArchitecture);
  const std::vector<std::pair<std::string, std::string>> environment{
      {"MCUFIT_CONFIGS", (folder.path() / "configs").string()}};
  const Finished f =
      mcufit({"analyze", "net.json", "--target", "nrf52840", "--json"}, folder.path(), environment);
  ASSERT_EQ(f.exit_code, 0) << f.err;
  const json j = json::parse(f.out);
  double sum = 100;
  for (const json& layer : j.at("layers")) sum += layer.value("instructions", 0.0);
  EXPECT_NEAR(sum, j.at("instructions_per_inference").get<double>(), 1e-6);
  EXPECT_GT(sum, 100 + 10 * 20);
  classes.erase("mul");
  law["classes"] = classes;
  folder.write("configs/latency-laws/cortex-m4.json", law.dump());
  const Finished without =
      mcufit({"analyze", "net.json", "--target", "nrf52840"}, folder.path(), environment);
  EXPECT_EQ(without.exit_code, 0) << without.err;
  EXPECT_THAT(without.out, HasSubstr("does not know mul"));
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

TEST(Analyze, BatteryLifeFollowsFromThePeriod) {
  Folder folder;
  folder.write("net.json", kArchitecture);
  const auto analyzed = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"analyze", "net.json", "--target", "nrf52840", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return mcufit(arguments, folder.path());
  };
  const json often = json::parse(analyzed({"--period", "1"}).out);
  const json seldom = json::parse(analyzed({"--period", "60", "--battery", "440"}).out);
  const auto milliwatts = [&](const char* state) {
    const json& power = often.at("target").at(state);
    return power.at("microamps").get<double>() * power.at("volts").get<double>() / 1000;
  };
  const double asleep = milliwatts("sleep_power"), awake = milliwatts("active_power");
  for (const auto& [document, period, mwh] :
       {std::tuple{often, 1.0, 660.0}, std::tuple{seldom, 60.0, 1320.0}}) {
    const double share = document.at("latency_us").get<double>() * 1e-6 / period;
    const double average = awake * share + asleep * (1 - share);
    EXPECT_NEAR(document.at("average_milliwatts").get<double>(), average, 1e-9 * average);
    EXPECT_NEAR(document.at("battery_hours").get<double>(), mwh / average, 1e-6 * mwh / average);
  }
  EXPECT_FALSE(json::parse(analyzed({}).out).contains("battery_hours"));
  EXPECT_EQ(analyzed({"--period", "0"}).exit_code, 2);
  EXPECT_EQ(analyzed({"--period", "1e-6"}).exit_code, 2);
  const Finished unknown =
      mcufit({"analyze", "net.json", "--target", "stm32h743", "--period", "1"}, folder.path());
  EXPECT_THAT(unknown.out, HasSubstr("battery life: not known"));
}

}  // namespace
}  // namespace mcufit::testing
