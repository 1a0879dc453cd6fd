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
    return "measures what the cost model takes from tables: code sizes and latency laws";
  }
  std::string_view usage() const override {
    return "calibrate code-size --target NAME [--output FILE], or calibrate latency --core NAME [options]";
  }
  std::string_view example() const override {
    return "mcufit calibrate latency --core cortex-m4 --output configs/latency-laws/cortex-m4.json";
  }
  std::size_t most_arguments() const override { return 1; }

  void add_options(po::options_description& options) const override {
    const LatencyRequest d;
    options.add_options()("target", po::value<std::string>(), "code-size: a target with the core to measure")(
        "core", po::value<std::string>(), "latency: the core to measure (`mcufit validate --list`)")(
        "seed", po::value<std::uint64_t>()->default_value(d.seed), "latency: of the generated layers")(
        "networks", po::value<int>()->default_value(d.networks),
        "latency: networks of generated layers to fit to, and half as many to compare with")(
        "output", po::value<std::string>(),
        "file to write (default: standard output; the tables in use are configs/code-sizes/<core>.json and "
        "configs/latency-laws/<core>.json)");
  }

  ExitCode run(const po::variables_map& options, const std::vector<std::string>& arguments) const override {
    const std::string table = measure(options, arguments).dump(2) + "\n";
    if (options.count("output") > 0) {
      write_file(options["output"].as<std::string>(), table);
    } else {
      std::cout << table;
    }
    return ExitCode::ok;
  }

 private:
  nlohmann::json measure(const po::variables_map& options, const std::vector<std::string>& arguments) const {
    if (arguments == std::vector<std::string>{"code-size"} && options.count("target") > 0)
      return to_json(measure_code_sizes(load_target(options["target"].as<std::string>())));
    if (arguments != std::vector<std::string>{"latency"} || options.count("core") == 0)
      throw Error(ExitCode::usage, fmt::format("mcufit calibrate: usage: mcufit {}", usage()));
    constexpr int kMostNetworks = 1000;
    const int networks = options["networks"].as<int>();
    if (networks < 1 || networks > kMostNetworks)
      throw Error(ExitCode::usage,
                  fmt::format("--networks: found {}; accepted: 1 to {}", networks, kMostNetworks));
    LatencyRequest request;
    request.core = options["core"].as<std::string>();
    request.seed = options["seed"].as<std::uint64_t>();
    request.networks = networks;
    request.held_out_networks = (networks + 1) / 2;
    return to_json(measure_latency_law(request));
  }
};

}  // namespace

const Verb& make_verb_calibrate() {
  static const CalibrateVerb verb;
  return verb;
}

}  // namespace mcufit
