// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/text.h"
#include "cost-models/target.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;

class TargetsVerb : public Verb {
 public:
  std::string_view name() const override { return "targets"; }
  std::string_view summary() const override {
    return "lists the known boards, shows one, or checks a target file";
  }
  std::string_view usage() const override { return "targets [list | show NAME | check FILE]"; }
  std::string_view example() const override { return "mcufit targets show nrf52840"; }
  std::size_t most_arguments() const override { return 2; }
  void add_options(po::options_description&) const override {}

  ExitCode run(const po::variables_map& options, const std::vector<std::string>& arguments) const override {
    const bool json = options.count("json") > 0;
    const std::string action = arguments.empty() ? "list" : arguments[0];
    if (action == "list" && arguments.size() < 2) {
      list(json);
      return ExitCode::ok;
    }
    if (arguments.size() == 2 && (action == "show" || action == "check")) {
      const Target target = load_target(arguments[1]);
      if (action == "show" || json) {
        std::cout << to_json(target).dump(2) << "\n";
      } else {
        std::cout << arguments[1] << ": a valid target\n";
      }
      return ExitCode::ok;
    }
    throw Error(ExitCode::usage, fmt::format("mcufit targets: usage: mcufit {}", usage()));
  }

 private:
  static void list(bool json) {
    nlohmann::json all = nlohmann::json::array();
    std::vector<std::vector<std::string>> rows{{"name", "core", "clock Hz", "flash B", "RAM B", "board"}};
    for (const std::string& name : target_names()) {
      const Target t = load_target(name);
      all.push_back(to_json(t));
      rows.push_back({t.name, t.core, with_separators(t.clock_hz), with_separators(t.flash_bytes),
                      with_separators(t.ram_bytes), t.board});
    }
    std::cout << (json ? all.dump(2) + "\n" : aligned_table(rows));
  }
};

}  // namespace

const Verb& make_verb_targets() {
  static const TargetsVerb verb;
  return verb;
}

}  // namespace mcufit
