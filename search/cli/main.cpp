// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <iostream>
#include <typeinfo>

#include "blocks/foundation/text.h"
#include "blocks/foundation/version.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;

void print_overview(std::ostream& out) {
  out << "mcufit: from a microcontroller's limits to a trained int8 network that fits them\n\n"
         "usage: mcufit VERB [options]\n\n";
  for (const Verb* v : verbs()) out << fmt::format("  {:<12} {}\n", v->name(), v->summary());
  out << "\n  --help       after a verb: its options and an example\n"
         "  --version    version, commit and compiler\n\n"
         "exit codes: 0 ok, 1 internal, 2 usage, 3 configuration, 4 input or model file, 5 input/output,\n"
         "  10 constraint not met, 11 validation mismatch, 12 device not found, 13 device protocol,\n"
         "  20 store busy or of another job, 130/143 interrupted (resumable)\n";
}

const Verb& verb(const std::string& name) {
  std::vector<std::string> names;
  for (const Verb* v : verbs()) {
    if (v->name() == name) return *v;
    names.emplace_back(v->name());
  }
  throw Error(ExitCode::usage,
              fmt::format("'{}' is no verb; accepted: {}{}", name, join(names), did_you_mean(name, names)));
}

void print_help(const Verb& v, const po::options_description& options) {
  std::cout << v.summary() << "\n\nusage: mcufit " << v.usage() << "\n\n"
            << options << "\nexample: " << v.example() << "\n";
}

// "; accepted: a number" where the fault is an option's value of another type; else nothing.
std::string accepted_value(const po::options_description& options, const po::error& error) {
  const auto* fault = dynamic_cast<const po::validation_error*>(&error);
  if (fault == nullptr) return "";
  const std::string name = fault->get_option_name();  // with its dashes
  const auto* option =
      options.find_nothrow(name.substr(std::min(name.find_first_not_of('-'), name.size())), false);
  if (option == nullptr) return "";
  const auto* typed = dynamic_cast<const po::typed_value_base*>(option->semantic().get());
  if (typed == nullptr) return "";
  if (typed->value_type() == typeid(double)) return "; accepted: a number";
  return typed->value_type() == typeid(std::string) ? "" : "; accepted: a whole number";
}

ExitCode run_verb(const Verb& v, const std::vector<std::string>& words) {
  po::options_description visible("options");
  visible.add_options()("help,h", "this text")("json", "one JSON document on standard output");
  v.add_options(visible);
  po::options_description all;
  all.add(visible).add_options()("argument", po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add("argument", -1);
  po::variables_map values;
  try {
    po::store(po::command_line_parser(words).options(all).positional(positional).run(), values);
    if (values.count("help") > 0) {
      print_help(v, visible);
      return ExitCode::ok;
    }
    po::notify(values);
  } catch (const po::error& error) {
    throw Error(ExitCode::usage, fmt::format("mcufit {}: {}{}; see `mcufit {} --help`", v.name(),
                                             error.what(), accepted_value(all, error), v.name()));
  }
  const auto arguments = values.count("argument") > 0 ? values["argument"].as<std::vector<std::string>>()
                                                      : std::vector<std::string>{};
  if (arguments.size() > v.most_arguments()) {
    throw Error(ExitCode::usage, fmt::format("mcufit {}: found the argument '{}'; usage: mcufit {}", v.name(),
                                             arguments[v.most_arguments()], v.usage()));
  }
  const ExitCode code = v.run(values, arguments);
  std::cout.flush();
  if (!std::cout) throw Error(ExitCode::io, "standard output: writing failed");
  return code;
}

ExitCode run_program(const std::vector<std::string>& words) {
  if (words.empty()) {
    print_overview(std::cerr);
    return ExitCode::usage;
  }
  if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    print_overview(std::cout);
    return ExitCode::ok;
  }
  if (words[0] == "--version") {
    std::cout << fmt::format("mcufit {} ({}, {})\n", version(), commit(), compiler());
    return ExitCode::ok;
  }
  return run_verb(verb(words[0]), {words.begin() + 1, words.end()});
}

}  // namespace
}  // namespace mcufit

int main(int argc, char** argv) {
  try {
    return static_cast<int>(mcufit::run_program({argv + 1, argv + argc}));
  } catch (const mcufit::Error& error) {
    std::cerr << "mcufit: " << error.what() << "\n";
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::cerr << "mcufit: internal error: " << error.what() << "\n";
    return static_cast<int>(mcufit::ExitCode::internal);
  }
}
