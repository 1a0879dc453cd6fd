// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/text.h"
#include "blocks/lower.h"
#include "cost-models/certify.h"
#include "search/cli/equations_report.h"
#include "search/cli/fit_report.h"
#include "search/cli/plan_choice.h"
#include "search/cli/quantities.h"
#include "search/cli/shortage_report.h"
#include "search/cli/subspace_report.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;

constexpr std::int64_t kNoLimit = std::int64_t{1} << 40;

// Where a network is to fit, and what its code costs there.
struct Place {
  std::string title;
  nlohmann::json target;  // null where only limits were given
  Budget budget;
  CodeSizesForTarget code;
  std::optional<TargetLaw> law;
};

std::string to_string(const Budget& b) {
  std::vector<std::string> parts;
  if (b.flash_bytes < kNoLimit)
    parts.push_back(fmt::format("flash {} bytes", with_separators(b.flash_bytes)));
  if (b.ram_bytes < kNoLimit) parts.push_back(fmt::format("RAM {} bytes", with_separators(b.ram_bytes)));
  if (b.macs) parts.push_back(fmt::format("{} MACs", with_separators(*b.macs)));
  if (b.params) parts.push_back(fmt::format("{} params", with_separators(*b.params)));
  if (b.latency_us) parts.push_back(fmt::format("latency {} us (estimated)", *b.latency_us));
  if (b.energy_uj) parts.push_back(fmt::format("energy {} uJ (estimated)", *b.energy_uj));
  return join(parts);
}

Place find_place(const po::variables_map& options) {
  const Limits limits = parse_limits(options["limits"].as<std::string>());
  Place place;
  if (options.count("target") > 0) {
    const Target target = load_target(options["target"].as<std::string>());
    place.target = to_json(target);
    place.budget = derive(target, limits);
    place.code = load_code_sizes(target);
    place.law = load_latency_law(target);
    place.title = fmt::format("{} ({})", target.name, target.board);
  } else {
    if (options["limits"].as<std::string>().empty())
      throw Error(ExitCode::usage,
                  "mcufit fit: found neither --target nor --limits; accepted: one of them or both");
    Target target;
    target.core = options["core"].as<std::string>();
    place.code = load_code_sizes(target);
    place.budget = {.flash_bytes = limits.flash_bytes.value_or(kNoLimit),
                    .ram_bytes = limits.ram_bytes.value_or(kNoLimit),
                    .macs = limits.macs,
                    .params = limits.params,
                    .latency_us = limits.latency_us,
                    .energy_uj = limits.energy_uj};
    place.title = fmt::format("limits, with the code of a {}", place.code.sizes.core);
  }
  place.title += ": " + to_string(place.budget);
  if (place.code.estimated) place.title += "; code sizes estimated from " + place.code.sizes.core;
  return place;
}

// What keeps the nearest miss from the flash and RAM, where nothing fits.
std::optional<ShortageReport> shortage_of_miss(const Certificate& answer, const Place& place) {
  if (!answer.best.empty()) return std::nullopt;
  const Architecture& miss = answer.nearest_miss->architecture;
  return report_shortage(lower(miss.build()), answer.nearest_miss->cost, place.budget, place.code, &miss);
}

std::int32_t positive(const po::variables_map& options, const char* name, int least, int most) {
  const int value = options[name].as<int>();
  if (value >= least && value <= most) return value;
  throw Error(ExitCode::usage, fmt::format("--{}: found {}; accepted: {} to {}", name, value, least, most));
}

class FitVerb : public Verb {
 public:
  std::string_view name() const override { return "fit"; }
  std::string_view summary() const override {
    return "inverts families: the largest member that fits, what binds, what the next larger one lacks";
  }
  std::string_view usage() const override {
    return "fit --target NAME|--limits LIMITS --input HxWxC --classes N [options]";
  }
  std::string_view example() const override {
    return "mcufit fit --target nrf52840 --input 96x96x3 --classes 2 --family phinet --explain";
  }

  void add_options(po::options_description& options) const override {
    options.add_options()("target", po::value<std::string>(), "a target's name or file (`mcufit targets`)")(
        "limits", po::value<std::string>()->default_value(""),
        "alone, or below the target's: flash=1MB,ram=392KB,macs=63M,params=100k")(
        "core", po::value<std::string>()->default_value("cortex-m4"),
        "whose code sizes count where limits stand alone")("input", po::value<std::string>()->required(),
                                                           "shape of a sample, HEIGHTxWIDTHxCHANNELS")(
        "resolutions", po::value<std::string>(),
        "inputs to choose from instead, with the channels of --input: 96,128,160 or 49x10,98x10")(
        "classes", po::value<int>()->required(), "outputs of the classifier")(
        "family", po::value<std::string>()->default_value("all"), "one family, or all")(
        "top", po::value<int>()->default_value(5), "distinct networks shown per family")(
        "front", po::bool_switch(),
        "the members that, layer by layer, no other beats in capacity, flash and RAM")(
        "explain", po::bool_switch(), "how each member was decided, and the best one's ledger")(
        "equations", po::bool_switch(),
        "the PhiNets paper's equations and their inverse beside the exact figures")(
        "subspaces", po::value<int>()->implicit_value(1000),
        "rank resolution x width by the MACs of so many sampled networks that fit (TinyNAS's first stage)")(
        "seed", po::value<int>()->default_value(1), "of the samples");
    add_plan_options(options);
  }

  ExitCode run(const po::variables_map& options, const std::vector<std::string>&) const override {
    Place place = find_place(options);
    read_plan_options(options, place.budget);
    const Shape input = parse_shape(options["input"].as<std::string>());
    const std::vector<Shape> inputs = options.count("resolutions") > 0
                                          ? parse_resolutions(options["resolutions"].as<std::string>(), input)
                                          : std::vector{input};
    const std::int32_t classes = positive(options, "classes", 2, 32767);
    const auto top = static_cast<std::size_t>(positive(options, "top", 1, 10'000));
    const std::string wanted = options["family"].as<std::string>();
    nlohmann::json document = {{"target", place.target},
                               {"budget", to_json(place.budget)},
                               {"plan", to_string(place.budget.plan)},
                               {"mac_factor", place.budget.mac_factor},
                               {"wide_filters", place.budget.wide_filters},
                               {"families", nlohmann::json::array()}};
    std::string text = place.title + "\n" + wide_filters_note(place.budget, place.code, nullptr);
    bool fits = false;
    for (const Family* f : wanted == "all" ? std::vector<const Family*>(families().begin(), families().end())
                                           : std::vector{&family(wanted)}) {
      const Lattice lattice = fine_lattice(*f, inputs, classes);
      if (options.count("subspaces") > 0) {
        const SubspaceOptions samples{positive(options, "subspaces", 1, 1'000'000),
                                      static_cast<std::uint64_t>(positive(options, "seed", 0, 1 << 30)),
                                      place.law ? &*place.law : nullptr};
        const std::vector<Subspace> ranked = rank_subspaces(lattice, place.budget, place.code, samples);
        fits |= !ranked.empty() && !ranked.front().macs.empty();
        document["families"].push_back(subspace_json(*f, ranked, samples.samples));
        text += subspace_text(*f, ranked, top, samples.samples);
        continue;
      }
      const CertifyOptions wants{top, options["front"].as<bool>(), place.law ? &*place.law : nullptr};
      const Certificate answer = certify(lattice, place.budget, place.code, wants);
      fits |= !answer.best.empty();
      document["families"].push_back(to_json(answer));
      text += fit_text(answer, place.budget, options["explain"].as<bool>());
      if (const auto shortage = shortage_of_miss(answer, place)) {
        document["families"].back()["shortage"] = to_json(*shortage);
        text += to_string(*shortage);
      }
      if (options["equations"].as<bool>() && f->name() == "phinet") {
        const EquationsReport report = compare_equations(answer, place.budget, place.code);
        document["families"].back()["equations"] = to_json(report);
        text += equations_text(report);
      }
    }
    document["fits"] = fits;
    std::cout << (options.count("json") > 0 ? document.dump(2) + "\n" : text);
    return fits ? ExitCode::ok : ExitCode::constraint_not_met;
  }
};

}  // namespace

const Verb& make_verb_fit() {
  static const FitVerb verb;
  return verb;
}

}  // namespace mcufit
