// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/toolchain.h"

#include <fmt/format.h>

#include <utility>

#include "blocks/foundation/error.h"
#include "blocks/foundation/subprocess.h"

namespace mcufit {
namespace {

constexpr std::string_view kCompiler = "arm-none-eabi-gcc";
constexpr std::string_view kCompilerPackage = "gcc-arm-none-eabi";

std::vector<std::string> flags_for(const Target& target) {
  std::vector<std::string> flags{"-mcpu=" + target.core, "-mthumb"};
  if (target.fpu) {
    const bool has_v5 = target.core == "cortex-m7" || target.core == "cortex-m33";
    flags.emplace_back("-mfloat-abi=hard");
    flags.emplace_back(target.core == "cortex-m4" ? "-mfpu=fpv4-sp-d16"
                       : has_v5                   ? "-mfpu=fpv5-sp-d16"
                                                  : "-mfpu=auto");
  } else {
    flags.emplace_back("-mfloat-abi=soft");
  }
  for (const char* flag : {"-std=c99", "-O2", "-ffunction-sections", "-fdata-sections", "-fno-lto", "-Wall",
                           "-Wextra", "-Wconversion", "-Wshadow", "-Werror"}) {
    flags.emplace_back(flag);
  }
  return flags;
}

bool does_not_fit(const std::string& message) {
  for (const char* sign : {"overflowed by", "will not fit in region", "mcufit:"}) {
    if (message.find(sign) != std::string::npos) return true;
  }
  return false;
}

Finished run_compiler(std::vector<std::string> arguments, const std::filesystem::path& folder) {
  Command command;
  command.program = kCompiler;
  command.arguments = std::move(arguments);
  command.folder = folder;
  return run(command);
}

}  // namespace

void require_program(std::string_view program, std::string_view debian_package) {
  if (find_program(program)) return;
  throw Error(ExitCode::device_not_found,
              fmt::format("{}: no such program in PATH; on Debian `apt-get install {}` brings it", program,
                          debian_package));
}

Toolchain::Toolchain(const Target& target, std::filesystem::path folder)
    : folder_(std::move(folder)), flags_(flags_for(target)) {
  require_program(kCompiler, kCompilerPackage);
  std::string version = run_compiler({"-dumpfullversion"}, {}).out;
  while (!version.empty() && version.back() == '\n') version.pop_back();
  compiler_ = fmt::format("{} {}", kCompiler, version);
}

void Toolchain::compile(const std::filesystem::path& source, const std::string& stem,
                        const std::vector<std::string>& more_flags) const {
  std::vector<std::string> arguments = flags_;
  arguments.insert(arguments.end(), more_flags.begin(), more_flags.end());
  for (const std::string& argument : {std::string("-fcallgraph-info=su"), std::string("-c"), source.string(),
                                      std::string("-o"), stem + ".o"}) {
    arguments.push_back(argument);
  }
  const Finished finished = run_compiler(std::move(arguments), folder_);
  if (finished.exit_code == 0) return;
  throw Error(ExitCode::internal,
              fmt::format("{}: {} refused it:\n{}", source.string(), compiler_, finished.err));
}

void Toolchain::link(const std::vector<std::string>& objects, const std::string& script,
                     const std::string& stem) const {
  std::vector<std::string> arguments = flags_;
  for (const std::string& argument :
       {std::string("-nostdlib"), std::string("-Wl,--gc-sections"), "-Wl,-Map=" + stem + ".map",
        "-Wl,-T," + script, std::string("-o"), stem + ".elf"}) {
    arguments.push_back(argument);
  }
  arguments.insert(arguments.end(), objects.begin(), objects.end());
  const Finished finished = run_compiler(std::move(arguments), folder_);
  if (finished.exit_code == 0) return;
  if (does_not_fit(finished.err)) {
    throw Error(
        ExitCode::constraint_not_met,
        fmt::format(
            "{}: the model does not fit the target's memories; the linker said:\n{}try a smaller network or "
            "a larger target",
            (folder_ / script).string(), finished.err));
  }
  throw Error(ExitCode::internal,
              fmt::format("{}: linking failed:\n{}", (folder_ / script).string(), finished.err));
}

}  // namespace mcufit
