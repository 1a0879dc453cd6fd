// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "blocks/family.h"
#include "cost-models/price.h"
#include "cost-models/target.h"

namespace mcufit {

// What can forbid a network.
enum class Resource { none, flash, ram, macs, params, latency, energy };
std::string_view to_string(Resource resource);

// The demands of one network held against a budget.
struct Fit {
  Resource binding = Resource::none;  // the resource used most, relative to its limit
  double use = 0;                     // of that resource, 1 = all of it; above 1 the network does not fit

  bool fits() const { return use <= 1.0; }
  // Takes another resource in: its share counts where it is the largest so far.
  void hold(Resource resource, std::int64_t needed, std::int64_t limit);
  void hold(Resource resource, double needed, double limit);
};
// Throws Error(config) where the budget limits latency or energy and the cost does not know it.
Fit hold_against(const Footprint& footprint, const Cost& cost, const Budget& budget);
// Latency and energy alone, of networks that take at least `speed`.
void hold_speed(Fit& fit, const std::optional<Speed>& speed, const Budget& budget);

// What an inversion makes as large as it can.
struct Capacity {
  std::int64_t macs = 0, params = 0;                  // params decide between equal MACs
  auto operator<=>(const Capacity&) const = default;  // NOLINT(modernize-use-nullptr): false
};
Capacity capacity(const Footprint& footprint);

// A member of a family with its exact price.
struct Member {
  Architecture architecture;
  Footprint footprint;
  Cost cost;
  Fit fit;
};
nlohmann::json to_json(const Member& member);

// The answer to "which members of this family fit?". Capacity is MACs, then params.
struct Inversion {
  const Family* family = nullptr;
  std::int64_t lattice_members = 0;   // combinations of the lattice's values
  std::int64_t priced_members = 0;    // priced exactly; their closed form ruled out the others
  std::int64_t fitting_members = 0;   // of the lattice; several may be one network after channel rounding
  std::vector<Member> fitting;        // the distinct networks that fit, by capacity, largest first
  Resource binding = Resource::none;  // what forbids the next larger member, or the nearest miss
  std::optional<Member>
      next_larger;  // the least capacity above the largest fitting member's; it does not fit
  std::optional<Member> nearest_miss;  // when nothing fits: the member that exceeds the budget least
};

// Every member of the family's lattice is first held against the budget by its closed form, whose params and
// MACs are lower bounds of its flash and MACs, as its activation peak is of a layer-by-layer plan's RAM and
// its input of any plan's; those that pass are built, lowered, planned and priced exactly.
// `law` may be null where the budget limits neither latency nor energy.
Inversion invert(const Family& family, const Task& task, const Budget& budget, const CodeSizesForTarget& code,
                 const TargetLaw* law = nullptr);

// A member priced exactly, with the plan that price_candidate() gives it. Throws Error(input) when the
// architecture is too small for its strides.
Member price_member(const Architecture& architecture, const Budget& budget, const CodeSizesForTarget& code,
                    const TargetLaw* law = nullptr);

nlohmann::json to_json(const Inversion& inversion, std::size_t most_fitting);

}  // namespace mcufit
