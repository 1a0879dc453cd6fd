// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cost-models/price.h"
#include "search/cli/search_run.h"

namespace mcufit {

// What a person reads at the end of a search: the Pareto table, the ledger against the linker map, where the
// files are.
std::string report_text(const SearchResult& result);

// The same and everything it rests on (versions, seeds, hashes); report.json.
nlohmann::json report_json(const SearchResult& result);

// Device, verdict, instructions and stack, in two lines.
std::string describe(const DeviceReport& report);

// The plan's kind, its arena beside its bound, and its picture().
std::string ram_over_time(const MemoryPlan& plan, const Graph& lowered);

// Predicted bytes, owner by owner; beside the linker's where a device report has them.
std::string ledger_table(const FlashLedger& flash, const RamLedger& ram, const DeviceReport* device);

}  // namespace mcufit
