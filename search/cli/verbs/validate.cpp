// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/text.h"
#include "exporters/device/device.h"
#include "exporters/test_vectors.h"
#include "search/cli/report.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

class ValidateVerb : public Verb {
 public:
  std::string_view name() const override { return "validate"; }
  std::string_view summary() const override {
    return "builds a package for its target's emulated core, runs it and compares every byte";
  }
  std::string_view usage() const override { return "validate PACKAGE [--vectors FILE] [--work FOLDER]"; }
  std::string_view example() const override { return "mcufit validate runs/fashion-nrf52840/package"; }
  std::size_t most_arguments() const override { return 1; }

  void add_options(po::options_description& options) const override {
    options.add_options()("vectors", po::value<std::string>(),
                          "inputs and expected outputs (default: vectors.bin beside the package)")(
        "work", po::value<std::string>(),
        "keeps firmware, map and log (default: device, beside the package)");
  }

  ExitCode run(const po::variables_map& options, const std::vector<std::string>& arguments) const override {
    if (arguments.empty())
      throw Error(ExitCode::usage,
                  fmt::format("mcufit validate: no package given; usage: mcufit {}", usage()));
    const fs::path package =
        fs::path(arguments[0]) / ".";  // so that parent_path() is the folder itself, slash or not
    const fs::path beside = fs::absolute(package).lexically_normal().parent_path().parent_path();
    const auto path_option = [&](const char* key, const char* otherwise) {
      return options.count(key) > 0 ? fs::path(options[key].as<std::string>()) : beside / otherwise;
    };
    const Manifest manifest = read_manifest(arguments[0]);
    const std::vector<TestVector> vectors = read_vectors(path_option("vectors", "vectors.bin"), manifest);
    const DeviceReport report = validate(arguments[0], vectors, path_option("work", "device"));
    if (options.count("json") > 0) {
      std::cout << to_json(report).dump(2) << "\n";
    } else {
      std::cout << describe(report) << "\n" << ledger_table(manifest.flash, manifest.ram, &report);
    }
    return report.first_mismatch ? ExitCode::validation_mismatch : ExitCode::ok;
  }
};

}  // namespace

const Verb& make_verb_validate() {
  static const ValidateVerb verb;
  return verb;
}

}  // namespace mcufit
