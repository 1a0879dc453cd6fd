// SPDX-License-Identifier: Apache-2.0
#include "search/study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "blocks/foundation/error.h"
#include "search/pareto.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class Study : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mcufit_study_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    const CodeSizesForTarget code = load_code_sizes(load_target("nrf52840"));
    for (const Family* f : families()) {
      space_.families.push_back(
          invert(*f, {{28, 28, 1}, 10},
                 {.flash_bytes = 65536, .ram_bytes = 24576, .macs = 1'500'000, .params = {}}, code));
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A stand-in for training: accuracy follows from the architecture alone.
  static Metrics evaluate(const Trial& t) {
    const double accuracy = static_cast<double>(t.architecture.footprint().params % 1000) / 1000.0;
    return {accuracy, accuracy, "w" + std::to_string(t.number)};
  }

  std::vector<Trial> run(
      const std::string& file, int workers, const Evaluator& evaluator,
      std::function<bool()> cancelled = [] { return false; }) {
    Store store(folder_ / file, {"job", "hash"});
    const StudyEvents events{[](const auto&) {}, [](const auto&) {}};
    return run_study(store, strategy("successive_halving"), space_, {7, {{8, 1, 100}, {3, 2, 0}, {1, 4, 0}}},
                     evaluator, events, {workers, cancelled});
  }

  static std::string table(const std::vector<Trial>& trials) {
    std::string text;
    for (const Trial& t : trials) {
      text += std::to_string(t.number) + " " + std::to_string(t.rung) + " " + to_string(t.architecture) +
              " " + std::to_string(t.promoted_from.value_or(-1)) + " " +
              (t.metrics ? std::to_string(t.metrics->accuracy_int8) : t.failure) + "\n";
    }
    return text;
  }

  fs::path folder_;
  SearchSpace space_;
};

TEST_F(Study, TableDoesNotDependOnTheNumberOfWorkers) {
  const auto one = run("one", 1, evaluate);
  EXPECT_EQ(one.size(), 8U + 3U + 1U);
  EXPECT_EQ(table(one), table(run("four", 4, evaluate)));
  EXPECT_EQ(one.back().rung, 2);
}

TEST_F(Study, PromotesTheBest) {
  const auto trials = run("best", 2, evaluate);
  double best = 0;
  for (const Trial& t : trials) {
    if (t.rung == 0) best = std::max(best, t.metrics->accuracy_int8);
  }
  EXPECT_EQ(trials.back().metrics->accuracy_int8, best);
}

TEST_F(Study, GoesOnWhereItWasInterrupted) {
  std::atomic<int> evaluated{0};
  const auto stopping = [&](const Trial& t) {
    if (++evaluated > 5) throw Error(ExitCode::interrupted, "stop");
    return evaluate(t);
  };
  EXPECT_THROW(run("resumed", 2, stopping), Error);
  int again = 0;
  const auto trials = run("resumed", 1, [&](const Trial& t) {
    ++again;
    return evaluate(t);
  });
  EXPECT_EQ(again, 12 - 5);
  EXPECT_EQ(table(trials), table(run("whole", 2, evaluate)));
}

TEST_F(Study, FailedTrialsAreStoredAndNotPromoted) {
  const auto trials = run("failing", 2, [](const Trial& t) {
    if (t.number % 2 == 0 && t.rung == 0) throw Error(ExitCode::internal, "diverged");
    return evaluate(t);
  });
  EXPECT_EQ(trials[0].state, TrialState::failed);
  EXPECT_EQ(trials[0].failure, "diverged");
  for (const Trial& t : trials) {
    if (t.rung == 1) {
      EXPECT_EQ(*t.promoted_from % 2, 1);
    }
  }
}

TEST_F(Study, StoreBelongsToOneJobAndOneProcess) {
  run("owned", 1, evaluate);
  EXPECT_THAT(
      [&] {
        Store(folder_ / "owned", {"other", "other hash"});
      },
      ThrowsMessage<Error>(HasSubstr("belongs to another job")));
  const Store first(folder_ / "owned", {"job", "hash"});
  EXPECT_THAT(
      [&] {
        Store(folder_ / "owned", {"job", "hash"});
      },
      ThrowsMessage<Error>(HasSubstr("another mcufit is working")));
}

TEST_F(Study, AForeignFileIsNoStore) {
  std::ofstream(folder_ / "foreign") << std::string(5000, 'x');
  try {
    Store(folder_ / "foreign", {"job", "hash"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input) << error.what();
  }
}

TEST(Pareto, KeepsWhatNobodyBeats) {
  const std::vector<std::vector<double>> points{{1, 5}, {2, 4}, {3, 4}, {1, 5}, {0, 9}};
  EXPECT_EQ(non_dominated(points), (std::vector<bool>{true, true, false, true, true}));
}

}  // namespace
}  // namespace mcufit
