// SPDX-License-Identifier: Apache-2.0
#include "cost-models/invert.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/lower.h"
#include "cost-models/price_plan.h"

namespace mcufit {
namespace {

// Calls visit(hyper-parameters) for every combination of lattice values, the last parameter fastest.
template <typename Visit>
void each_member(const Family& family, const Visit& visit) {
  const auto parameters = family.parameters();
  std::vector<std::size_t> digits(parameters.size(), 0);
  for (;;) {
    Hyperparameters h;
    for (std::size_t i = 0; i < parameters.size(); ++i) h[i] = parameters[i].lattice[digits[i]];
    visit(h);
    std::size_t i = parameters.size();
    while (i > 0 && ++digits[i - 1] == parameters[i - 1].lattice.size()) digits[--i] = 0;
    if (i == 0) return;
  }
}

Capacity capacity(const Member& m) { return capacity(m.footprint); }

// A lower bound of what hold_against() will say: int8 weights are at least params less the folded batch-norm,
// which has two numbers per channel where the deployed network stores nine bytes; plans by rows hold the
// input.
Fit bound(const Footprint& f, const Shape& input, const Budget& budget) {
  Fit fit;
  fit.hold(Resource::flash, f.params, budget.flash_bytes);
  const bool whole = budget.plan == PlanChoice::layer_by_layer;
  fit.hold(Resource::ram, whole ? f.peak_activation_bytes : input.elements(), budget.ram_bytes);
  if (budget.macs) fit.hold(Resource::macs, f.macs, *budget.macs);
  if (budget.params) fit.hold(Resource::params, f.params, *budget.params);
  return fit;
}

struct Bounded {
  Architecture architecture;
  Footprint footprint;
  Fit fit;
  bool exact = false;  // by its price; else by its closed form
};

// What a price depends on beside the architecture.
struct Pricing {
  const Budget& budget;
  const CodeSizesForTarget& code;
  const TargetLaw* law;

  Member price(const Architecture& a) const { return price_member(a, budget, code, law); }
};

// Of those already priced and of some whose closed form exceeds the budget less than they do the one that
// exceeds it least; nothing where there is no member.
std::optional<Member> find_nearest_miss(std::vector<Bounded> members, const Pricing& pricing) {
  constexpr std::size_t kMostPriced = 64;
  std::stable_sort(members.begin(), members.end(),
                   [](const auto& a, const auto& b) { return a.fit.use < b.fit.use; });
  std::optional<Member> nearest;
  std::size_t priced = 0;
  for (const Bounded& bounded : members) {
    if (nearest && bounded.fit.use >= nearest->fit.use) break;
    if (!bounded.exact && ++priced > kMostPriced) continue;
    Member member = pricing.price(bounded.architecture);
    if (!nearest || member.fit.use < nearest->fit.use) nearest = std::move(member);
  }
  return nearest;
}

// Rounding to channels makes one network of several members: keeps the first of them, of members sorted by
// capacity.
void drop_repeated(std::vector<Member>& sorted) {
  std::vector<Member> distinct;
  std::vector<Graph> graphs;  // of the members with the last one's capacity
  for (Member& member : sorted) {
    if (distinct.empty() || capacity(distinct.back()) != capacity(member)) graphs.clear();
    Graph graph = member.architecture.build();
    if (std::find(graphs.begin(), graphs.end(), graph) != graphs.end()) continue;
    graphs.push_back(std::move(graph));
    distinct.push_back(std::move(member));
  }
  sorted = std::move(distinct);
}

// The least capacity above `best`; the candidates did not fit.
std::optional<Member> find_next_larger(const Member& best, const std::vector<Bounded>& too_large,
                                       const Pricing& pricing) {
  const Bounded* next = nullptr;
  for (const Bounded& b : too_large) {
    if (capacity(b.footprint) <= capacity(best)) continue;
    if (next == nullptr || capacity(b.footprint) < capacity(next->footprint)) next = &b;
  }
  if (next == nullptr) return std::nullopt;
  return pricing.price(next->architecture);
}

}  // namespace

std::string_view to_string(Resource resource) {
  switch (resource) {
    case Resource::none:
      return "none";
    case Resource::flash:
      return "flash";
    case Resource::ram:
      return "ram";
    case Resource::macs:
      return "macs";
    case Resource::params:
      return "params";
    case Resource::latency:
      return "latency";
    case Resource::energy:
      return "energy";
  }
  return "";
}

void Fit::hold(Resource resource, std::int64_t needed, std::int64_t limit) {
  hold(resource, static_cast<double>(needed), static_cast<double>(limit));
}

void Fit::hold(Resource resource, double needed, double limit) {
  const double share = needed / limit;
  if (share > use) {
    binding = resource;
    use = share;
  }
}

void hold_speed(Fit& fit, const std::optional<Speed>& speed, const Budget& budget) {
  const auto known = [](const std::optional<double>& value, const char* what) {
    if (value) return *value;
    throw Error(
        ExitCode::config,
        fmt::format("limits/{}: the target's is not known; accepted: a target with a latency law, cycles per "
                    "instruction and active power; try `mcufit calibrate latency`, or a limit on macs",
                    what));
  };
  const Speed none;
  const Speed& s = speed ? *speed : none;
  if (budget.latency_us) fit.hold(Resource::latency, known(s.latency_us, "latency_us"), *budget.latency_us);
  if (budget.energy_uj) fit.hold(Resource::energy, known(s.energy_uj, "energy_uj"), *budget.energy_uj);
}

Capacity capacity(const Footprint& footprint) { return {footprint.macs, footprint.params}; }

Fit hold_against(const Footprint& footprint, const Cost& cost, const Budget& budget) {
  Fit fit;
  fit.hold(Resource::flash, cost.flash.total(), budget.flash_bytes);
  fit.hold(Resource::ram, cost.ram.total(), budget.ram_bytes);
  // Never below the closed form's, which bounds hold against the limit too.
  if (budget.macs) fit.hold(Resource::macs, std::max(footprint.macs, cost.macs), *budget.macs);
  if (budget.params) fit.hold(Resource::params, footprint.params, *budget.params);
  hold_speed(fit, cost.speed, budget);
  return fit;
}

Member price_member(const Architecture& architecture, const Budget& budget, const CodeSizesForTarget& code,
                    const TargetLaw* law) {
  Member member;
  member.architecture = architecture;
  member.footprint = architecture.footprint();
  member.cost = price_candidate(lower(architecture.build()), code, budget, law);
  member.fit = hold_against(member.footprint, member.cost, budget);
  return member;
}

Inversion invert(const Family& family, const Task& task, const Budget& budget, const CodeSizesForTarget& code,
                 const TargetLaw* law) {
  const Pricing pricing{budget, code, law};
  Inversion answer;
  answer.family = &family;
  std::vector<Bounded> passing, too_large;
  each_member(family, [&](const Hyperparameters& h) {
    ++answer.lattice_members;
    const Architecture architecture{&family, h, task};
    const Footprint footprint = family.footprint(h, task);
    const Bounded b{architecture, footprint, bound(footprint, task.input, budget)};
    (b.fit.fits() ? passing : too_large).push_back(b);
  });
  std::vector<std::optional<Member>> priced(passing.size());
  tbb::parallel_for(std::size_t{0}, passing.size(),
                    [&](std::size_t i) { priced[i] = pricing.price(passing[i].architecture); });
  std::vector<Bounded> misses;
  for (std::size_t i = 0; i < priced.size(); ++i) {
    if (priced[i]->fit.fits()) {
      answer.fitting.push_back(std::move(*priced[i]));
    } else {
      misses.push_back({passing[i].architecture, passing[i].footprint, priced[i]->fit, true});
    }
  }
  answer.priced_members = static_cast<std::int64_t>(passing.size());
  misses.insert(misses.end(), too_large.begin(), too_large.end());
  std::stable_sort(answer.fitting.begin(), answer.fitting.end(),
                   [](const Member& a, const Member& b) { return capacity(a) > capacity(b); });
  answer.fitting_members = static_cast<std::int64_t>(answer.fitting.size());
  drop_repeated(answer.fitting);
  if (answer.fitting.empty()) {
    answer.nearest_miss = find_nearest_miss(std::move(misses), pricing);
    if (answer.nearest_miss) answer.binding = answer.nearest_miss->fit.binding;
  } else {
    answer.next_larger = find_next_larger(answer.fitting.front(), misses, pricing);
    if (answer.next_larger) answer.binding = answer.next_larger->fit.binding;
  }
  return answer;
}

nlohmann::json to_json(const Member& member) {
  nlohmann::json j = to_json(member.cost);
  j["architecture"] = to_json(member.architecture);
  j["params"] = member.footprint.params;
  j["binding"] = to_string(member.fit.binding);
  j["use"] = member.fit.use;
  j["fits"] = member.fit.fits();
  return j;
}

nlohmann::json to_json(const Inversion& inversion, std::size_t most_fitting) {
  nlohmann::json members = nlohmann::json::array();
  for (std::size_t i = 0; i < std::min(most_fitting, inversion.fitting.size()); ++i) {
    members.push_back(to_json(inversion.fitting[i]));
  }
  nlohmann::json j = {{"family", inversion.family->name()},
                      {"lattice_members", inversion.lattice_members},
                      {"priced_members", inversion.priced_members},
                      {"fitting_members", inversion.fitting_members},
                      {"fitting_networks", inversion.fitting.size()},
                      {"binding", to_string(inversion.binding)},
                      {"fitting", std::move(members)}};
  if (inversion.next_larger) j["next_larger"] = to_json(*inversion.next_larger);
  if (inversion.nearest_miss) j["nearest_miss"] = to_json(*inversion.nearest_miss);
  return j;
}

}  // namespace mcufit
