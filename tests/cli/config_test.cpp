// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "blocks/foundation/files.h"
#include "tests/cli/program.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const fs::path kConfigs = fs::path(MCUFIT_SOURCE_DIR) / "configs";

std::vector<std::string> kinds() {
  std::vector<std::string> names;
  std::istringstream lines(mcufit({"config", "schema"}, "/").out);
  for (std::string line; std::getline(lines, line);) names.push_back(line);
  return names;
}

// With MCUFIT_UPDATE_GOLDEN set the files are written instead.
TEST(Schemas, AreWhatTheProgramPrints) {
  EXPECT_GE(kinds().size(), 6U);
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(kConfigs / "schemas"))
    files += entry.path().extension() == ".json" ? 1 : 0;
  EXPECT_EQ(files, kinds().size());
  for (const std::string& kind : kinds()) {
    const fs::path file = kConfigs / "schemas" / (kind + ".json");
    const Finished printed = mcufit({"config", "schema", kind}, "/");
    ASSERT_EQ(printed.exit_code, 0) << printed.err;
    if (std::getenv("MCUFIT_UPDATE_GOLDEN") != nullptr) write_file(file, printed.out);
    EXPECT_EQ(read_file(file), printed.out) << "MCUFIT_UPDATE_GOLDEN=1 with this test writes " << file;
  }
}

TEST(Schemas, AcceptEveryCommittedFile) {
  const Finished checked =
      run({.program = "python3",
           .arguments = {"-W", "ignore", std::string(MCUFIT_SOURCE_DIR) + "/tests/cli/check_schemas.py",
                         kConfigs.string()},
           .environment = {},
           .folder = {}});
  constexpr int kNoJsonschema = 77;
  if (checked.exit_code == kNoJsonschema) GTEST_SKIP() << "Debian's python3-jsonschema is not installed";
  ASSERT_EQ(checked.exit_code, 0) << checked.err;
  EXPECT_GE(std::stoi(checked.out), 40);
}

TEST(Configs, AreReadStrictlyOneAndAll) {
  const std::vector<std::pair<std::string, std::string>> folders{{"code-sizes", "code-sizes"},
                                                                 {"cycle-tables", "cycle-table"},
                                                                 {"jobs", "job"},
                                                                 {"latency-laws", "latency-law"},
                                                                 {"targets", "target"}};
  for (const auto& [folder, kind] : folders) {
    for (const auto& entry : fs::directory_iterator(kConfigs / folder)) {
      const Finished f = mcufit({"config", "check", kind, entry.path().string()}, "/");
      EXPECT_EQ(f.exit_code, 0) << entry.path() << "\n" << f.err;
    }
  }
}

TEST(Configs, AJobsMacFactorIsOneOrMoreAndHasAPlanForIt) {
  const Folder folder;
  const auto check = [&](const char* plan, double factor) {
    json job = json::parse(read_file(kConfigs / "jobs" / "fashion-nrf52840.json"));
    job["plan"] = plan;
    job["mac_factor"] = factor;
    folder.write("job.json", job.dump(2));
    return mcufit({"config", "check", "job", "job.json"}, folder.path());
  };
  EXPECT_EQ(check("fits", 1.5).exit_code, 0);
  EXPECT_EQ(check("layer-by-layer", 1).exit_code, 0);
  EXPECT_THAT(check("fits", 0.5).err, HasSubstr("/mac_factor: found 0.5; accepted: a number in [1, "));
  EXPECT_THAT(check("layer-by-layer", 1.5).err, HasSubstr("/mac_factor: found plan layer-by-layer"));
}

TEST(Configs, AJobsWideFiltersAreTrueOrFalse) {
  const Folder folder;
  const auto check = [&](const json& wide) {
    json job = json::parse(read_file(kConfigs / "jobs" / "fashion-nrf52840.json"));
    job["wide_filters"] = wide;
    folder.write("job.json", job.dump(2));
    return mcufit({"config", "check", "job", "job.json"}, folder.path());
  };
  EXPECT_EQ(check(true).exit_code, 0);
  EXPECT_EQ(check(false).exit_code, 0);
  EXPECT_THAT(check("yes").err, HasSubstr("/wide_filters: found"));
  EXPECT_THAT(check(1).err, HasSubstr("/wide_filters: found"));
}

TEST(Targets, AreAtLeastTwentyFiveAndEachIsShown) {
  const json all = json::parse(mcufit({"targets", "list", "--json"}, "/").out);
  ASSERT_GE(all.size(), 25U);
  for (const json& target : all) {
    const std::string name = target.at("name");
    const Finished shown = mcufit({"targets", "show", name}, "/");
    EXPECT_EQ(shown.exit_code, 0) << name << "\n" << shown.err;
    EXPECT_THAT(shown.out, HasSubstr(target.at("source").get<std::string>()));
  }
  EXPECT_THAT(mcufit({"targets", "show", "esp32"}, "/").out,
              HasSubstr("code sizes    estimated, those of rv32"));
  EXPECT_THAT(mcufit({"targets", "show", "nrf52840"}, "/").out, HasSubstr("measured on cortex-m4"));
}

class TargetFile : public ::testing::Test {
 protected:
  Finished check(const std::string& text) const {
    folder_.write("target.json", text);
    return mcufit({"targets", "check", "target.json"}, folder_.path());
  }
  static json good() { return json::parse(read_file(kConfigs / "targets" / "nrf52840.json")); }
  // The message with one value put in place, at a JSON pointer.
  std::string fault(const std::string& pointer, const json& value) const {
    json target = good();
    target[json::json_pointer(pointer)] = value;
    const Finished f = check(target.dump(2));
    EXPECT_EQ(f.exit_code, 3) << pointer;
    return f.err;
  }
  Folder folder_;
};

TEST_F(TargetFile, FaultsAreToldTogetherWithLineAndColumn) {
  json target = good();
  target["core"] = "cortex-m5";
  target["clock_hz"] = -1;
  target["regions"][0]["bytes"] = "1 MB";
  target["regions"][1]["name"] = "flash";
  target["regions"][1]["usabel"] = true;
  target["sleep_power"] = {{"microamps", 3}, {"source", "s"}};
  const Finished f = check(target.dump(2));
  EXPECT_EQ(f.exit_code, 3);
  EXPECT_THAT(f.err, HasSubstr("/core: found \"cortex-m5\""));
  EXPECT_THAT(f.err, HasSubstr("/clock_hz: found -1; accepted: an integer in [1, "));
  EXPECT_THAT(f.err, HasSubstr("/regions/0/bytes: found \"1 MB\""));
  EXPECT_THAT(f.err, HasSubstr("/regions/1/name: found 'flash' a second time"));
  EXPECT_THAT(f.err, HasSubstr("/regions/1/usabel: unknown key"));
  EXPECT_THAT(f.err, HasSubstr("did you mean 'usable'?"));
  EXPECT_THAT(f.err, HasSubstr("/sleep_power/microamps: accepted: milliwatts, or microamps and volts"));
  EXPECT_THAT(f.err, ::testing::ContainsRegex("target.json:[0-9]+:[0-9]+: /clock_hz"));
}

TEST_F(TargetFile, AbsurdAndWrongValuesAreRefused) {
  EXPECT_THAT(fault("/regions/0/bytes", 0), HasSubstr("found 0"));
  EXPECT_THAT(fault("/regions/0/bytes", 1e18), HasSubstr("accepted: an integer in [1, 2147483648]"));
  EXPECT_THAT(fault("/regions/1/kind", "rom"), HasSubstr("accepted: flash, ram"));
  EXPECT_THAT(fault("/regions/1/usable", false), HasSubstr("found 0 usable bytes of ram"));
  EXPECT_THAT(fault("/regions", json::array()), HasSubstr("an array of 1 to 64"));
  EXPECT_THAT(fault("/features", {"fpu", "mve"}), HasSubstr("found 'mve'; cortex-m4 has divide"));
  EXPECT_THAT(fault("/features", {"fpu", "fpu"}), HasSubstr("found 'fpu' a second time"));
  EXPECT_THAT(fault("/reserved_ram_bytes", 262144), HasSubstr("leave no RAM"));
  EXPECT_THAT(fault("/ram_bytes", 1000), HasSubstr("found 1000; the regions have 262144"));
  EXPECT_THAT(fault("/active_power", 5), HasSubstr("accepted: an object"));
  EXPECT_THAT(fault("/active_power/microamps", -5), HasSubstr("found -5"));
}

TEST_F(TargetFile, NumbersThatAreNoneAreRefused) {
  const std::string text = good().dump();
  const auto with_clock = [&](const std::string& number) {
    std::string changed = text;
    const auto at = changed.find("64000000");
    return changed.replace(at, 8, number);
  };
  for (const char* number : {"NaN", "Infinity", "1e999", "99999999999999999999", "0x10", "-0.5"}) {
    const Finished f = check(with_clock(number));
    EXPECT_EQ(f.exit_code, 3) << number;
    EXPECT_THAT(f.err, HasSubstr("target.json")) << number;
  }
}

TEST_F(TargetFile, LargeAndDeepFilesAreRefused) {
  const std::string deep(1'000'000, '[');
  EXPECT_THAT(check(deep).err, HasSubstr("deeper than 64 levels"));
  std::string objects;
  for (int i = 0; i < 200'000; ++i) objects += R"({"a":)";
  EXPECT_THAT(check(objects).err, HasSubstr("deeper than 64 levels"));
  const Finished large = check(std::string((4 << 20) + 1, ' '));
  EXPECT_EQ(large.exit_code, 3);
  EXPECT_THAT(large.err, HasSubstr("found 4194305 bytes; accepted: at most 4194304"));
  EXPECT_EQ(check("").exit_code, 3);
  EXPECT_EQ(check("[]").exit_code, 3);
}

TEST_F(TargetFile, WithTwoSizesInPlaceOfRegionsIsAccepted) {
  json target = good();
  target.erase("regions");
  EXPECT_THAT(check(target.dump()).err, HasSubstr("'regions' in place of both sizes"));
  target["flash_bytes"] = 65536;
  target["ram_bytes"] = 8192;
  const Finished f = check(target.dump());
  EXPECT_EQ(f.exit_code, 0) << f.err;
  folder_.write("target.json", target.dump());
  const Finished shown = mcufit({"targets", "show", "target.json", "--json"}, folder_.path());
  EXPECT_EQ(json::parse(shown.out).at("ram_bytes"), 8192);
}

TEST(Calibrate, RefusesWhatItCannotCount) {
  const Finished host = mcufit({"calibrate", "latency", "--core", "host"}, "/");
  EXPECT_EQ(host.exit_code, 2);
  EXPECT_THAT(host.err,
              HasSubstr("layers are counted one by one on the emulated Arm and RISC-V cores alone"));
  EXPECT_EQ(mcufit({"calibrate", "latency"}, "/").exit_code, 2);
  EXPECT_EQ(mcufit({"calibrate", "code-size"}, "/").exit_code, 2);
  EXPECT_EQ(mcufit({"calibrate", "latency", "--core", "cortex-m4", "--networks", "0"}, "/").exit_code, 2);
}

// A law of a single network is a poor one, but made by the whole way: nets, compiler, emulator, fit.
TEST(Calibrate, CountsLayersAndIsRepeatable) {
  if (!missing_for_device().empty()) GTEST_SKIP() << missing_for_device();
  const std::vector<std::string> words{"calibrate", "latency", "--core", "cortex-m4", "--networks", "1"};
  const Finished once = mcufit(words, "/");
  ASSERT_EQ(once.exit_code, 0) << once.err;
  const json law = json::parse(once.out);
  EXPECT_EQ(law.at("counts"), "instructions");
  EXPECT_EQ(law.at("classes").size(), 14U);
  EXPECT_LT(law.at("classes").at("fully_connected").at("median_relative_error"), 0.25);
  EXPECT_GT(law.at("invoke"), 0);
  EXPECT_EQ(mcufit(words, "/").out, once.out);
}

}  // namespace
}  // namespace mcufit::testing
