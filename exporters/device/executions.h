// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "exporters/device/emulation.h"
#include "exporters/device/listing.h"

namespace mcufit {

// Of each line that a firmware reports: how often each instruction ran in the calls that it counted for it.
using ExecutionRecords = std::vector<std::map<std::int64_t, Executions>>;

// Compiles the emulator's plugin (plugin/executions.c) with this machine's gcc into the work folder and
// returns the arguments that make QEMU write executions.txt there. Throws Error(device_not_found) without
// gcc.
std::vector<std::string> count_executions(const Listing& listing, const std::filesystem::path& work);

// What it wrote, without the instructions that count themselves. Throws Error(device_protocol) where that is
// not what `findings` say: a record for each of them, and with as many instructions as the emulator's clock
// counted.
ExecutionRecords read_executions(const std::filesystem::path& work, const Listing& listing,
                                 const Findings& findings);

}  // namespace mcufit
