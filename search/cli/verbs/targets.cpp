// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/text.h"
#include "cost-models/cores.h"
#include "cost-models/latency.h"
#include "cost-models/price.h"
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
    if (arguments.size() != 2 || (action != "show" && action != "check"))
      throw Error(ExitCode::usage, fmt::format("mcufit targets: usage: mcufit {}", usage()));
    // What is to be checked is a file, whatever its name ends in.
    const Target target = action == "show"
                              ? load_target(arguments[1])
                              : read_config<Target>(JsonDocument::read(arguments[1]), read_target);
    if (json) {
      std::cout << to_json(target).dump(2) << "\n";
    } else {
      std::cout << (action == "show" ? show(target) : arguments[1] + ": a valid target\n");
    }
    return ExitCode::ok;
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

  static std::string power_text(const std::optional<Power>& power) {
    if (!power) return "not known";
    return fmt::format("{:.6g} mW ({})", power->milliwatts, power->source);
  }

  // Where code sizes and instruction counts come from.
  static std::string tables_text(const Target& t) {
    const CodeSizesForTarget code = load_code_sizes(t);
    const auto law = load_latency_law(t);
    const auto measured = [](bool estimated, const std::string& core) {
      return estimated ? fmt::format("estimated, those of {}", core) : fmt::format("measured on {}", core);
    };
    return fmt::format("code sizes    {}\nlatency law   {}\n", measured(code.estimated, code.sizes.core),
                       law ? measured(law->of_sibling, law->law.core) : "none");
  }

  static std::string regions_table(const Target& t) {
    std::vector<std::vector<std::string>> rows{{"region", "kind", "bytes", "address", "usable by a model"}};
    for (const MemoryRegion& r : t.regions)
      rows.push_back({r.name, std::string(to_string(r.kind)), with_separators(r.bytes),
                      r.base_address ? fmt::format("{:#x}", *r.base_address) : "-", r.usable ? "yes" : "no"});
    return t.regions.empty() ? "" : "\n" + aligned_table(rows);
  }

  static std::string show(const Target& t) {
    const Budget budget = derive(t, {});
    const Core* core = find_core(t.core);
    const std::string cycles = core != nullptr && core->cycles
                                   ? fmt::format("{:.2f} each instruction, estimated ({})",
                                                 core->cycles->value, core->cycles->source)
                                   : "not known";
    return fmt::format(
        "{}: {}\n\ncore          {} ({})\nclock         {} Hz\ncycles        {}\nflash         {} bytes "
        "for a model, {} after reserves\nRAM           {} bytes for a model, {} after reserves\nactive power "
        " "
        "{}\nsleep power   {}\n{}source        {}\n{}",
        t.name, t.board, t.core, t.features.empty() ? "no features" : join(t.features),
        with_separators(t.clock_hz), cycles, with_separators(t.flash_bytes),
        with_separators(budget.flash_bytes), with_separators(t.ram_bytes), with_separators(budget.ram_bytes),
        power_text(t.active_power), power_text(t.sleep_power), tables_text(t), t.source, regions_table(t));
  }
};

}  // namespace

const Verb& make_verb_targets() {
  static const TargetsVerb verb;
  return verb;
}

}  // namespace mcufit
