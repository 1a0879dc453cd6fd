// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cost-models/invert.h"
#include "cost-models/lattice.h"

namespace mcufit {

struct CertifyOptions {
  std::size_t top = 1;             // how many of the largest distinct networks that fit
  bool front = false;              // the non-dominated set too, of members that run layer by layer
  const TargetLaw* law = nullptr;  // needed where the budget limits latency or energy
};

// How each member of the lattice was decided: members = ruled_out + priced + smaller.
struct Proof {
  std::int64_t members = 0;
  std::int64_t structures = 0;     // their smallest members were priced as well, for the bounds
  std::int64_t ruled_out = 0;      // by the bound of a box they lie in, which exceeds the budget
  std::int64_t priced = 0;         // exactly
  std::int64_t smaller = 0;        // in boxes none of whose members is larger than the last one named
  std::int64_t priced_misses = 0;  // again, where nothing fits, to find the nearest miss
  std::int64_t closed_forms = 0;   // evaluated, corners of boxes

  std::int64_t priced_exactly() const { return priced + structures + priced_misses; }
};

// The non-dominated members of those that fit layer by layer: none has as much capacity for as little flash
// and RAM. By rows a network takes what RAM there is, which says nothing of what it needs.
struct Front {
  std::vector<Member> members;  // by capacity, largest first
  std::int64_t ruled_out = 0, dominated_unpriced = 0, priced = 0;
};

// The answer to "which member of this lattice uses the budget best?", equal to what pricing every member
// gives.
struct Certificate {
  const Family* family = nullptr;
  Proof proof;
  std::vector<Member> best;           // that fit, distinct networks, by capacity, largest first
  Resource binding = Resource::none;  // what forbids the next larger member, or the nearest miss
  std::optional<Member> next_larger;  // the least capacity above the best member's; it does not fit
  // Where nothing fits: the member of least capacity, and the one that exceeds the budget least. `miss_bound`
  // is a share of the budget that every member exceeds; nearest_miss->fit.use where the search was complete.
  std::optional<Member> smallest, nearest_miss;
  double miss_bound = 0;
  std::optional<Front> front;
};

// Branch and bound over boxes of the lattice; closed forms rule out, the exact price decides. Throws
// Error(input) when an input is too small for a member's strides.
Certificate certify(const Lattice& lattice, const Budget& budget, const CodeSizesForTarget& code,
                    const CertifyOptions& options = {});

nlohmann::json to_json(const Certificate& certificate);

// Sentences that tell how the answer was reached.
std::string explain(const Proof& proof, bool fits);

}  // namespace mcufit
