// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "blocks/family.h"
#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/text.h"
#include "cost-models/price.h"
#include "search/cli/job.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;

// A kind of configuration file: its schema, and its effective values after a strict reading.
struct Kind {
  std::function<nlohmann::json()> schema;
  std::function<nlohmann::json(const JsonDocument&)> effective;
};

template <typename T>
Kind kind(T (*read)(ObjectReader&)) {
  return {[read] { return schema_of<T>(read); },
          [read](const JsonDocument& document) { return to_json(read_config<T>(document, read)); }};
}

const std::map<std::string, Kind>& kinds() {
  static const std::map<std::string, Kind> kKinds{{"architecture", kind(read_architecture)},
                                                  {"code-sizes", kind(read_code_sizes)},
                                                  {"job", kind(read_job)},
                                                  {"target", kind(read_target)}};
  return kKinds;
}

const Kind& find_kind(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [key, value] : kinds()) names.push_back(key);
  const auto found = kinds().find(name);
  if (found != kinds().end()) return found->second;
  throw Error(ExitCode::usage, fmt::format("'{}' is no kind of configuration; accepted: {}{}", name,
                                           join(names), did_you_mean(name, names)));
}

class ConfigVerb : public Verb {
 public:
  std::string_view name() const override { return "config"; }
  std::string_view summary() const override {
    return "checks a configuration file, or prints the JSON Schema of a kind";
  }
  std::string_view usage() const override {
    return "config check KIND FILE | config schema KIND   (KIND: architecture, code-sizes, job, target)";
  }
  std::string_view example() const override {
    return "mcufit config check job configs/jobs/fashion-nrf52840.json";
  }
  std::size_t most_arguments() const override { return 3; }
  void add_options(po::options_description&) const override {}

  ExitCode run(const po::variables_map&, const std::vector<std::string>& arguments) const override {
    if (arguments.size() == 2 && arguments[0] == "schema") {
      nlohmann::json schema = find_kind(arguments[1]).schema();
      schema["$schema"] = "http://json-schema.org/draft-07/schema#";
      schema["title"] = "mcufit " + arguments[1];
      std::cout << schema.dump(2) << "\n";
      return ExitCode::ok;
    }
    if (arguments.size() == 3 && arguments[0] == "check") {
      std::cout << find_kind(arguments[1]).effective(JsonDocument::read(arguments[2])).dump(2) << "\n";
      return ExitCode::ok;
    }
    throw Error(ExitCode::usage, fmt::format("mcufit config: usage: mcufit {}", usage()));
  }
};

}  // namespace

const Verb& make_verb_config() {
  static const ConfigVerb verb;
  return verb;
}

}  // namespace mcufit
