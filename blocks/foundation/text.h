// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mcufit {

// "; did you mean 'alpha'?" for the known name that `name` abbreviates, or else the nearest (at most a third
// of its letters differ); "" where there is none.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& known);

// "a, b, c".
std::string join(const std::vector<std::string>& parts, std::string_view separator = ", ");

// 1234567 as "1,234,567".
std::string with_separators(std::int64_t number);

// Rows as columns: the first row is the header, numbers (cells that start with a digit or sign) are
// right-aligned.
std::string aligned_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace mcufit
