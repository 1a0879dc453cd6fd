// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "cost-models/cores.h"

namespace mcufit {

// The first line of every C file that is written.
inline constexpr std::string_view kCLicense = "/* SPDX-License-Identifier: Apache-2.0 */\n";

std::string upper(std::string_view name);

// What mcufit_isa.h defines where the compiler makes code for an instruction set: "MCUFIT_ISA_DSP".
std::string isa_macro(Isa isa);

// A header with its guard, licence first.
std::string guarded(std::string_view file_stem, const std::string& body);

// Declarations that C++ may see too.
std::string extern_c(const std::string& declarations);

}  // namespace mcufit
