// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "blocks/foundation/files.h"
#include "tests/cli/program.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

class BadInput : public ::testing::Test {
 protected:
  Finished search(const json& job, const std::vector<std::string>& more = {}) const {
    folder_.write("job.json", job.dump());
    std::vector<std::string> arguments{"search", "job.json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return mcufit(arguments, folder_.path());
  }
  Folder folder_;
};

TEST_F(BadInput, UsageErrorsAreTwo) {
  EXPECT_EQ(mcufit({}, folder_.path()).exit_code, 2);
  const Finished verb = mcufit({"serach"}, folder_.path());
  EXPECT_EQ(verb.exit_code, 2);
  EXPECT_THAT(verb.err, HasSubstr("did you mean 'search'?"));
  EXPECT_EQ(mcufit({"search"}, folder_.path()).exit_code, 2);
  EXPECT_EQ(mcufit({"search", "a", "b"}, folder_.path()).exit_code, 2);
  EXPECT_EQ(mcufit({"fit", "--taget", "x"}, folder_.path()).exit_code, 2);
  EXPECT_EQ(mcufit({"fit", "--target", "nrf52840", "--input", "28x28", "--classes", "10"}, folder_.path())
                .exit_code,
            2);
  EXPECT_EQ(mcufit({"fit", "--target", "nrf52840", "--input", "28x28x1", "--classes", "1"}, folder_.path())
                .exit_code,
            2);
  EXPECT_EQ(mcufit({"targets", "shwo"}, folder_.path()).exit_code, 2);
  EXPECT_EQ(mcufit({"config", "schema", "jop"}, folder_.path()).exit_code, 2);
}

TEST_F(BadInput, AValueOfAnotherTypeIsToldWhatIsAccepted) {
  const Finished number = mcufit({"fit", "--target", "nrf52840", "--mac-factor", "much"}, folder_.path());
  EXPECT_EQ(number.exit_code, 2);
  EXPECT_THAT(number.err,
              HasSubstr("('much') for option '--mac-factor' is invalid; accepted: a number; see"));
  const Finished whole = mcufit({"import", "m.tflite", "--vectors", "1.5"}, folder_.path());
  EXPECT_EQ(whole.exit_code, 2);
  EXPECT_THAT(whole.err, HasSubstr("; accepted: a whole number; see"));
  EXPECT_THAT(mcufit({"import", "m.tflite", "--vectors"}, folder_.path()).err, HasSubstr("is missing; see"));
}

TEST_F(BadInput, HelpIsThereForEveryVerb) {
  const Finished overview = mcufit({"--help"}, folder_.path());
  EXPECT_EQ(overview.exit_code, 0);
  for (const char* verb : {"search", "fit", "import", "validate", "bench", "targets", "families", "calibrate",
                           "config", "doctor"}) {
    EXPECT_THAT(overview.out, HasSubstr(verb));
    const Finished f = mcufit({verb, "--help"}, folder_.path());
    EXPECT_EQ(f.exit_code, 0) << verb;
    EXPECT_THAT(f.out, HasSubstr("example: mcufit "));
  }
}

TEST(Program, ReadmeNamesEveryVerbAndExitCode) {
  const std::string readme = read_file(fs::path(MCUFIT_SOURCE_DIR) / "README.md");
  const Finished overview = mcufit({"--help"}, "/");
  std::istringstream lines(overview.out);
  int verbs = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.size() < 4 || line.substr(0, 2) != "  " ||
        std::islower(static_cast<unsigned char>(line[2])) == 0)
      continue;
    const std::string verb = line.substr(2, line.find(' ', 2) - 2);
    EXPECT_THAT(readme, HasSubstr("mcufit " + verb)) << verb;
    ++verbs;
  }
  EXPECT_GE(verbs, 8);
  for (const char* code : {"| 3 |", "| 10 |", "| 11 |", "| 12 |", "| 20 |", "| 130, 143 |"})
    EXPECT_THAT(readme, HasSubstr(code));
}

TEST(Program, StartsWithoutTorch) {
  const Finished libraries =
      run({.program = "ldd", .arguments = {MCUFIT_PROGRAM}, .environment = {}, .folder = {}});
  ASSERT_EQ(libraries.exit_code, 0);
  EXPECT_THAT(libraries.out, HasSubstr("libsoci"));
  EXPECT_THAT(libraries.out, ::testing::Not(HasSubstr("torch")));
}

TEST_F(BadInput, ConfigurationErrorsAreThreeAndToldTogether) {
  json job = tiny_job();
  job["target"] = "nrf5284";
  job.erase("families");
  job["familys"] = json::array({"phinet"});
  job["search"]["rungs"][0]["trials"] = 0;
  const Finished f = search(job);
  EXPECT_EQ(f.exit_code, 3);
  EXPECT_THAT(f.err, HasSubstr("did you mean 'families'?"));
  EXPECT_THAT(f.err, HasSubstr("/search/rungs/0/trials: found 0"));
}

TEST_F(BadInput, UnknownTargetsAreThree) {
  json job = tiny_job();
  job["target"] = "nrf5284";
  const Finished f = search(job);
  EXPECT_EQ(f.exit_code, 3);
  EXPECT_THAT(f.err, HasSubstr("did you mean 'nrf52840'?"));
}

TEST_F(BadInput, LimitsAboveTheTargetAreThree) {
  json job = tiny_job();
  job["limits"]["ram_bytes"] = 300000;
  const Finished f = search(job);
  EXPECT_EQ(f.exit_code, 3);
  EXPECT_THAT(f.err, HasSubstr("accepted: at most the 262144 that nrf52840 leaves"));
}

TEST_F(BadInput, NothingFitsIsTenAndNamesTheNearestMisses) {
  if (!missing_for_search().empty()) GTEST_SKIP() << missing_for_search();
  json job = tiny_job();
  job["limits"]["ram_bytes"] = 2000;
  const Finished f = search(job);
  EXPECT_EQ(f.exit_code, 10);
  EXPECT_THAT(f.err, HasSubstr("nearest miss: phinet("));
  EXPECT_THAT(f.err, HasSubstr("nearest miss: mobilenetv2("));
  const Finished fit = mcufit({"fit", "--target", "nrf52840", "--limits", "ram_bytes=2000,macs=1000",
                               "--input", "28x28x1", "--classes", "10"},
                              folder_.path());
  EXPECT_EQ(fit.exit_code, 10);
  EXPECT_THAT(fit.out, HasSubstr("nearest miss"));
}

TEST_F(BadInput, MissingDataAreFourAndNameThePackage) {
  json job = tiny_job();
  job["data"]["folder"] = "/nowhere";
  const Finished f = search(job);
  EXPECT_EQ(f.exit_code, 4);
  EXPECT_THAT(f.err, HasSubstr("apt-get install dataset-fashion-mnist"));
}

TEST_F(BadInput, TruncatedDataAreFourAndNameTheFile) {
  if (!missing_for_search().empty()) GTEST_SKIP() << missing_for_search();
  for (const auto& entry : fs::directory_iterator("/usr/share/datasets/fashion-mnist"))
    fs::copy(entry.path(), folder_.path());
  const fs::path images = folder_.path() / "train-images-idx3-ubyte.gz";
  const std::string whole = read_file(images);
  write_file(images, whole.substr(0, whole.size() / 2));
  json job = tiny_job();
  job["data"]["folder"] = folder_.path().string();
  const Finished f = search(job);
  EXPECT_EQ(f.exit_code, 4);
  EXPECT_THAT(f.err, HasSubstr("train-images-idx3-ubyte.gz"));
  EXPECT_THAT(f.err, HasSubstr("truncated"));
}

TEST_F(BadInput, AFolderThatCannotBeWrittenIsFive) {
  if (!missing_for_search().empty()) GTEST_SKIP() << missing_for_search();
  folder_.write("file", "in the way");
  const Finished f = search(tiny_job(), {"--run-folder", "file/run"});
  EXPECT_EQ(f.exit_code, 5);
  EXPECT_THAT(f.err, HasSubstr("--run-folder"));
  const Finished read_only = search(tiny_job(), {"--run-folder", "/proc/mcufit"});
  EXPECT_EQ(read_only.exit_code, 5) << read_only.err;
}

TEST_F(BadInput, MissingFilesAreFiveAndNoJsonIsThree) {
  EXPECT_EQ(mcufit({"search", "none.json"}, folder_.path()).exit_code, 5);
  folder_.write("broken.json", "{\"name\": ");
  EXPECT_EQ(mcufit({"search", "broken.json"}, folder_.path()).exit_code, 3);
  EXPECT_EQ(mcufit({"targets", "check", "broken.json"}, folder_.path()).exit_code, 3);
}

TEST_F(BadInput, JsonListsAreLists) {
  EXPECT_TRUE(json::parse(mcufit({"targets", "list", "--json"}, folder_.path()).out).is_array());
  EXPECT_TRUE(json::parse(mcufit({"families", "--json"}, folder_.path()).out).is_array());
  const json fit = json::parse(
      mcufit({"fit", "--target", "nrf52840", "--input", "28x28x1", "--classes", "10", "--json", "--top", "2"},
             folder_.path())
          .out);
  EXPECT_TRUE(fit["fits"]);
  EXPECT_EQ(fit["families"][0]["fitting"].size(), 2U);
}

TEST_F(BadInput, SchemasAreJson) {
  for (const char* kind : {"job", "target", "architecture", "code-sizes"}) {
    const json schema = json::parse(mcufit({"config", "schema", kind}, folder_.path()).out);
    EXPECT_EQ(schema["$schema"], "http://json-schema.org/draft-07/schema#") << kind;
    EXPECT_FALSE(schema["required"].empty()) << kind;
  }
}

TEST_F(BadInput, TheDemoJobIsValid) {
  const Finished f = mcufit(
      {"config", "check", "job", std::string(MCUFIT_SOURCE_DIR) + "/configs/jobs/fashion-nrf52840.json"},
      folder_.path());
  EXPECT_EQ(f.exit_code, 0) << f.err;
}

}  // namespace
}  // namespace mcufit::testing
