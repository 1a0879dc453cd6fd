// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "exporters/device/devices.h"

namespace mcufit {

// A device's compiler, found in PATH, at work in one folder on relative names, so that what it writes does
// not depend on where that folder is.
class Toolchain {
 public:
  // Throws Error(device_not_found) where the compiler is missing.
  Toolchain(const Device& device, const Target& target, std::filesystem::path folder);

  const Device& device() const { return device_; }
  const std::filesystem::path& folder() const { return folder_; }
  const std::string& compiler() const { return compiler_; }  // "arm-none-eabi-gcc 12.2.1"

  // What packages are compiled with: "-mcpu=cortex-m4 -mthumb ... -O2 ...".
  const std::vector<std::string>& flags() const { return flags_; }

  // Compiles `source` to <stem>.o, where the device has call graphs with its own in <stem>.ci. Throws
  // Error(internal) with the compiler's words: it is our own code that does not compile.
  void compile(const std::filesystem::path& source, const std::string& stem,
               const std::vector<std::string>& more_flags = {}) const;

  // Links objects to <stem>.elf and <stem>.map, under `script` unless it is empty. Throws
  // Error(constraint_not_met) when they do not fit the script's memories.
  void link(const std::vector<std::string>& objects, const std::string& script,
            const std::string& stem) const;

  // What one of its tools prints: run_tool("size", {"-A", "x.o"}). Throws Error(internal) when it fails.
  std::string run_tool(std::string_view tool, std::vector<std::string> arguments) const;

  // libgcc.a.
  std::filesystem::path compiler_library() const;

 private:
  const Device& device_;
  std::filesystem::path folder_;
  std::string compiler_;
  std::vector<std::string> flags_;
};

}  // namespace mcufit
