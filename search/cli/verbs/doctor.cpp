// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/files.h"
#include "blocks/foundation/subprocess.h"
#include "blocks/foundation/text.h"
#include "exporters/device/devices.h"
#include "search/cli/verb.h"
#include "trainers/datasets/dataset.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;

struct Check {
  std::string what;
  bool found = false;
  std::string detail;  // where it is, or what brings it
};

Check program_check(const std::string& program, const std::string& package) {
  const auto path = find_program(program);
  return {program, path.has_value(), path ? path->string() : "apt-get install " + package};
}

std::vector<Check> device_checks() {
  std::vector<Check> checks;
  for (const Device& device : devices()) {
    const auto missing = missing_program(device);
    checks.push_back({"device " + device.name, !missing,
                      missing
                          ? fmt::format("{} is missing: apt-get install {}", missing->name, missing->package)
                          : fmt::format("{}, {}", device.board, device.compiler.name)});
  }
  return checks;
}

Check dataset_check(const Dataset& data) {
  try {
    return {fmt::format("data set {}", data.name()), true, "sha256 " + data.sha256("").substr(0, 12)};
  } catch (const Error& error) {
    return {fmt::format("data set {}", data.name()), false, error.what()};
  }
}

class DoctorVerb : public Verb {
 public:
  std::string_view name() const override { return "doctor"; }
  std::string_view summary() const override {
    return "tells what this machine has of what mcufit uses, and what brings the rest";
  }
  std::string_view usage() const override { return "doctor"; }
  std::string_view example() const override { return "mcufit doctor"; }
  void add_options(po::options_description&) const override {}

  ExitCode run(const po::variables_map& options, const std::vector<std::string>&) const override {
    std::vector<Check> checks = device_checks();
    checks.push_back(program_check((program_folder() / "mcufit-worker").string(),
                                   "libtorch-dev, then build with MCUFIT_TRAINERS=ON"));
    checks.push_back({"configs", true, config_folder().string()});
    for (const Dataset* data : datasets()) checks.push_back(dataset_check(*data));
    nlohmann::json all = nlohmann::json::array();
    std::vector<std::vector<std::string>> rows{{"what", "found", "where, or what brings it"}};
    bool complete = true;
    for (const Check& c : checks) {
      complete &= c.found;
      all.push_back({{"what", c.what}, {"found", c.found}, {"detail", c.detail}});
      rows.push_back({c.what, c.found ? "yes" : "NO", c.detail});
    }
    std::cout << (options.count("json") > 0 ? all.dump(2) + "\n" : aligned_table(rows));
    return complete ? ExitCode::ok : ExitCode::device_not_found;
  }
};

}  // namespace

const Verb& make_verb_doctor() {
  static const DoctorVerb verb;
  return verb;
}

}  // namespace mcufit
