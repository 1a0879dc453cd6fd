// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "blocks/family.h"
#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/text.h"
#include "cost-models/cycle_table.h"
#include "cost-models/latency.h"
#include "cost-models/price.h"
#include "cost-models/target.h"
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
                                                  {"cycle-table", kind(read_cycle_table)},
                                                  {"job", kind(read_job)},
                                                  {"latency-law", kind(read_latency_law)},
                                                  {"limits", kind(read_limits)},
                                                  {"target", kind(read_target)}};
  return kKinds;
}

std::vector<std::string> kind_names() {
  std::vector<std::string> names;
  for (const auto& [name, kind] : kinds()) names.push_back(name);
  return names;
}

const Kind& find_kind(const std::string& name) {
  const auto found = kinds().find(name);
  if (found != kinds().end()) return found->second;
  throw Error(ExitCode::usage, fmt::format("'{}' is no kind of configuration; accepted: {}{}", name,
                                           join(kind_names()), did_you_mean(name, kind_names())));
}

// configs/schemas/<kind>.json is this text.
std::string schema_text(const std::string& name) {
  nlohmann::json schema = find_kind(name).schema();
  schema["$schema"] = "http://json-schema.org/draft-07/schema#";
  schema["title"] = "mcufit " + name;
  if (schema.contains("properties"))
    schema["properties"]["$schema"] = {{"type", "string"}, {"description", "the schema, for editors"}};
  return schema.dump(2) + "\n";
}

class ConfigVerb : public Verb {
 public:
  std::string_view name() const override { return "config"; }
  std::string_view summary() const override {
    return "checks a configuration file, or prints the JSON Schema of a kind";
  }
  std::string_view usage() const override {
    return "config check KIND FILE | config schema [KIND]   (without KIND: lists the kinds)";
  }
  std::string_view example() const override {
    return "mcufit config check job configs/jobs/fashion-nrf52840.json";
  }
  std::size_t most_arguments() const override { return 3; }
  void add_options(po::options_description&) const override {}

  ExitCode run(const po::variables_map&, const std::vector<std::string>& arguments) const override {
    if (arguments == std::vector<std::string>{"schema"}) {
      for (const std::string& kind : kind_names()) std::cout << kind << "\n";
      return ExitCode::ok;
    }
    if (arguments.size() == 2 && arguments[0] == "schema") {
      std::cout << schema_text(arguments[1]);
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
