// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "blocks/foundation/error.h"

namespace mcufit {

// One verb of the command line.
class Verb {
 public:
  virtual ~Verb() = default;
  virtual std::string_view name() const = 0;
  virtual std::string_view summary() const = 0;  // one line
  virtual std::string_view usage() const = 0;    // "search JOB.json [options]"
  virtual std::string_view example() const = 0;  // a command line that works from the top of a checkout
  virtual std::size_t most_arguments() const { return 0; }  // positional ones, the verb apart

  // Adds the verb's options to --help and --json, which every verb has.
  virtual void add_options(boost::program_options::options_description& options) const = 0;

  // `arguments` are the positional ones. Returns the exit code; throws Error.
  virtual ExitCode run(const boost::program_options::variables_map& options,
                       const std::vector<std::string>& arguments) const = 0;
};

std::span<const Verb* const> verbs();

}  // namespace mcufit
