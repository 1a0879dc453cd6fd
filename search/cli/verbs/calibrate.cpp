// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/files.h"
#include "exporters/device/device.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;

class CalibrateVerb : public Verb {
 public:
  std::string_view name() const override { return "calibrate"; }
  std::string_view summary() const override {
    return "measures what the cost model takes from tables: the runtime's code sizes";
  }
  std::string_view usage() const override { return "calibrate code-size --target NAME [--output FILE]"; }
  std::string_view example() const override { return "mcufit calibrate code-size --target nrf52840"; }
  std::size_t most_arguments() const override { return 1; }

  void add_options(po::options_description& options) const override {
    options.add_options()("target", po::value<std::string>()->required(),
                          "a target with the core to measure")(
        "output", po::value<std::string>(),
        "file to write (default: standard output; the table in use is configs/code-sizes/<core>.json)");
  }

  ExitCode run(const po::variables_map& options, const std::vector<std::string>& arguments) const override {
    if (arguments != std::vector<std::string>{"code-size"})
      throw Error(ExitCode::usage, fmt::format("mcufit calibrate: usage: mcufit {}", usage()));
    const std::string table =
        to_json(measure_code_sizes(load_target(options["target"].as<std::string>()))).dump(2) + "\n";
    if (options.count("output") > 0) {
      write_file(options["output"].as<std::string>(), table);
    } else {
      std::cout << table;
    }
    return ExitCode::ok;
  }
};

}  // namespace

const Verb& make_verb_calibrate() {
  static const CalibrateVerb verb;
  return verb;
}

}  // namespace mcufit
