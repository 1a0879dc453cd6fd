// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "exporters/device/toolchain.h"

namespace mcufit {

// The compiler's own library, libgcc.a: what cores without a divider or a wide multiplier call for them.
// Whole members of it are linked.
class CompilerLibrary {
 public:
  explicit CompilerLibrary(const Toolchain& toolchain);

  // The members that a program with these undefined symbols gets, with those that they need in turn. Symbols
  // that it does not define are passed over.
  std::set<std::string, std::less<>> members_for(const std::vector<std::string>& symbols) const;

  std::int64_t bytes(std::string_view member) const;  // code and read-only data

  // Stack below the caller of `symbol`: all that its member ever pushes and what it calls, which is not
  // smaller than what one call of it takes. 0 for a symbol that it does not define.
  std::int64_t stack_bound(std::string_view symbol) const;

  bool defines(std::string_view symbol) const { return owners_.contains(symbol); }

 private:
  struct Member {
    std::int64_t bytes = 0;
    std::int64_t stack_bytes = 0;
    std::vector<std::string> undefined;
  };
  void read_symbols(const std::string& listing);
  void read_sizes(const std::string& listing);
  void read_stack(const std::string& disassembly);

  std::map<std::string, Member, std::less<>> members_;
  std::map<std::string, std::string, std::less<>> owners_;  // member by symbol
};

}  // namespace mcufit
