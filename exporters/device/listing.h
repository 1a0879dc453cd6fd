// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cost-models/cycle_table.h"

namespace mcufit {

// A program as `objdump -d` prints it. Literal pools are left out where their words are marked as such.
struct Listing {
  std::vector<Instruction> instructions;  // in order of addresses
  std::map<std::string, std::int64_t, std::less<>> symbols;

  // Throws Error(device_protocol) where there is none of this name.
  std::int64_t address_of(std::string_view symbol) const;
};

Listing read_listing(std::string_view objdump);

}  // namespace mcufit
