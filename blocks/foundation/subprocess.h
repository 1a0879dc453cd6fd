// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mcufit {

// A program to run: an argument vector, never a shell's line. Standard input is empty.
struct Command {
  std::string program;  // a path, or a name looked up in PATH
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;  // added to ours
  std::filesystem::path folder;                                  // working directory; empty: ours
  std::chrono::seconds time_limit{600};
};

struct Finished {
  int exit_code = 0;  // 128 + signal where one ended it
  bool timed_out = false;
  std::string out;
  std::string err;
};

// The program's path in PATH, or nothing.
std::optional<std::filesystem::path> find_program(std::string_view name);

// Runs to the end, or to the time limit (then the child is killed). Throws Error(device_not_found) when it
// cannot be started. `on_line`, if given, gets each line of standard output as it comes. The child dies with
// us. When `cancelled` (polled every 100 ms) says so the child gets SIGTERM.
Finished run(const Command& command, const std::function<void(std::string_view)>& on_line = {},
             const std::function<bool()>& cancelled = {});

}  // namespace mcufit
