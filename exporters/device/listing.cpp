// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <sstream>

#include "blocks/foundation/error.h"

namespace mcufit {
namespace {

constexpr int kHexadecimal = 16;

// The hexadecimal number that `text` starts with, and how much of it that is.
struct Number {
  std::int64_t value = 0;
  std::size_t length = 0;
};

std::optional<Number> number_of(std::string_view text) {
  Number n;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n.value, kHexadecimal);
  if (error != std::errc{}) return std::nullopt;
  n.length = static_cast<std::size_t>(end - text.data());
  return n;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

// The next field of a line, which tabulators part.
std::string_view take_field(std::string_view& line) {
  const std::size_t tab = line.find('\t');
  const std::string_view field = line.substr(0, tab);
  line.remove_prefix(tab == std::string_view::npos ? line.size() : tab + 1);
  return trimmed(field);
}

// "210001bc:<tab>f85d fb04 <tab>ldr.w<tab>pc, [sp], #4<tab>@ comment". Nothing for data.
std::optional<Instruction> instruction_of(std::string_view line) {
  const std::string_view place = take_field(line), code = take_field(line), mnemonic = take_field(line);
  const auto address = number_of(place);
  if (!address || !place.ends_with(':') || mnemonic.empty() || mnemonic.front() == '.') return std::nullopt;
  const auto digits =
      std::count_if(code.begin(), code.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
  return Instruction{address->value, digits / 2, std::string(mnemonic), std::string(take_field(line))};
}

}  // namespace

std::int64_t Listing::address_of(std::string_view symbol) const {
  if (const auto found = symbols.find(symbol); found != symbols.end()) return found->second;
  throw Error(
      ExitCode::device_protocol,
      fmt::format("firmware listing: no symbol '{}'; accepted: a program of exporters/device/firmware",
                  symbol));
}

Listing read_listing(std::string_view objdump) {
  Listing listing;
  std::istringstream lines{std::string(objdump)};
  for (std::string line; std::getline(lines, line);) {
    const auto address = number_of(line);
    // "210001d0 <counted_call>:"
    if (address && line.compare(address->length, 2, " <") == 0 && line.ends_with(">:")) {
      const std::size_t from = address->length + 2;
      listing.symbols.emplace(line.substr(from, line.size() - from - 2), address->value);
    } else if (auto instruction = instruction_of(line)) {
      listing.instructions.push_back(std::move(*instruction));
    }
  }
  return listing;
}

}  // namespace mcufit
