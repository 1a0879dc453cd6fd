// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "blocks/foundation/error.h"

namespace mcufit {

// One fault of a configuration file.
struct Problem {
  std::string pointer;    // JSON pointer: "/limits/flash_bytes"
  std::int64_t line = 0;  // 1-based; 0 where unknown
  std::int64_t column = 0;
  std::string message;  // "found -1; accepted: an integer in [1, 2147483648]"
};

// All faults of one file; what() lists them, one a line: "file:line:column: /pointer: message".
class ConfigError : public Error {
 public:
  ConfigError(std::string file, std::vector<Problem> problems);
  const std::string& file() const { return file_; }
  const std::vector<Problem>& problems() const { return problems_; }

 private:
  std::string file_;
  std::vector<Problem> problems_;
};

inline constexpr std::int64_t kMostConfigBytes = 4 << 20;
inline constexpr int kMostConfigDepth = 64;

// A parsed file that remembers where each value stands. Comments, duplicate keys, NaN, nesting deeper than
// kMostConfigDepth and files over kMostConfigBytes (unread) are refused with ConfigError.
class JsonDocument {
 public:
  static JsonDocument parse(std::string text, std::string name);
  static JsonDocument read(const std::filesystem::path& path);

  const nlohmann::json& value() const { return value_; }
  const std::string& name() const { return name_; }
  const std::string& text() const { return text_; }
  Problem at(std::string pointer, std::string message) const;  // with line and column filled in

 private:
  struct Mark {
    std::int64_t line, column;
  };
  friend class JsonBuilder;  // of json_document.cpp
  nlohmann::json value_;
  std::string name_, text_;
  std::map<std::string, Mark, std::less<>> marks_;
};

// A key as a part of a JSON pointer: '~' and '/' escaped (RFC 6901).
std::string escape_pointer(std::string_view key);

}  // namespace mcufit
