// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks/family.h"
#include "blocks/foundation/files.h"
#include "blocks/lower.h"
#include "exporters/tflite/export.h"
#include "tests/cli/program.h"
#include "tests/exporters/sample_network.h"

// --plan of import, analyze and fit; and what is said where no plan fits.

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kArchitecture =
    R"({"family": "phinet", "input": [48, 48, 3], "classes": 2, "hyperparameters": {}})";

class PlanChoice : public ::testing::Test {
 protected:
  PlanChoice() {
    folder_.write("net.json", kArchitecture);
    folder_.write("wide.json",
                  R"({"family": "phinet", "input": [96, 96, 3], "classes": 2, "hyperparameters": {}})");
    for (const char* model : {"small.tflite", "every_op.tflite"})
      fs::copy(fs::path(MCUFIT_SOURCE_DIR) / "tests/fuzz/corpus/fuzz_tflite" / model, folder_.path() / model);
  }

  Finished run(const std::vector<std::string>& arguments) const { return mcufit(arguments, folder_.path()); }
  json run_json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    return json::parse(run(arguments).out);
  }
  Folder folder_;
};

TEST_F(PlanChoice, AnalyzeReportsLessRamByRows) {
  const auto analyzed = [&](const char* target, const char* plan) {
    return run_json({"analyze", "net.json", "--target", target, "--plan", plan});
  };
  const json whole = analyzed("nrf52840", "layer-by-layer"), least = analyzed("nrf52840", "least-ram");
  EXPECT_LT(3 * least.at("ram_bytes").get<int>(), whole.at("ram_bytes").get<int>());
  EXPECT_EQ(whole.at("macs"), least.at("macs"));
  EXPECT_EQ(whole.at("plan_runs"), "layer by layer");
  EXPECT_THAT(least.at("plan_runs").get<std::string>(), HasSubstr("by rows"));
  // Where it fits, layer by layer; where only groups fit, those.
  EXPECT_EQ(analyzed("nrf52840", "fits").at("plan"), whole.at("plan"));
  EXPECT_FALSE(analyzed("microbit", "layer-by-layer").at("fits").get<bool>());
  const json fits = analyzed("microbit", "fits");
  EXPECT_TRUE(fits.at("fits").get<bool>());
  EXPECT_FALSE(fits.contains("shortage"));
  EXPECT_LE(fits.at("ram_bytes"), 16384);
}

TEST_F(PlanChoice, ImportTakesThePlan) {
  const auto imported = [&](const char* plan) {
    return run_json(
        {"import", "every_op.tflite", "--output", std::string(plan) + "/package", "--plan", plan});
  };
  const json whole = imported("layer-by-layer"), least = imported("least-ram");
  EXPECT_LT(least.at("cost").at("arena_bytes"), whole.at("cost").at("arena_bytes"));
  EXPECT_EQ(imported("fits").at("cost"), whole.at("cost"));
  if (!missing_for_device().empty()) GTEST_SKIP() << missing_for_device();
  EXPECT_EQ(run({"validate", "least-ram/package"}).exit_code, 0);
}

TEST_F(PlanChoice, FitFindsLargerMembersByRows) {
  const auto best = [&](const char* plan) {
    return run_json({"fit", "--target", "microbit", "--input", "48x48x3", "--classes", "2", "--family",
                     "mobilenetv1", "--top", "1", "--plan", plan})
        .at("families")[0]
        .at("fitting")[0];
  };
  const json whole = best("layer-by-layer"), rows = best("fits");
  EXPECT_EQ(whole.at("plan_runs"), "layer by layer");
  EXPECT_THAT(rows.at("plan_runs").get<std::string>(), HasSubstr("by rows"));
  EXPECT_GT(rows.at("macs"), whole.at("macs"));
  EXPECT_LE(rows.at("ram_bytes"), 16384);
  EXPECT_EQ(best("least-ram").at("macs"), rows.at("macs"));
  const Finished explained = run({"fit", "--target", "microbit", "--input", "48x48x3", "--classes", "2",
                                  "--family", "mobilenetv1", "--explain"});
  EXPECT_THAT(explained.out, HasSubstr("the best one's plan: "));
}

TEST_F(PlanChoice, OtherWordsAreRefused) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"import", "small.tflite"},
        {"analyze", "net.json", "--target", "nrf52840"},
        {"fit", "--target", "nrf52840", "--input", "32x32x3", "--classes", "2"}}) {
    std::vector<std::string> with_plan = arguments;
    with_plan.insert(with_plan.end(), {"--plan", "least-rom"});
    const Finished f = run(with_plan);
    EXPECT_EQ(f.exit_code, 2) << arguments[0];
    EXPECT_THAT(f.err, HasSubstr("--plan: found 'least-rom'; accepted: fits, layer-by-layer, least-ram"));
    EXPECT_THAT(f.err, HasSubstr("did you mean 'least-ram'?"));
  }
}

TEST_F(PlanChoice, TilesMakeColumnsTwiceWhereAFactorAllowsIt) {
  const Family& f = family("phinet");
  const Graph network = lower(f.build(default_hyperparameters(f), {{32, 32, 1}, 2}));
  folder_.write("net.tflite", export_tflite(random_integers(network, 1)));
  const auto imported = [&](const char* factor) {
    return run_json({"import", "net.tflite", "--output", std::string(factor) + "/package", "--plan",
                     "least-ram", "--mac-factor", factor});
  };
  const json once = imported("1").at("cost"), twice = imported("1.25").at("cost");
  EXPECT_EQ(once.at("extra_macs"), 0);
  EXPECT_EQ(once.at("mac_factor"), 1);
  EXPECT_LT(2 * twice.at("arena_bytes").get<int>(), once.at("arena_bytes").get<int>() + 1024);
  EXPECT_EQ(twice.at("macs").get<int>() - twice.at("extra_macs").get<int>(), once.at("macs"));
  const double factor = twice.at("mac_factor");
  EXPECT_DOUBLE_EQ(factor, twice.at("macs").get<double>() / once.at("macs").get<double>());
  EXPECT_TRUE(1 < factor && factor <= 1.25) << factor;
  EXPECT_THAT(twice.at("plan_runs").get<std::string>(), HasSubstr("in tiles"));
  const json manifest = json::parse(read_file(folder_.path() / "1.25/package/manifest.json"));
  for (const char* key : {"macs", "extra_macs", "mac_factor"}) EXPECT_EQ(manifest.at(key), twice.at(key));
  std::int64_t macs = 0;
  for (const json& step : manifest.at("steps")) macs += step.at("macs").get<std::int64_t>();
  EXPECT_EQ(macs, twice.at("macs"));
  const std::vector<std::string> analyze{"analyze", "1.25/package", "--target",     "nrf52840",
                                         "--plan",  "least-ram",    "--mac-factor", "1.25"};
  const json analyzed = run_json(analyze);
  EXPECT_EQ(analyzed.at("extra_macs"), twice.at("extra_macs"));
  std::int64_t layers = 0;
  for (const json& layer : analyzed.at("layers")) layers += layer.at("macs").get<std::int64_t>();
  EXPECT_EQ(layers, twice.at("macs"));
  EXPECT_THAT(run(analyze).out, HasSubstr("made again by tiles (MAC factor 1."));
  if (!missing_for_device().empty()) GTEST_SKIP() << missing_for_device();
  EXPECT_EQ(run({"validate", "1.25/package"}).exit_code, 0);
}

TEST_F(PlanChoice, AFactorBelowOneOrWithoutAPlanForItIsRefused) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"import", "small.tflite"},
        {"analyze", "net.json", "--target", "nrf52840"},
        {"fit", "--target", "nrf52840", "--input", "32x32x3", "--classes", "2"}}) {
    for (const char* factor : {"0.5", "-1", "0", "inf", "nan", "1e300"}) {
      std::vector<std::string> with_factor = arguments;
      with_factor.insert(with_factor.end(), {"--mac-factor", factor});
      const Finished found = run(with_factor);
      EXPECT_EQ(found.exit_code, 2) << arguments[0] << " " << factor;
      EXPECT_THAT(found.err, HasSubstr("accepted: a number from 1 ")) << factor;
    }
    std::vector<std::string> whole = arguments;
    whole.insert(whole.end(), {"--mac-factor", "two"});
    EXPECT_EQ(run(whole).exit_code, 2);
    whole.back() = "2";
    whole.insert(whole.end(), {"--plan", "layer-by-layer"});
    const Finished found = run(whole);
    EXPECT_EQ(found.exit_code, 2);
    EXPECT_THAT(found.err, HasSubstr("accepted: --plan fits, --plan least-ram"));
  }
}

TEST_F(PlanChoice, FitFindsMembersInTiles) {
  const auto fit = [&](std::int64_t ram_bytes, const char* factor) {
    return run_json({"fit", "--target", "nrf52840", "--limits", "ram=" + std::to_string(ram_bytes), "--input",
                     "24x24x1", "--classes", "2", "--family", "mobilenetv1", "--top", "1", "--mac-factor",
                     factor});
  };
  // A little less than the family's smallest member needs.
  const std::int64_t limit =
      fit(2048, "1").at("families")[0].at("nearest_miss").at("ram_bytes").get<std::int64_t>() - 64;
  EXPECT_FALSE(fit(limit, "1").at("fits").get<bool>());
  const json twice = fit(limit, "1.5");
  EXPECT_EQ(twice.at("mac_factor"), 1.5);
  ASSERT_TRUE(twice.at("fits").get<bool>());
  const json& found = twice.at("families")[0].at("fitting")[0];
  EXPECT_LE(found.at("ram_bytes"), limit);
  EXPECT_GT(found.at("extra_macs"), 0);
  EXPECT_LE(found.at("mac_factor"), 1.5);
}

TEST_F(PlanChoice, WhatIsTooLargeForAnyPlanIsToldTheWaysOut) {
  const std::vector<std::string> analyze{"analyze", "wide.json", "--target", "microbit"};
  const Finished f = run(analyze);
  EXPECT_EQ(f.exit_code, 10);
  EXPECT_THAT(f.out, HasSubstr("ram binds: "));
  const json shortage = run_json(analyze).at("shortage");
  EXPECT_EQ(shortage.at("binding"), "ram");
  EXPECT_GT(shortage.at("missing_bytes"), 0);
  ASSERT_EQ(shortage.at("ways_out").size(), 3U);
  // Each is what it says: the smaller input is analyzed again, on its own.
  for (const json& way : shortage.at("ways_out")) {
    EXPECT_EQ(way.at("fits").get<bool>(), way.at("ram_bytes").get<int>() <= 16384) << way;
    const std::string change = way.at("change");
    if (change.rfind("input ", 0) != 0 || change.find("instead") == std::string::npos) continue;
    json smaller = json::parse(read_file(folder_.path() / "wide.json"));
    const int side = std::stoi(change.substr(6));
    smaller["input"] = {side, side, 3};
    folder_.write("smaller.json", smaller.dump());
    const json again = run_json({"analyze", "smaller.json", "--target", "microbit"});
    EXPECT_EQ(again.at("ram_bytes"), way.at("ram_bytes"));
    EXPECT_EQ(again.at("flash_bytes"), way.at("flash_bytes"));
    EXPECT_TRUE(again.at("fits").get<bool>());
  }
}

// Two foreign models: one whose input row by row saves RAM, one where that needs more.
TEST_F(PlanChoice, AForeignModelIsToldALargerTarget) {
  const Family& f = family("mobilenetv2");
  const Graph network = lower(f.build(default_hyperparameters(f), {{48, 48, 3}, 2}));
  folder_.write("wide.tflite", export_tflite(random_integers(network, 1)));
  folder_.write("tiny.json", R"({"name": "tiny", "board": "none", "core": "cortex-m4", "features": [],
      "clock_hz": 1000000, "flash_bytes": 65536, "ram_bytes": 400, "active_power": null,
      "sleep_power": null, "source": "made up"})");
  for (const char* model : {"wide.tflite", "small.tflite"}) {
    const Finished found = run({"import", model, "--target", "tiny.json"});
    EXPECT_EQ(found.exit_code, 10) << found.err;
    EXPECT_THAT(found.err, HasSubstr("bytes are missing"));
    EXPECT_THAT(found.err, HasSubstr("  target "));
    const bool saves = std::string_view(model) == "wide.tflite";
    const auto by_rows = HasSubstr("input delivered row by row");
    if (saves)
      EXPECT_THAT(found.err, by_rows);
    else
      EXPECT_THAT(found.err, Not(by_rows));
    // It is offered where it can be had.
    EXPECT_EQ(run({"import", model, "--input", "rows", "--target", "nrf52840"}).exit_code, saves ? 0 : 10);
  }
}

TEST_F(PlanChoice, FitNamesTheWaysOutOfTheNearestMiss) {
  const Finished f = run({"fit", "--target", "nrf52840", "--limits", "ram=2KB", "--input", "32x32x1",
                          "--classes", "2", "--family", "mobilenetv1"});
  EXPECT_EQ(f.exit_code, 10);
  EXPECT_THAT(f.out, HasSubstr("ways out, each alone:"));
  EXPECT_THAT(f.out, HasSubstr("instead of 32x32x1"));
}

}  // namespace
}  // namespace mcufit::testing
