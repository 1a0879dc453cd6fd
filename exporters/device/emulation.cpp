// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/emulation.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <map>
#include <sstream>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/subprocess.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kTimeLimit{600};

// Of firmware/fw_semihosting.h.
std::string_view meaning_of_exit(int code) {
  switch (code) {
    case 2:
      return "a file could not be opened";
    case 3:
      return "inputs.bin ended early or outputs.bin could not be written";
    case 4:
      return "one inference took more than a billion instructions";
    case 5:
      return "the processor took a fault";
    default:
      return "the emulator failed";
  }
}

int digit(char c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; }

// "DATA name 0a1b...": a file's next bytes. Emulators decorate lines, so words are looked for. Returns the
// exit code that the firmware left in the file "exit", or -1.
int take_files(const std::string& text, const fs::path& work) {
  std::map<std::string, std::string> files;
  std::istringstream words(text);
  for (std::string word, name, bytes; words >> word;) {
    if (!word.ends_with("DATA") || !(words >> name >> bytes)) continue;
    std::string& file = files[fs::path(name).filename().string()];
    const auto is_digit = [&](std::size_t i) {
      return std::isxdigit(static_cast<unsigned char>(bytes[i])) != 0;
    };
    for (std::size_t i = 0; i + 1 < bytes.size() && is_digit(i) && is_digit(i + 1); i += 2)
      file.push_back(static_cast<char>(16 * digit(bytes[i]) + digit(bytes[i + 1])));
  }
  for (const auto& [name, content] : files) {
    if (!name.empty()) write_file(work / name, content);
  }
  const std::string& code = files["exit"];
  return code.empty() ? -1 : code.front();
}

[[noreturn]] void refuse(const fs::path& file, const std::string& message) {
  throw Error(ExitCode::device_protocol, fmt::format("{}: {}", file.string(), message));
}

}  // namespace

std::string device_text(const Device& device, const std::string& compiler) {
  if (device.emulator.name.empty()) return fmt::format("{} ({})", device.board, compiler);
  Command command;
  command.program = device.emulator.name;
  command.arguments = {"--version"};
  // "QEMU emulator version 7.2.22 (Debian ...)"
  std::istringstream words(run(command).out);
  std::string name, word, version;
  words >> name >> word >> word >> version;
  if (version.empty()) return fmt::format("{} ({})", device.board, device.emulator.name);
  return fmt::format("{} ({} {})", device.board, name, version);
}

void run_image(const Image& image, const Device& device, const fs::path& work,
               const std::vector<std::string>& more_arguments) {
  Command command;
  command.program = device.emulator.name;
  command.arguments = more_arguments;
  command.arguments.insert(command.arguments.end(), device.emulator_arguments.begin(),
                           device.emulator_arguments.end());
  command.arguments.push_back(image.elf);
  if (device.emulator.name.empty()) {
    command.program = (work / image.elf).string();
    command.arguments.clear();
  }
  command.folder = work;
  command.time_limit = kTimeLimit;
  const Finished finished = run(command);
  write_file(work / "emulator.log", finished.out + finished.err);
  const int exit_code =
      device.files_in_text ? take_files(finished.out + finished.err, work) : finished.exit_code;
  if (exit_code == 0 && !finished.timed_out) return;
  throw Error(ExitCode::device_protocol,
              fmt::format("{}: {} (exit code {}); see emulator.log beside it", (work / image.elf).string(),
                          finished.timed_out ? "no answer within the time limit" : meaning_of_exit(exit_code),
                          exit_code));
}

Findings read_findings(const fs::path& file) {
  Findings findings;
  std::istringstream lines(read_file(file, 1 << 20));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    std::int64_t value = 0;
    const char* const end = line.data() + line.size();
    const bool number = equals != std::string::npos &&
                        std::from_chars(line.data() + equals + 1, end, value).ptr == end && end[-1] != '=';
    if (!number) refuse(file, fmt::format("found '{}'; accepted: key=number", line));
    findings.emplace_back(line.substr(0, equals), value);
  }
  if (finding(findings, "firmware") != kFirmwareVersion) refuse(file, "is of another firmware");
  if (finding(findings, "miscounted") != 0) refuse(file, "the counter miscounts loops of known length");
  return findings;
}

std::int64_t finding(const Findings& findings, const std::string& key) {
  for (const auto& [name, value] : findings) {
    if (name == key) return value;
  }
  throw Error(ExitCode::device_protocol, fmt::format("the firmware's report: found no {}", key));
}

}  // namespace mcufit
