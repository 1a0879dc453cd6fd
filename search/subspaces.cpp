// SPDX-License-Identifier: Apache-2.0
#include "search/subspaces.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <numeric>

#include "blocks/foundation/random.h"
#include "cost-models/bound.h"

namespace mcufit {
namespace {

constexpr std::size_t kWidth = 0;  // the first parameter

Hyperparameters draw(const Family& family, double width, Random& random) {
  Hyperparameters h;
  const auto parameters = family.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto choices = parameters[i].choice_values();
    h[i] = i == kWidth ? width : choices[random.below(choices.size())];
  }
  return h;
}

}  // namespace

double Subspace::mean_macs() const {
  if (macs.empty()) return 0;
  return static_cast<double>(std::accumulate(macs.begin(), macs.end(), std::int64_t{0})) /
         static_cast<double>(macs.size());
}

std::vector<Subspace> rank_subspaces(const Lattice& lattice, const Budget& budget,
                                     const CodeSizesForTarget& code, const SubspaceOptions& options) {
  std::vector<Subspace> subspaces;
  for (const Shape& input : lattice.inputs) {
    for (const double width : lattice.family->parameters()[kWidth].choice_values())
      subspaces.push_back({input, width, {}});
  }
  tbb::parallel_for(std::size_t{0}, subspaces.size(), [&](std::size_t i) {
    Subspace& s = subspaces[i];
    const Task task{s.input, lattice.classes};
    Random random(options.seed,
                  {static_cast<std::uint64_t>(s.input.height), static_cast<std::uint64_t>(s.input.width),
                   static_cast<std::uint64_t>(s.width * 1000)});
    for (std::int32_t n = 0; n < options.samples; ++n) {
      const Architecture a{lattice.family, draw(*lattice.family, s.width, random), task};
      // What filters and activations alone exceed need not be planned.
      if (!bound(a.footprint(), s.input, {}, budget).fits()) continue;
      const Member m = price_member(a, budget, code, options.law);
      if (m.fit.fits()) s.macs.push_back(m.cost.macs);
    }
    std::sort(s.macs.begin(), s.macs.end());
  });
  std::stable_sort(subspaces.begin(), subspaces.end(),
                   [](const Subspace& a, const Subspace& b) { return a.mean_macs() > b.mean_macs(); });
  return subspaces;
}

}  // namespace mcufit
