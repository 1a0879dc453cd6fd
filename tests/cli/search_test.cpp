// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "blocks/foundation/files.h"
#include "tests/cli/program.h"

// The demo with a tiny budget, through real training, the real compiler and the real emulator.

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

class Search : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!missing_for_search().empty()) return;
    folder_ = new Folder();
    folder_->write("job.json", tiny_job().dump());
    first_ = new Finished(mcufit({"search", "job.json"}, folder_->path()));
  }
  static void TearDownTestSuite() {
    delete first_;
    delete folder_;
  }
  void SetUp() override {
    if (!missing_for_search().empty()) GTEST_SKIP() << missing_for_search();
  }

  static json report(const std::string& run_folder) {
    return json::parse(read_file(folder_->path() / run_folder / "report.json"));
  }

  // Everything that may not differ between equal runs.
  static json table(json report) {
    for (json& trial : report["trials"]) trial.erase("seconds");
    return {{"trials", report["trials"]}, {"candidates", report["candidates"]}, {"winner", report["winner"]}};
  }

  inline static Folder* folder_ = nullptr;
  inline static Finished* first_ = nullptr;
};

TEST_F(Search, FindsPackagesAndValidates) {
  if (!missing_for_device().empty()) GTEST_SKIP() << missing_for_device();
  ASSERT_EQ(first_->exit_code, 0) << first_->err;
  EXPECT_THAT(first_->out, HasSubstr("every byte equal"));
  EXPECT_THAT(first_->out, HasSubstr("mcufit validate runs/tiny/package"));
  EXPECT_EQ(first_->err.find('\x1b'), std::string::npos) << "terminal codes in a pipe";
  const json r = report("runs/tiny");
  EXPECT_EQ(r["trials"].size(), 4U);
  EXPECT_EQ(r["device"]["samples"], 5);
  EXPECT_TRUE(r["device"]["first_mismatch"].is_null()) << r["device"]["first_mismatch"];
  EXPECT_TRUE(r["winner"]["fits"]);
  EXPECT_LE(r["winner"]["flash_bytes"], 40000);
  EXPECT_GT(r["winner"]["instructions_per_inference"], 100000);
  EXPECT_EQ(r["tool"]["version"], "0.1.0");
}

TEST_F(Search, PredictedLedgerEqualsTheLinkerMap) {
  if (!missing_for_device().empty()) GTEST_SKIP() << missing_for_device();
  const json r = report("runs/tiny");
  const json& w = r["deployed"]["cost"];
  const json& linked = r["device"]["linked"];
  for (const char* owner :
       {"weights_bytes", "wider_filter_bytes", "bias_bytes", "table_bytes", "step_bytes", "code_bytes"}) {
    EXPECT_EQ(w[owner], linked[owner]) << owner;
  }
  EXPECT_EQ(w["arena_bytes"], linked["arena_bytes"]);
  EXPECT_EQ(w["data_bss_bytes"], linked["data_bss_bytes"]);
  EXPECT_EQ(w["stack_bytes"], r["device"]["stack_bound_bytes"]);
  EXPECT_LE(r["device"]["stack_bytes"], r["device"]["stack_bound_bytes"]);
  EXPECT_EQ(r["deployed"]["rewrites"]["macs_before"], r["winner"]["macs"]);
  EXPECT_EQ(r["deployed"]["rewrites"]["macs"], w["macs"]);
}

TEST_F(Search, TheSameSeedGivesTheSameTable) {
  const Finished again =
      mcufit({"search", "job.json", "--run-folder", "again", "--workers", "1", "--quiet"}, folder_->path());
  EXPECT_EQ(again.exit_code, first_->exit_code) << again.err;
  EXPECT_EQ(again.err, "");
  EXPECT_EQ(table(report("again")), table(report("runs/tiny")));
}

TEST_F(Search, AFinishedStudyIsNotRunAgain) {
  const auto before = fs::last_write_time(folder_->path() / "runs/tiny/trials/0000/weights.safetensors");
  const Finished again = mcufit({"search", "job.json", "--json"}, folder_->path());
  EXPECT_EQ(again.exit_code, first_->exit_code);
  EXPECT_EQ(table(json::parse(again.out)), table(report("runs/tiny")));
  EXPECT_EQ(before, fs::last_write_time(folder_->path() / "runs/tiny/trials/0000/weights.safetensors"));
}

// Kills (or asks to stop) the search as soon as its first trial has ended.
Finished stop_after_first_trial(const fs::path& folder, const std::string& run_folder, int signal) {
  const std::string script =
      "\"$0\" search job.json --run-folder \"$1\" & pid=$!; while [ ! -e \"$1/trials/0000/result.json\" ]; "
      "do sleep 0.05; done; "
      "kill -" +
      std::to_string(signal) + " $pid; wait $pid";
  return run({.program = "sh",
              .arguments = {"-c", script, MCUFIT_PROGRAM, run_folder},
              .environment = {},
              .folder = folder});
}

TEST_F(Search, SurvivesKill9) {
  stop_after_first_trial(folder_->path(), "killed", SIGKILL);
  EXPECT_FALSE(fs::exists(folder_->path() / "killed/report.json"));
  const Finished resumed = mcufit({"search", "job.json", "--run-folder", "killed"}, folder_->path());
  EXPECT_EQ(resumed.exit_code, first_->exit_code) << resumed.err;
  EXPECT_EQ(table(report("killed")), table(report("runs/tiny")));
}

TEST_F(Search, AnInterruptionPrintsTheResumingCommand) {
  const Finished stopped = stop_after_first_trial(folder_->path(), "stopped", SIGTERM);
  EXPECT_EQ(stopped.exit_code, 143) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("mcufit search job.json --run-folder stopped --workers 2"));
  const Finished resumed = mcufit({"search", "job.json", "--run-folder", "stopped"}, folder_->path());
  EXPECT_EQ(table(report("stopped")), table(report("runs/tiny")));
}

// Processes whose command line holds both texts.
std::vector<pid_t> processes_with(const std::string& a, const std::string& b) {
  std::vector<pid_t> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    std::ifstream file(entry.path() / "cmdline");
    const std::string line((std::istreambuf_iterator<char>(file)), {});
    if (line.find(a) != std::string::npos && line.find(b) != std::string::npos)
      found.push_back(std::atoi(entry.path().filename().c_str()));
  }
  return found;
}

TEST_F(Search, AWorkerKilledInMidTrialIsStartedOnceMore) {
  std::atomic<bool> killed{false};
  const Finished f = mcufit({"search", "job.json", "--run-folder", "crashed"}, folder_->path(), {}, [&] {
    if (killed) return false;
    for (const pid_t pid : processes_with("mcufit-worker", "crashed/trials/0001"))
      killed = ::kill(pid, SIGKILL) == 0;
    return false;
  });
  EXPECT_TRUE(killed);
  EXPECT_EQ(f.exit_code, first_->exit_code) << f.err;
  EXPECT_THAT(f.err, HasSubstr("trial 1: its worker was killed by signal 9; once more"));
  EXPECT_EQ(table(report("crashed")), table(report("runs/tiny")));
}

TEST_F(Search, WithoutACompilerThePackageIsWrittenAndThatIsSaid) {
  const Finished f = mcufit({"search", "job.json"}, folder_->path(), {{"PATH", "/nowhere"}});
  EXPECT_EQ(f.exit_code, 12) << f.err;
  EXPECT_THAT(f.out, HasSubstr("not validated"));
  EXPECT_THAT(f.out, HasSubstr("gcc-arm-none-eabi"));
  EXPECT_TRUE(fs::exists(folder_->path() / "runs/tiny/package/manifest.json"));
}

TEST_F(Search, AStoreOfAnotherJobIsRefused) {
  json other = tiny_job();
  other["search"]["seed"] = 4;
  folder_->write("other.json", other.dump());
  const Finished f = mcufit({"search", "other.json"}, folder_->path());
  EXPECT_EQ(f.exit_code, 20);
  EXPECT_THAT(f.err, HasSubstr("belongs to another job"));
  EXPECT_THAT(f.err, HasSubstr("--fresh"));
}

TEST_F(Search, PackagesAreValidatedAgainAndChangesFound) {
  if (!missing_for_device().empty()) GTEST_SKIP() << missing_for_device();
  const Finished good = mcufit({"validate", "runs/tiny/package"}, folder_->path());
  EXPECT_EQ(good.exit_code, 0) << good.err;
  const fs::path vectors = folder_->path() / "runs/tiny/vectors.bin";
  std::string changed = read_file(vectors);
  changed.back() = static_cast<char>(changed.back() ^ 1);
  folder_->write("changed.bin", changed);
  const Finished differs = mcufit({"validate", "runs/tiny/package", "--vectors", "../../changed.bin"},
                                  folder_->path() / "runs/tiny");
  EXPECT_EQ(differs.exit_code, 4);  // no such package from there
  const Finished mismatch =
      mcufit({"validate", "runs/tiny/package", "--vectors", "changed.bin"}, folder_->path());
  EXPECT_EQ(mismatch.exit_code, 11) << mismatch.err;
  EXPECT_THAT(mismatch.out, HasSubstr("DIFFERS from the interpreter first in sample 4, byte 9"));
}

// A RAM limit that no member meets layer by layer: what wins runs by rows, and has the interpreter's bytes on
// the emulated core.
TEST(SearchByRows, MeetsALimitThatNoLayerByLayerMemberMeets) {
  if (!missing_for_search().empty()) GTEST_SKIP() << missing_for_search();
  if (!missing_for_device().empty()) GTEST_SKIP() << missing_for_device();
  Folder folder;
  json job = tiny_job();
  job["name"] = "rows";
  job["limits"]["ram_bytes"] = 5000;
  job["search"]["rungs"] = {{{"trials", 2}, {"epochs", 1}, {"samples", 200}}};
  job["plan"] = "layer-by-layer";
  folder.write("whole.json", job.dump());
  EXPECT_EQ(mcufit({"search", "whole.json"}, folder.path()).exit_code, 10);
  job["plan"] = "fits";
  folder.write("job.json", job.dump());
  const Finished f = mcufit({"search", "job.json"}, folder.path());
  ASSERT_EQ(f.exit_code, 0) << f.err;
  EXPECT_THAT(f.out, HasSubstr("by rows; arena "));
  const json r = json::parse(read_file(folder.path() / "runs/rows/report.json"));
  EXPECT_EQ(r.at("job").at("plan"), "fits");
  EXPECT_TRUE(r.at("device").at("first_mismatch").is_null());
  const json& cost = r.at("deployed").at("cost");
  EXPECT_LE(cost.at("ram_bytes"), 5000);
  EXPECT_LE(cost.at("ram_bytes"), r.at("winner").at("ram_bytes"));
  EXPECT_EQ(cost.at("arena_bytes"), r.at("device").at("linked").at("arena_bytes"));
  EXPECT_EQ(cost.at("data_bss_bytes"), r.at("device").at("linked").at("data_bss_bytes"));
  for (const json& candidate : r.at("candidates"))
    EXPECT_THAT(candidate.at("plan_runs").get<std::string>(), HasSubstr("by rows"));
  job["plan"] = "quick";
  folder.write("wrong.json", job.dump());
  const Finished wrong = mcufit({"search", "wrong.json"}, folder.path());
  EXPECT_EQ(wrong.exit_code, 3);
  EXPECT_THAT(wrong.err, HasSubstr("layer-by-layer"));
}

}  // namespace
}  // namespace mcufit::testing
