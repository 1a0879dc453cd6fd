// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/compiler_library.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <sstream>

namespace mcufit {
namespace {

void each_line(const std::string& text, const std::function<void(const std::string&)>& read) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) read(line);
}

std::int64_t number_after(std::string_view text, std::size_t position) {
  std::int64_t value = 0;
  std::from_chars(text.data() + position, text.data() + text.size(), value);
  return value;
}

// "{r4, r5, lr}" and "{r4-r7, lr}", which objdump writes out.
std::int64_t registers_in(std::string_view list) { return std::count(list.begin(), list.end(), ',') + 1; }

// Bytes by which an instruction of Thumb moves the stack down.
std::int64_t pushed_bytes(std::string_view instruction) {
  constexpr std::int64_t kWord = 4;
  if (instruction.find("\tpush\t") != std::string_view::npos)
    return kWord * registers_in(instruction.substr(instruction.find('{')));
  const std::size_t below = instruction.find("\tsub\tsp, #");
  return below == std::string_view::npos ? 0 : number_after(instruction, below + 9);
}

}  // namespace

CompilerLibrary::CompilerLibrary(const Toolchain& toolchain) {
  const std::string file = toolchain.compiler_library().string();
  read_symbols(toolchain.run_tool("nm", {"-A", file}));
  read_sizes(toolchain.run_tool("size", {"-A", file}));
  read_stack(toolchain.run_tool("objdump", {"-d", file}));
}

// "folder/libgcc.a:_divsi3.o:00000000 T __aeabi_idiv"
void CompilerLibrary::read_symbols(const std::string& listing) {
  each_line(listing, [&](const std::string& line) {
    const std::size_t start = line.find(".a:"), end = line.find(':', start + 3);
    if (start == std::string::npos || end == std::string::npos) return;
    const std::string member = line.substr(start + 3, end - start - 3);
    const std::size_t name = line.rfind(' ');
    const std::string symbol = line.substr(name + 1);
    const char kind = line[name - 1];
    if (kind == 'U') {
      members_[member].undefined.push_back(symbol);
    } else if (std::string_view("TWRD").find(kind) != std::string_view::npos) {
      owners_.emplace(symbol, member);
    }
  });
}

// "_divsi3.o   (ex folder/libgcc.a):" and below it ".text   468   0"
void CompilerLibrary::read_sizes(const std::string& listing) {
  std::string member;
  each_line(listing, [&](const std::string& line) {
    std::istringstream words(line);
    std::string first;
    std::int64_t bytes = 0;
    words >> first;
    if (line.find("(ex ") != std::string::npos) {
      member = first;
    } else if ((first.starts_with(".text") || first.starts_with(".rodata")) && words >> bytes) {
      members_[member].bytes += bytes;
    }
  });
}

// "_divsi3.o:     file format elf32-littlearm" and below it "   0:	b5f0      	push	{r4, lr}"
void CompilerLibrary::read_stack(const std::string& disassembly) {
  std::string member;
  each_line(disassembly, [&](const std::string& line) {
    const std::size_t title = line.find(":     file format");
    if (title != std::string::npos) {
      member = line.substr(0, title);
    } else {
      members_[member].stack_bytes += pushed_bytes(line);
    }
  });
}

std::set<std::string, std::less<>> CompilerLibrary::members_for(
    const std::vector<std::string>& symbols) const {
  std::set<std::string, std::less<>> needed;
  std::vector<std::string> open = symbols;
  while (!open.empty()) {
    const auto owner = owners_.find(open.back());
    open.pop_back();
    if (owner == owners_.end() || !needed.insert(owner->second).second) continue;
    const auto& undefined = members_.find(owner->second)->second.undefined;
    open.insert(open.end(), undefined.begin(), undefined.end());
  }
  return needed;
}

std::int64_t CompilerLibrary::bytes(std::string_view member) const {
  const auto found = members_.find(member);
  return found == members_.end() ? 0 : found->second.bytes;
}

std::int64_t CompilerLibrary::stack_bound(std::string_view symbol) const {
  std::int64_t sum = 0;
  for (const std::string& member : members_for({std::string(symbol)}))
    sum += members_.find(member)->second.stack_bytes;
  return sum;
}

}  // namespace mcufit
