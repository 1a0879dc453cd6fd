// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "search/store.h"
#include "search/strategy.h"

namespace mcufit {

// Trains and measures one trial; called from several threads at once. Throws Error when the trial fails: the
// reason is stored and the study goes on.
using Evaluator = std::function<Metrics(const Trial&)>;

struct StudyEvents {
  std::function<void(const std::vector<Trial>&)>
      asked;                                // the strategy's new trials, or those that an earlier run left
  std::function<void(const Trial&)> ended;  // complete or failed
};

struct StudyOptions {
  int workers = 2;
  std::function<bool()>
      cancelled;  // polled between trials; an evaluator that is told to stop throws Error(interrupted)
};

// Asks, evaluates and stores until the strategy is done; then every trial of the study has ended. After a
// kill or a cancellation the same call goes on with the trials that have not. Returns all trials, by number.
// Throws Error(interrupted) when cancelled.
std::vector<Trial> run_study(Store& store, const Strategy& strategy, const SearchSpace& space,
                             const StrategyOptions& strategy_options, const Evaluator& evaluate,
                             const StudyEvents& events, const StudyOptions& options);

}  // namespace mcufit
