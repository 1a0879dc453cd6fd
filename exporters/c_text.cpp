// SPDX-License-Identifier: Apache-2.0
#include "exporters/c_text.h"

#include <fmt/format.h>

#include <cctype>

namespace mcufit {

std::string upper(std::string_view name) {
  std::string text(name);
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string isa_macro(Isa isa) { return "MCUFIT_ISA_" + upper(to_string(isa)); }

std::string guarded(std::string_view file_stem, const std::string& body) {
  const std::string guard = upper(file_stem) + "_H";
  return fmt::format("{}#ifndef {}\n#define {}\n\n{}\n#endif\n", kCLicense, guard, guard, body);
}

std::string extern_c(const std::string& declarations) {
  return "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n" + declarations +
         "\n#ifdef __cplusplus\n}\n#endif\n";
}

}  // namespace mcufit
