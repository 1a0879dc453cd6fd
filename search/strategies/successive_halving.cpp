// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "blocks/foundation/random.h"
#include "search/strategy.h"

// Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS
// 2016.

namespace mcufit {
namespace {

// Capacity predicts accuracy well at this size, so candidates come from the largest share of what fits.
constexpr std::size_t kLargestShare = 8;  // one in eight

// `count` distinct members from the largest of a family, the largest itself first.
std::vector<Architecture> draw(const Inversion& family, std::size_t count, Random& random) {
  std::vector<std::size_t> pool;
  const std::size_t share = std::max(count, family.fitting.size() / kLargestShare);
  for (std::size_t i = 1; i < std::min(share, family.fitting.size()); ++i) pool.push_back(i);
  random.shuffle(pool);
  std::vector<Architecture> drawn;
  if (count > 0 && !family.fitting.empty()) drawn.push_back(family.fitting.front().architecture);
  for (std::size_t i = 0; i < pool.size() && drawn.size() < count; ++i)
    drawn.push_back(family.fitting[pool[i]].architecture);
  return drawn;
}

class SuccessiveHalving : public Strategy {
 public:
  std::string_view name() const override { return "successive_halving"; }
  std::string_view description() const override {
    return "the largest fitting members of each family, short training first, the best go on to the next "
           "rung";
  }

  std::vector<Trial> ask(const SearchSpace& space, const StrategyOptions& options,
                         std::span<const Trial> ended) const override {
    std::int32_t rung = -1;
    for (const Trial& t : ended) rung = std::max(rung, t.rung);
    if (rung < 0) return first_rung(space, options);
    if (static_cast<std::size_t>(rung) + 1 >= options.rungs.size()) return {};
    return promote(ended, rung, options.rungs[static_cast<std::size_t>(rung) + 1]);
  }

 private:
  // Candidates of all families in turn.
  static std::vector<Trial> first_rung(const SearchSpace& space, const StrategyOptions& options) {
    const auto wanted = static_cast<std::size_t>(options.rungs.front().trials);
    std::vector<std::vector<Architecture>> drawn;
    for (std::size_t f = 0; f < space.families.size(); ++f) {
      Random random(options.seed, {f});
      drawn.push_back(draw(space.families[f], wanted, random));
    }
    std::vector<Trial> trials;
    for (std::size_t i = 0; i < wanted; ++i) {
      for (const auto& family : drawn) {
        if (i >= family.size() || trials.size() == wanted) continue;
        Trial trial;
        trial.architecture = family[i];
        trials.push_back(std::move(trial));
      }
    }
    return trials;
  }

  static std::vector<Trial> promote(std::span<const Trial> ended, std::int32_t rung, const Fidelity& next) {
    std::vector<const Trial*> ranked;
    for (const Trial& t : ended) {
      if (t.rung == rung && t.state == TrialState::complete) ranked.push_back(&t);
    }
    std::stable_sort(ranked.begin(), ranked.end(), [](const Trial* a, const Trial* b) {
      return a->metrics->accuracy_int8 > b->metrics->accuracy_int8;  // ties: the earlier number
    });
    if (ranked.size() > static_cast<std::size_t>(next.trials))
      ranked.resize(static_cast<std::size_t>(next.trials));
    std::vector<Trial> trials;
    for (const Trial* t : ranked) {
      Trial trial;
      trial.rung = rung + 1;
      trial.promoted_from = t->number;
      trial.architecture = t->architecture;
      trials.push_back(std::move(trial));
    }
    return trials;
  }
};

}  // namespace

const Strategy& make_strategy_successive_halving() {
  static const SuccessiveHalving strategy;
  return strategy;
}

}  // namespace mcufit
