// SPDX-License-Identifier: Apache-2.0
#include "cost-models/cycle_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <sstream>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/json_reader.h"

namespace mcufit {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostCycles = 1000;
constexpr std::array<std::string_view, 4> kAccessNames{"none", "load", "store", "several"};
constexpr std::array<std::string_view, 16> kConditions{"eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc",
                                                       "hi", "ls", "ge", "lt", "gt", "le", "hs", "lo"};

MemoryAccess access_of(const std::string& name) {
  return static_cast<MemoryAccess>(std::find(kAccessNames.begin(), kAccessNames.end(), name) -
                                   kAccessNames.begin());
}

InstructionCycles read_instruction(ObjectReader& r) {
  const IntegerRange range{0, kMostCycles};
  InstructionCycles c;
  c.cycles = r.integer("cycles", range, "of each execution");
  c.per_register = r.integer("per_register", range, "more for each register of its list", 0);
  c.register_offset = r.integer("register_offset", range, "more for an address of two registers", 0);
  c.taken =
      r.integer("taken", range, "more where the next instruction in memory is not the next executed", 0);
  c.results = r.integer("results", {0, 2}, "registers that it computes, its first operands", 0);
  c.access = access_of(
      r.choice("access", {kAccessNames.begin(), kAccessNames.end()}, "how it reaches memory", "none"));
  return c;
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

bool is_it(std::string_view name) {
  return name.starts_with("it") && name.find_first_not_of("te", 1) == std::string_view::npos;
}

// The registers that words of `text` name: "r0, [r1, r2, lsl #2]" has three.
std::vector<std::string> registers_in(std::string_view text) {
  std::vector<std::string> registers;
  std::string word;
  const auto take = [&] {
    const bool numbered =
        word.size() > 1 && word[0] == 'r' && std::isdigit(static_cast<unsigned char>(word[1]));
    if (numbered || word == "sp" || word == "lr" || word == "pc" || word == "ip" || word == "fp" ||
        word == "sl" || word == "sb")
      registers.push_back(word);
    word.clear();
  };
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '#') {
      word.push_back(c);
    } else {
      take();
    }
  }
  take();
  return registers;
}

// What stands between two signs, the signs left out; empty where they are not there.
std::string_view between(std::string_view text, char open, char close) {
  const std::size_t from = text.find(open), to = text.find(close);
  if (from == std::string_view::npos || to == std::string_view::npos) return {};
  return text.substr(from + 1, to - from - 1);
}

// Of LDM and STM the base stands in front; PUSH and POP have the stack's.
std::vector<std::string> address_registers(const Instruction& i) {
  if (const auto address = between(i.operands, '[', ']'); !address.empty()) return registers_in(address);
  const std::size_t list = i.operands.find('{');
  if (list == std::string::npos || list == 0) return {"sp"};
  return registers_in(std::string_view(i.operands).substr(0, list));
}

bool share(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::find_first_of(a.begin(), a.end(), b.begin(), b.end()) != a.end();
}

// The first `count` registers of the operands.
std::vector<std::string> first_registers(const Instruction& i, std::size_t count) {
  std::vector<std::string> registers = registers_in(i.operands);
  registers.resize(std::min(count, registers.size()));
  return registers;
}

bool single(MemoryAccess access) { return access == MemoryAccess::load || access == MemoryAccess::store; }

// What an instruction takes where nothing before it matters and it is not left.
std::int64_t own_cycles(const InstructionCycles& c, const Instruction& i) {
  std::int64_t cycles = c.cycles;
  if (c.per_register > 0) cycles += c.per_register * std::ssize(registers_in(between(i.operands, '{', '}')));
  if (c.register_offset > 0 && registers_in(between(i.operands, '[', ']')).size() > 1)
    cycles += c.register_offset;
  return cycles;
}

// What it takes more, or less, each time that `previous` ran just before it.
std::int64_t change_behind(const CycleTable& table, const Instruction& previous, const Instruction& i) {
  const InstructionCycles &before = table.of(previous.mnemonic), &c = table.of(i.mnemonic);
  if (c.access == MemoryAccess::none) return 0;
  const std::vector<std::string> address = address_registers(i);
  const auto results = static_cast<std::size_t>(before.results);
  if (results > 0 && share(first_registers(previous, results), address)) return table.address_stall;
  if (before.access != MemoryAccess::load || !single(c.access)) return 0;
  if (share(first_registers(previous, 1), address)) return 0;
  return -std::min(table.load_overlap, own_cycles(c, i) - 1);
}

}  // namespace

const InstructionCycles& CycleTable::of(std::string_view mnemonic) const {
  std::string_view name = mnemonic.substr(0, mnemonic.find('.'));
  if (is_it(name)) name = "it";
  const auto known = [&](std::string_view n) { return instructions.find(n); };
  if (const auto exact = known(name); exact != instructions.end()) return exact->second;
  const auto conditional = [&](std::string_view n) {
    return n.size() > 2 &&
           std::find(kConditions.begin(), kConditions.end(), n.substr(n.size() - 2)) != kConditions.end();
  };
  if (conditional(name)) {
    if (const auto found = known(name.substr(0, name.size() - 2)); found != instructions.end())
      return found->second;
  }
  if (name.ends_with('s')) {
    if (const auto found = known(name.substr(0, name.size() - 1)); found != instructions.end())
      return found->second;
  }
  throw Error(ExitCode::config,
              fmt::format("cycle table of {}: found the instruction '{}', which it lacks; accepted: those of "
                          "configs/cycle-tables/{}.json; try to add it there from {}",
                          core, mnemonic, core, source));
}

CycleTable read_cycle_table(ObjectReader& r) {
  CycleTable table;
  table.core = r.string("core", "core, as GCC's -mcpu spells it");
  table.source = r.string("source", "the document and its sections");
  table.rules = r.string("rules", "what is taken where the manual leaves a choice");
  table.load_overlap =
      r.integer("load_overlap", {0, kMostCycles},
                "that a load or store saves right behind a load which does not make its address");
  table.address_stall = r.integer("address_stall", {0, kMostCycles},
                                  "that a load or store waits right behind what computes its address");
  r.dictionary("instructions", "cycles by mnemonics, separated by spaces",
               [&](const std::string& names, ObjectReader& entry) {
                 const InstructionCycles cycles = read_instruction(entry);
                 for (const std::string& name : words_of(names)) {
                   if (!table.instructions.emplace(name, cycles).second)
                     r.problem("instructions", fmt::format("'{}' is there twice", name));
                 }
               });
  return table;
}

json to_json(const CycleTable& table) {
  json instructions = json::object();
  for (const auto& [name, c] : table.instructions)
    instructions[name] = {{"cycles", c.cycles},
                          {"per_register", c.per_register},
                          {"register_offset", c.register_offset},
                          {"taken", c.taken},
                          {"results", c.results},
                          {"access", kAccessNames.at(static_cast<std::size_t>(c.access))}};
  return {{"core", table.core},
          {"source", table.source},
          {"rules", table.rules},
          {"load_overlap", table.load_overlap},
          {"address_stall", table.address_stall},
          {"instructions", std::move(instructions)}};
}

std::optional<CycleTable> load_cycle_table(std::string_view core) {
  const auto file = config_folder() / "cycle-tables" / fmt::format("{}.json", core);
  if (!std::filesystem::exists(file)) return std::nullopt;
  return read_config<CycleTable>(JsonDocument::read(file), read_cycle_table);
}

std::int64_t modelled_cycles(const CycleTable& table, const std::vector<Instruction>& listing,
                             const std::map<std::int64_t, Executions>& executed) {
  std::int64_t cycles = 0;
  const Instruction* previous = nullptr;
  Executions before;
  std::size_t seen = 0;
  for (const Instruction& i : listing) {
    const auto found = executed.find(i.address);
    if (found == executed.end()) continue;
    ++seen;
    const Executions& e = found->second;
    const InstructionCycles& c = table.of(i.mnemonic);
    cycles += e.times * own_cycles(c, i) + e.left * c.taken;
    if (previous != nullptr && previous->address + previous->bytes == i.address)
      cycles += (before.times - before.left) * change_behind(table, *previous, i);
    previous = &i;
    before = e;
  }
  if (seen == executed.size()) return cycles;
  throw Error(
      ExitCode::device_protocol,
      fmt::format("modelled cycles of {}: {} of {} executed addresses are no instruction of the program's "
                  "listing",
                  table.core, executed.size() - seen, executed.size()));
}

}  // namespace mcufit
