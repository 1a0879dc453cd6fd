// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "cost-models/invert.h"
#include "cost-models/lattice.h"

namespace mcufit {

// The first stage of TinyNAS (Lin et al., "MCUNet", NeurIPS 2020): the search space is cut into sub-spaces of
// one resolution and one width; networks are drawn from each, and a sub-space whose fitting networks have
// more MACs is the better one to search in.

struct SubspaceOptions {
  std::int32_t samples = 1000;  // drawn from each sub-space
  std::uint64_t seed = 1;
  const TargetLaw* law = nullptr;  // needed where the budget limits latency or energy
};

struct Subspace {
  Shape input;
  double width = 1;                // of the family's first parameter, which all families have as their width
  std::vector<std::int64_t> macs;  // of the drawn networks that fit, ascending

  double mean_macs() const;  // 0 where none fits
};

// Every input with every choice of the width, by mean MACs, largest first. The other knobs are drawn
// uniformly from Parameter::choice_values(), each sub-space from a stream of its own: a sub-space's row does
// not depend on the others. Of the lattice only family, inputs and classes count.
std::vector<Subspace> rank_subspaces(const Lattice& lattice, const Budget& budget,
                                     const CodeSizesForTarget& code, const SubspaceOptions& options);

}  // namespace mcufit
