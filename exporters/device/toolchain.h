// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "cost-models/target.h"

namespace mcufit {

// Throws Error(device_not_found) naming the program and the Debian package that brings it.
void require_program(std::string_view program, std::string_view debian_package);

// The ARM embedded compiler, found in PATH, at work in one folder on relative names, so that what it writes
// does not depend on where that folder is.
class Toolchain {
 public:
  // Throws Error(device_not_found) where the compiler is missing.
  Toolchain(const Target& target, std::filesystem::path folder);

  const std::filesystem::path& folder() const { return folder_; }
  const std::string& compiler() const { return compiler_; }  // "arm-none-eabi-gcc 12.2.1"

  // What packages are compiled with: "-mcpu=cortex-m4 -mthumb ... -O2 ...".
  const std::vector<std::string>& flags() const { return flags_; }

  // Compiles `source` to <stem>.o, with its call graph in <stem>.ci. Throws Error(internal) with the
  // compiler's words: it is our own code that does not compile.
  void compile(const std::filesystem::path& source, const std::string& stem,
               const std::vector<std::string>& more_flags = {}) const;

  // Links objects under `script` to <stem>.elf and <stem>.map. Throws Error(constraint_not_met) when they do
  // not fit the script's memories.
  void link(const std::vector<std::string>& objects, const std::string& script,
            const std::string& stem) const;

 private:
  std::filesystem::path folder_;
  std::string compiler_;
  std::vector<std::string> flags_;
};

}  // namespace mcufit
