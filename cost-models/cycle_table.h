// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mcufit {

class ObjectReader;

// How an instruction reaches memory: one access may overlap with the next one, several may not.
enum class MemoryAccess { none, load, store, several };

// What an instruction takes by its core's manual, in cycles.
struct InstructionCycles {
  std::int64_t cycles = 1;
  std::int64_t per_register = 0;     // more for each register of its list
  std::int64_t register_offset = 0;  // more where its address is a sum of two registers
  std::int64_t taken = 0;            // more where it goes elsewhere than to the next instruction
  std::int64_t results = 0;          // registers that it computes, its first operands
  MemoryAccess access = MemoryAccess::none;
};

// The timing table of a core's manual, memory without wait states: configs/cycle-tables/<core>.json.
struct CycleTable {
  std::string core;
  std::string source;  // the document and its sections
  std::string rules;   // what is taken where the manual leaves a choice
  // Cycles that a single load or store saves right behind a single load that does not make its address.
  std::int64_t load_overlap = 0;
  // Cycles that a load or store waits right behind an instruction that computes its address.
  std::int64_t address_stall = 0;
  std::map<std::string, InstructionCycles, std::less<>> instructions;  // by mnemonic, without suffixes

  // The entry of a mnemonic as a disassembler prints it: "addseq.w" is "add". Throws Error(config) naming the
  // mnemonic where the table has none.
  const InstructionCycles& of(std::string_view mnemonic) const;
};

CycleTable read_cycle_table(ObjectReader& reader);
nlohmann::json to_json(const CycleTable& table);

// Nothing where no manual's table was written down for the core.
std::optional<CycleTable> load_cycle_table(std::string_view core);

// One instruction of a program in memory.
struct Instruction {
  std::int64_t address = 0;
  std::int64_t bytes = 0;
  std::string mnemonic;  // "ldr.w"
  std::string operands;  // "r0, [r1, #4]"
};

// How often an instruction was executed, and how often the one executed next was not the next in memory.
struct Executions {
  std::int64_t times = 0;
  std::int64_t left = 0;
};

// Modelled cycles of what was executed, by address, of a listing in order of addresses. A predicated
// instruction costs the same whether its condition holds or not. Throws Error(config) for an instruction that
// the table lacks, Error(device_protocol) for an executed address that the listing lacks.
std::int64_t modelled_cycles(const CycleTable& table, const std::vector<Instruction>& listing,
                             const std::map<std::int64_t, Executions>& executed);

}  // namespace mcufit
