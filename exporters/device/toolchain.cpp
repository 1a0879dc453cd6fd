// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/toolchain.h"

#include <fmt/format.h>

#include <utility>

#include "blocks/foundation/error.h"
#include "blocks/foundation/subprocess.h"

namespace mcufit {
namespace {

std::vector<std::string> flags_for(const Device& device, const Target& target) {
  std::vector<std::string> flags = device.flags;
  const std::vector<std::string>& abi = target.fpu ? device.fpu_flags : device.no_fpu_flags;
  flags.insert(flags.end(), abi.begin(), abi.end());
  flags.push_back(device.standard);
  for (const char* flag : {"-O2", "-ffunction-sections", "-fdata-sections", "-fno-lto", "-Wall", "-Wextra",
                           "-Wconversion", "-Wshadow", "-Werror"}) {
    flags.emplace_back(flag);
  }
  return flags;
}

bool does_not_fit(const std::string& message) {
  for (const char* sign : {"overflowed by", "will not fit in region", "is not within region", "mcufit:"}) {
    if (message.find(sign) != std::string::npos) return true;
  }
  return false;
}

Finished run_program(const std::string& program, std::vector<std::string> arguments,
                     const std::filesystem::path& folder) {
  Command command;
  command.program = program;
  command.arguments = std::move(arguments);
  command.folder = folder;
  return run(command);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

Toolchain::Toolchain(const Device& device, const Target& target, std::filesystem::path folder)
    : device_(device), folder_(std::move(folder)), flags_(flags_for(device, target)) {
  require_program(device.compiler);
  const std::string& program = device.compiler.name;
  const Finished full = run_program(program, {"-dumpfullversion"}, {});
  const Finished version = full.exit_code == 0 ? full : run_program(program, {"-dumpversion"}, {});
  compiler_ = fmt::format("{} {}", program, first_line(version.out));
}

void Toolchain::compile(const std::filesystem::path& source, const std::string& stem,
                        const std::vector<std::string>& more_flags) const {
  std::vector<std::string> arguments = flags_;
  arguments.insert(arguments.end(), more_flags.begin(), more_flags.end());
  if (device_.call_graph) arguments.emplace_back("-fcallgraph-info=su");
  arguments.insert(arguments.end(), {"-c", source.string(), "-o", stem + ".o"});
  const Finished finished = run_program(device_.compiler.name, std::move(arguments), folder_);
  if (finished.exit_code == 0) return;
  throw Error(ExitCode::internal,
              fmt::format("{}: {} refused it:\n{}", source.string(), compiler_, finished.err));
}

void Toolchain::link(const std::vector<std::string>& objects, const std::string& script,
                     const std::string& stem) const {
  std::vector<std::string> arguments = flags_;
  arguments.insert(arguments.end(), {"-Wl,--gc-sections", "-Wl,-Map=" + stem + ".map", "-o", stem + ".elf"});
  arguments.insert(arguments.end(), device_.link_flags.begin(), device_.link_flags.end());
  arguments.insert(arguments.end(), objects.begin(), objects.end());
  if (!script.empty()) arguments.insert(arguments.end(), {"-nostdlib", "-Wl,-T," + script, "-lgcc"});
  const Finished finished = run_program(device_.compiler.name, std::move(arguments), folder_);
  if (finished.exit_code == 0) return;
  if (does_not_fit(finished.err)) {
    throw Error(
        ExitCode::constraint_not_met,
        fmt::format(
            "{}: the model does not fit the target's memories; the linker said:\n{}try a smaller network or "
            "a larger target",
            (folder_ / stem).string(), finished.err));
  }
  throw Error(ExitCode::internal,
              fmt::format("{}: linking failed:\n{}", (folder_ / stem).string(), finished.err));
}

std::string Toolchain::run_tool(std::string_view tool, std::vector<std::string> arguments) const {
  const std::string program = fmt::format("{}{}", device_.tools, tool);
  const Finished finished = run_program(program, std::move(arguments), folder_);
  if (finished.exit_code == 0) return finished.out;
  throw Error(ExitCode::internal, fmt::format("{} failed: {}", program, finished.err));
}

std::filesystem::path Toolchain::compiler_library() const {
  std::vector<std::string> arguments = flags_;
  arguments.emplace_back("-print-libgcc-file-name");
  return first_line(run_program(device_.compiler.name, std::move(arguments), folder_).out);
}

}  // namespace mcufit
