// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "blocks/foundation/files.h"
#include "blocks/foundation/text.h"
#include "exporters/device/device.h"
#include "exporters/device/devices.h"
#include "exporters/test_vectors.h"
#include "exporters/tflite/import.h"
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
    return "builds a package for an emulated core, its target's or another, and compares every byte";
  }
  std::string_view usage() const override {
    return "validate PACKAGE [--device NAME] [options], or validate --list";
  }
  std::string_view example() const override { return "mcufit validate runs/fashion-nrf52840/package"; }
  std::size_t most_arguments() const override { return 1; }

  void add_options(po::options_description& options) const override {
    options.add_options()("vectors", po::value<std::string>(),
                          "inputs and expected outputs (default: vectors.bin beside the package)")(
        "work", po::value<std::string>(),
        "keeps firmware, map and log (default: device, beside the package)")(
        "device", po::value<std::string>()->default_value(""),
        "where to run it, a name of --list (default: the core of the package's target)")(
        "model", po::value<std::string>(),
        "the .tflite that the package was imported from: a mismatch is then explained to the byte")(
        "list", po::bool_switch(), "lists the devices and what each needs");
  }

  ExitCode run(const po::variables_map& options, const std::vector<std::string>& arguments) const override {
    if (options["list"].as<bool>()) return list(options.count("json") > 0);
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
    std::optional<QuantizedGraph> network;
    if (options.count("model") > 0) {
      const fs::path model = options["model"].as<std::string>();
      network = import_tflite(read_file(model), model.filename().string());
    }
    const RunRequest request{.package = arguments[0],
                             .work = path_option("work", "device"),
                             .device = options["device"].as<std::string>(),
                             .network = network ? &*network : nullptr};
    const DeviceReport report = validate(request, vectors);
    if (options.count("json") > 0) {
      std::cout << to_json(report).dump(2) << "\n";
    } else {
      const Prediction predicted = predict(manifest, find_device(report.core));
      std::cout << describe(report) << "\n"
                << ledger_table(predicted.flash, predicted.ram, &report)
                << (predicted.estimated ? "code and stack are predicted from another core's table\n" : "");
    }
    return report.first_mismatch ? ExitCode::validation_mismatch : ExitCode::ok;
  }

 private:
  static ExitCode list(bool json) {
    nlohmann::json all = nlohmann::json::array();
    std::vector<std::vector<std::string>> rows{{"device", "board", "flash B", "RAM B", "counts", "ready"}};
    for (const Device& d : devices()) {
      const auto missing = missing_program(d);
      const auto bytes = [&](const Memory& m) { return d.has_memories() ? with_separators(m.bytes) : "-"; };
      rows.push_back({d.name, d.board, bytes(d.flash), bytes(d.ram), d.counts.empty() ? "-" : d.counts,
                      missing ? "no: apt-get install " + missing->package : "yes"});
      all.push_back({{"name", d.name},
                     {"board", d.board},
                     {"flash_bytes", d.flash.bytes},
                     {"ram_bytes", d.ram.bytes},
                     {"counts", d.counts},
                     {"ready", !missing}});
    }
    std::cout << (json ? all.dump(2) + "\n" : aligned_table(rows));
    return ExitCode::ok;
  }
};

}  // namespace

const Verb& make_verb_validate() {
  static const ValidateVerb verb;
  return verb;
}

}  // namespace mcufit
