// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/executions.h"

#include <fmt/format.h>

#include <sstream>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/subprocess.h"
#include "exporters/device/devices.h"
#include "exporters/embedded_files.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "executions.txt";
// Labels and a function of the firmware: fw_arm.c, fw_report.c.
constexpr const char *kFrom = "isa_counted_from", *kTo = "isa_counted_to", *kRecord = "report_line";

[[noreturn]] void refuse(const fs::path& file, const std::string& what) {
  throw Error(ExitCode::device_protocol, fmt::format("{}: {}", file.string(), what));
}

ExecutionRecords parse(const fs::path& file) {
  ExecutionRecords records;
  std::map<std::int64_t, Executions> record;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) {
      records.push_back(std::move(record));
      record.clear();
      continue;
    }
    std::istringstream words(line);
    std::int64_t address = 0;
    Executions e;
    if (!(words >> std::hex >> address >> std::dec >> e.times >> e.left))
      refuse(file, "found '" + line + "'");
    record[address] = e;
  }
  return records;
}

}  // namespace

std::vector<std::string> count_executions(const Listing& listing, const fs::path& work) {
  require_program({"gcc", "gcc"});
  for (const EmbeddedFile& file : plugin_files()) write_file(work / file.name, file.content);
  Command command;
  command.program = "gcc";
  command.arguments = {"-std=c99", "-O2",   "-Wall", "-Wextra",       "-Wconversion", "-Werror",
                       "-shared",  "-fPIC", "-o",    "executions.so", "executions.c"};
  command.folder = work;
  const Finished finished = run(command);
  if (finished.exit_code != 0)
    throw Error(ExitCode::internal,
                fmt::format("{}: gcc refused it:\n{}", (work / "executions.c").string(), finished.err));
  fs::remove(work / kFile);
  return {"-plugin",
          fmt::format("./executions.so,out={},from={:x},to={:x},record={:x}", kFile,
                      listing.address_of(kFrom), listing.address_of(kTo), listing.address_of(kRecord))};
}

ExecutionRecords read_executions(const fs::path& work, const Listing& listing, const Findings& findings) {
  ExecutionRecords records = parse(work / kFile);
  if (records.size() != findings.size())
    refuse(work / kFile, fmt::format("found {} records; accepted: {}, one for each line of the report",
                                     records.size(), findings.size()));
  for (std::size_t i = 0; i < records.size(); ++i) {
    for (const char* label : {kFrom, kTo}) records[i].erase(listing.address_of(label));
    const auto& [key, counted] = findings[i];
    if (key == "firmware" || key == "miscounted") continue;  // no counts
    std::int64_t times = 0;
    for (const auto& [address, e] : records[i]) times += e.times;
    if (times != counted)
      refuse(work / kFile, fmt::format("found {} instructions of '{}'; the emulator's clock counted {}",
                                       times, key, counted));
  }
  return records;
}

}  // namespace mcufit
