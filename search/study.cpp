// SPDX-License-Identifier: Apache-2.0
#include "search/study.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>

#include "blocks/foundation/error.h"

namespace mcufit {
namespace {

std::vector<Trial> waiting(const std::vector<Trial>& trials) {
  std::vector<Trial> left;
  for (const Trial& t : trials) {
    if (t.state == TrialState::waiting) left.push_back(t);
  }
  return left;
}

// Evaluates one trial and stores how it ended. An interruption is no end: the trial stays waiting.
void evaluate_one(Store& store, Trial trial, const Evaluator& evaluate,
                  const std::function<void(const Trial&)>& ended) {
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  try {
    trial.metrics = evaluate(trial);
    trial.state = TrialState::complete;
    trial.seconds = seconds();
    store.complete(trial.number, *trial.metrics, trial.seconds);
  } catch (const Error& error) {
    if (error.code() == ExitCode::interrupted) throw;
    trial.state = TrialState::failed;
    trial.failure = error.what();
    trial.seconds = seconds();
    store.fail(trial.number, trial.failure, trial.seconds);
  }
  ended(trial);
}

// Runs trials on `options.workers` threads, started in number order. The first exception stops the hand-out
// and is thrown when all threads have come back.
void evaluate_all(Store& store, const std::vector<Trial>& trials, const Evaluator& evaluate,
                  const StudyEvents& events, const StudyOptions& options) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;  // events are told one at a time
  std::exception_ptr thrown;
  const auto work = [&] {
    while (!options.cancelled()) {
      const std::size_t i = next++;
      if (i >= trials.size()) return;
      try {
        evaluate_one(store, trials[i], evaluate, [&](const Trial& trial) {
          const std::scoped_lock guard(mutex);
          events.ended(trial);
        });
      } catch (...) {
        const std::scoped_lock guard(mutex);
        if (!thrown) thrown = std::current_exception();
        next = trials.size();
      }
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(options.workers));
  for (int i = 0; i < options.workers; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  if (thrown) std::rethrow_exception(thrown);
  if (options.cancelled()) throw Error(ExitCode::interrupted, "the study was interrupted");
}

}  // namespace

std::vector<Trial> run_study(Store& store, const Strategy& strategy, const SearchSpace& space,
                             const StrategyOptions& strategy_options, const Evaluator& evaluate,
                             const StudyEvents& events, const StudyOptions& options) {
  for (;;) {
    std::vector<Trial> trials = store.trials();
    std::vector<Trial> left = waiting(trials);
    if (left.empty()) left = store.add(strategy.ask(space, strategy_options, trials));
    if (left.empty()) return trials;
    events.asked(left);
    evaluate_all(store, left, evaluate, events, options);
  }
}

}  // namespace mcufit
