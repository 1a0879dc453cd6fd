// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "blocks/foundation/error.h"
#include "blocks/foundation/json_document.h"

namespace mcufit {

struct IntegerRange {
  std::int64_t minimum = std::numeric_limits<std::int64_t>::min();
  std::int64_t maximum = std::numeric_limits<std::int64_t>::max();
};
struct NumberRange {
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
};

// Reads one object strictly. Every fault is collected, not thrown, so that a user sees all of them at once; a
// reader goes on with the default after one. finish() adds the keys that nobody asked for. Each key is asked
// for once, with its meaning: the same calls, made on a describing reader, write the JSON Schema (draft-07)
// of the object.
class ObjectReader {
 public:
  // The reader of a document's root. `problems` collects.
  ObjectReader(const JsonDocument& document, std::vector<Problem>& problems);
  // A reader that describes: every read gives its default and is noted in schema().
  static ObjectReader describing();

  bool describes() const { return document_ == nullptr; }
  bool has(std::string_view key) const;

  std::int64_t integer(std::string_view key, IntegerRange range, std::string_view meaning);
  std::int64_t integer(std::string_view key, IntegerRange range, std::string_view meaning,
                       std::int64_t otherwise);
  std::optional<std::int64_t> optional_integer(std::string_view key, IntegerRange range,
                                               std::string_view meaning);
  double number(std::string_view key, NumberRange range, std::string_view meaning);
  double number(std::string_view key, NumberRange range, std::string_view meaning, double otherwise);
  std::optional<double> optional_number(std::string_view key, NumberRange range, std::string_view meaning);
  bool boolean(std::string_view key, std::string_view meaning);
  bool boolean(std::string_view key, std::string_view meaning, bool otherwise);
  std::string string(std::string_view key, std::string_view meaning);
  std::string string(std::string_view key, std::string_view meaning, std::string otherwise);
  // One of `accepted`; a near miss gets "did you mean".
  std::string choice(std::string_view key, const std::vector<std::string>& accepted,
                     std::string_view meaning);
  std::string choice(std::string_view key, const std::vector<std::string>& accepted, std::string_view meaning,
                     std::string otherwise);
  std::vector<std::int64_t> integers(std::string_view key, IntegerRange range, std::size_t least,
                                     std::size_t most, std::string_view meaning);
  std::vector<double> numbers(std::string_view key, NumberRange range, std::size_t least, std::size_t most,
                              std::string_view meaning);
  std::vector<std::string> choices(std::string_view key, const std::vector<std::string>& accepted,
                                   std::string_view meaning);  // an array of one or more, no duplicates
  // The same, where the key may be absent and the array empty.
  std::vector<std::string> optional_choices(std::string_view key, const std::vector<std::string>& accepted,
                                            std::string_view meaning);

  // A nested object; `read` is called with its reader, finish() is called for it. An absent optional one is
  // not read, but described.
  void object(std::string_view key, std::string_view meaning, const std::function<void(ObjectReader&)>& read);
  bool optional_object(std::string_view key, std::string_view meaning,
                       const std::function<void(ObjectReader&)>& read);
  // The same, where null stands for absent.
  bool nullable_object(std::string_view key, std::string_view meaning,
                       const std::function<void(ObjectReader&)>& read);
  // An array of `least` to `most` objects, each read by `read`.
  template <typename T>
  std::vector<T> objects(std::string_view key, std::size_t least, std::size_t most, std::string_view meaning,
                         const std::function<T(ObjectReader&)>& read) {
    std::vector<T> result;
    each_object(key, {least, most, true}, meaning,
                [&](ObjectReader& entry) { result.push_back(read(entry)); });
    return result;
  }
  // The same, empty where the key is absent.
  template <typename T>
  std::vector<T> optional_objects(std::string_view key, std::size_t least, std::size_t most,
                                  std::string_view meaning, const std::function<T(ObjectReader&)>& read) {
    std::vector<T> result;
    each_object(key, {least, most, false}, meaning,
                [&](ObjectReader& entry) { result.push_back(read(entry)); });
    return result;
  }
  // An object whose keys are data (names); `read` is called for each entry, in the file's key order.
  void dictionary(std::string_view key, std::string_view meaning,
                  const std::function<void(const std::string& name, ObjectReader&)>& read);

  // A fault that only the caller can see: "flash_bytes is below reserved_flash_bytes".
  void problem(std::string_view key, std::string message);

  void finish();
  nlohmann::json schema() const;  // of a describing reader

 private:
  ObjectReader(const JsonDocument* document, const nlohmann::json* object, std::string pointer,
               std::vector<Problem>* problems);
  const nlohmann::json* find(std::string_view key, bool required, nlohmann::json description);
  bool in_range(const std::string& key, const nlohmann::json& value, IntegerRange range);
  bool in_range(const std::string& key, const nlohmann::json& value, NumberRange range);
  struct ArraySize {
    std::size_t least, most;
    bool required;
  };
  void each_object(std::string_view key, ArraySize size, std::string_view meaning,
                   const std::function<void(ObjectReader&)>& read);
  std::vector<std::string> choices(std::string_view key, ArraySize size,
                                   const std::vector<std::string>& accepted, std::string_view meaning);
  bool is_choice(const std::string& pointer_tail, const nlohmann::json& value,
                 const std::vector<std::string>& accepted);

  const JsonDocument* document_ = nullptr;
  const nlohmann::json* object_ = nullptr;
  std::string pointer_;
  std::vector<Problem>* problems_ = nullptr;
  std::vector<std::string> asked_;
  std::shared_ptr<nlohmann::json> schema_;
};

// Reads a whole file with `read`; throws ConfigError with every fault found.
template <typename T>
T read_config(const JsonDocument& document, const std::function<T(ObjectReader&)>& read) {
  std::vector<Problem> problems;
  ObjectReader reader(document, problems);
  T value = read(reader);
  reader.finish();
  if (!problems.empty()) throw ConfigError(document.name(), std::move(problems));
  return value;
}

// JSON Schema (draft-07) of what `read` accepts.
template <typename T>
nlohmann::json schema_of(const std::function<T(ObjectReader&)>& read) {
  ObjectReader reader = ObjectReader::describing();
  read(reader);
  return reader.schema();
}

}  // namespace mcufit
