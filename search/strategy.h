// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cost-models/invert.h"
#include "search/trial.h"

namespace mcufit {

// What a strategy may choose from: the members that fit, family by family, largest capacity first.
struct SearchSpace {
  std::vector<Inversion> families;
};

struct StrategyOptions {
  std::uint64_t seed = 1;
  std::vector<Fidelity> rungs;  // at least one
};

// Decides which trials to run. A pure function of its arguments, called only when every trial it asked for
// has ended: so neither the number of workers nor an interruption changes the table of trials.
class Strategy {
 public:
  virtual ~Strategy() = default;
  virtual std::string_view name() const = 0;
  virtual std::string_view description() const = 0;

  // The next trials (rung, architecture, promoted_from set), or none when the search is over.
  virtual std::vector<Trial> ask(const SearchSpace& space, const StrategyOptions& options,
                                 std::span<const Trial> ended) const = 0;
};

std::span<const Strategy* const> strategies();

// Throws Error(config) with "did you mean".
const Strategy& strategy(std::string_view name);

}  // namespace mcufit
