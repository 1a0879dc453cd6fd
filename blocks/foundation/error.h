// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace mcufit {

// What the process returns; stable, documented in docs/exit-codes.md and tested.
enum class ExitCode : int {
  ok = 0,
  internal = 1,
  usage = 2,
  config = 3,
  input = 4,
  io = 5,
  constraint_not_met = 10,
  validation_mismatch = 11,
  device_not_found = 12,
  device_protocol = 13,
  store_busy = 20,
  budget_spent = 30,
  interrupted = 130,
  terminated = 143,
};

// A broken promise: something from outside (a file, a flag, a tool) is not what it has to be.
// The message reads "where: what was found; what is accepted; what to try".
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

}  // namespace mcufit
