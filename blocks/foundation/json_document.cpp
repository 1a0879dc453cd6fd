// SPDX-License-Identifier: Apache-2.0
#include "blocks/foundation/json_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "blocks/foundation/files.h"

namespace mcufit {

using nlohmann::json;

namespace {

std::string list_problems(const std::string& file, const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& p : problems) {
    if (!text.empty()) text += "\n";
    text += p.line > 0 ? fmt::format("{}:{}:{}: ", file, p.line, p.column) : fmt::format("{}: ", file);
    if (!p.pointer.empty()) text += p.pointer + ": ";
    text += p.message;
  }
  return text;
}

}  // namespace

std::string escape_pointer(std::string_view key) {
  std::string text;
  for (const char c : key) {
    if (c == '~') {
      text += "~0";
    } else if (c == '/') {
      text += "~1";
    } else {
      text += c;
    }
  }
  return text;
}

// Builds the value and notes, at each event, how far the parser has read: the end of the token that caused
// it.
class JsonBuilder : public nlohmann::json_sax<json> {
 public:
  // Counts what the parser takes.
  class Reader {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;
    Reader(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
    reference operator*() const { return *at_; }
    Reader& operator++() {
      *furthest_ = ++at_;
      return *this;
    }
    Reader operator++(int) {
      Reader old = *this;
      ++*this;
      return old;
    }
    bool operator==(const Reader& other) const { return at_ == other.at_; }
    bool operator!=(const Reader& other) const { return at_ != other.at_; }

   private:
    const char* at_;
    const char** furthest_;
  };

  explicit JsonBuilder(JsonDocument& document) : document_(document) {
    counted_ = furthest_ = document.text_.data();
  }

  static void parse(JsonDocument& document) {
    JsonBuilder builder(document);
    const char* begin = document.text_.data();
    const char* end = begin + document.text_.size();
    const Reader first(begin, &builder.furthest_);
    const Reader last(end, &builder.furthest_);
    json::sax_parse(first, last, &builder);
    if (!builder.problems_.empty()) throw ConfigError(document.name_, std::move(builder.problems_));
  }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(json::number_integer_t value) override { return put(value); }
  bool number_unsigned(json::number_unsigned_t value) override { return put(value); }
  bool number_float(json::number_float_t value, const std::string&) override {
    return std::isfinite(value) ? put(value)
                                : fail("found a number that is too large; accepted: a 64-bit real");
  }
  bool string(std::string& value) override { return put(value); }
  bool binary(json::binary_t&) override { return fail("found binary data"); }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& name) override {
    pointers_.back().key = name;
    mark(pointer());
    if (stack_.back()->contains(name)) return fail("found the key a second time; accepted: each key once");
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    std::string what =
        error.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    const auto colon = what.find(": ");
    if (colon != std::string::npos) what = what.substr(colon + 2);
    return fail("not JSON: " + what);
  }

 private:
  struct Level {
    std::string key;
    std::size_t index = 0;
    bool is_array = false;
    std::size_t pointer_length = 0;  // of prefix_ before this level
  };

  std::string pointer() const {
    if (pointers_.empty()) return "";
    const Level& top = pointers_.back();
    return prefix_ + "/" + (top.is_array ? std::to_string(top.index) : escape_pointer(top.key));
  }

  JsonDocument::Mark position() {
    for (; counted_ < furthest_; ++counted_) {
      ++column_;
      if (*counted_ == '\n') {
        ++line_;
        column_ = 0;
      }
    }
    return {line_, std::max<std::int64_t>(column_, 1)};
  }

  void mark(const std::string& at) { document_.marks_.emplace(at, position()); }

  bool fail(std::string message) {
    const auto [line, column] = position();
    problems_.push_back({pointer(), line, column, std::move(message)});
    return false;
  }

  json* place(json value) {
    if (stack_.empty()) {
      document_.value_ = std::move(value);
      return &document_.value_;
    }
    Level& level = pointers_.back();
    if (!level.is_array) return &((*stack_.back())[level.key] = std::move(value));
    mark(pointer());
    stack_.back()->push_back(std::move(value));
    return &stack_.back()->back();
  }

  void advance() {
    if (!pointers_.empty() && pointers_.back().is_array) ++pointers_.back().index;
  }

  bool put(json value) {
    place(std::move(value));
    advance();
    return true;
  }

  bool open(json empty) {
    if (stack_.size() >= static_cast<std::size_t>(kMostConfigDepth)) {
      return fail(fmt::format("found nesting deeper than {} levels", kMostConfigDepth));
    }
    const bool is_array = empty.is_array();
    const std::string here = pointer();
    stack_.push_back(place(std::move(empty)));
    pointers_.push_back({"", 0, is_array, prefix_.size()});
    prefix_ = here;
    return true;
  }

  bool close() {
    prefix_.resize(pointers_.back().pointer_length);
    stack_.pop_back();
    pointers_.pop_back();
    advance();
    return true;
  }

  JsonDocument& document_;
  std::vector<json*> stack_;
  std::vector<Level> pointers_;
  std::string prefix_;
  std::vector<Problem> problems_;
  const char* furthest_ = nullptr;
  const char* counted_ = nullptr;
  std::int64_t line_ = 1, column_ = 0;
};

ConfigError::ConfigError(std::string file, std::vector<Problem> problems)
    : Error(ExitCode::config, list_problems(file, problems)),
      file_(std::move(file)),
      problems_(std::move(problems)) {}

JsonDocument JsonDocument::parse(std::string text, std::string name) {
  JsonDocument document;
  document.name_ = std::move(name);
  if (static_cast<std::int64_t>(text.size()) > kMostConfigBytes) {
    throw ConfigError(
        document.name_,
        {{"", 0, 0, fmt::format("found {} bytes; accepted: at most {}", text.size(), kMostConfigBytes)}});
  }
  document.text_ = std::move(text);
  JsonBuilder::parse(document);
  return document;
}

JsonDocument JsonDocument::read(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > static_cast<std::uintmax_t>(kMostConfigBytes)) {
    throw ConfigError(
        path.string(),
        {{"", 0, 0, fmt::format("found {} bytes; accepted: at most {}", size, kMostConfigBytes)}});
  }
  return parse(read_file(path, kMostConfigBytes), path.string());
}

Problem JsonDocument::at(std::string pointer, std::string message) const {
  const auto mark = marks_.find(pointer);
  if (mark == marks_.end()) return {std::move(pointer), 0, 0, std::move(message)};
  return {std::move(pointer), mark->second.line, mark->second.column, std::move(message)};
}

}  // namespace mcufit
