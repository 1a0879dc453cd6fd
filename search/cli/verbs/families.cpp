// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/family.h"
#include "blocks/foundation/text.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;

class FamiliesVerb : public Verb {
 public:
  std::string_view name() const override { return "families"; }
  std::string_view summary() const override {
    return "lists the block families, their parameters and lattices";
  }
  std::string_view usage() const override { return "families [NAME]"; }
  std::string_view example() const override { return "mcufit families phinet"; }
  std::size_t most_arguments() const override { return 1; }
  void add_options(po::options_description&) const override {}

  ExitCode run(const po::variables_map& options, const std::vector<std::string>& arguments) const override {
    nlohmann::json all = nlohmann::json::array();
    std::string text;
    for (const Family* f : arguments.empty()
                               ? std::vector<const Family*>(families().begin(), families().end())
                               : std::vector{&family(arguments[0])}) {
      all.push_back({{"name", f->name()}, {"description", f->description()}, {"parameters", parameters(*f)}});
      text += fmt::format("{}{}: {}\n", text.empty() ? "" : "\n", f->name(), f->description()) + table(*f);
    }
    std::cout << (options.count("json") > 0 ? all.dump(2) + "\n" : text);
    return ExitCode::ok;
  }

 private:
  static nlohmann::json parameters(const Family& family) {
    nlohmann::json list = nlohmann::json::array();
    for (const Parameter& p : family.parameters()) {
      list.push_back({{"name", p.name},
                      {"meaning", p.meaning},
                      {"minimum", p.minimum},
                      {"maximum", p.maximum},
                      {"default", p.default_value},
                      {"integer", p.integer},
                      {"lattice", p.lattice},
                      {"trend", to_string(p.trend)},
                      {"fine", p.fine_values()},
                      {"choices", p.choice_values()}});
    }
    return list;
  }

  // How many values `mcufit fit` tries, and their ends.
  static std::string fit_values(const Parameter& p) {
    const auto values = p.fine_values();
    if (values.size() == 1) return fmt::format("{}", values.front());
    return fmt::format("{} in [{}, {}]", values.size(), values.front(), values.back());
  }

  static std::string table(const Family& family) {
    std::vector<std::vector<std::string>> rows{
        {"  parameter", "range", "default", "trend", "fit", "search lattice", "meaning"}};
    for (const Parameter& p : family.parameters()) {
      rows.push_back({fmt::format("  {}", p.name), fmt::format("[{}, {}]", p.minimum, p.maximum),
                      fmt::format("{}", p.default_value), std::string(to_string(p.trend)), fit_values(p),
                      fmt::format("{}", fmt::join(p.lattice, " ")), std::string(p.meaning)});
    }
    return aligned_table(rows);
  }
};

}  // namespace

const Verb& make_verb_families() {
  static const FamiliesVerb verb;
  return verb;
}

}  // namespace mcufit
