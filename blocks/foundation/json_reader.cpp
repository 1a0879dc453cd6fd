// SPDX-License-Identifier: Apache-2.0
#include "blocks/foundation/json_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "blocks/foundation/text.h"

namespace mcufit {

using nlohmann::json;

namespace {

// What was found, short enough for a message.
std::string shown(const json& value) {
  constexpr std::size_t kMostShown = 60;
  if (value.is_object()) return "an object";
  if (value.is_array()) return fmt::format("an array of {}", value.size());
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > kMostShown) text = text.substr(0, kMostShown) + "...";
  return text;
}

std::string describe(IntegerRange r) {
  const bool low = r.minimum != std::numeric_limits<std::int64_t>::min();
  const bool high = r.maximum != std::numeric_limits<std::int64_t>::max();
  if (low && high) return fmt::format("an integer in [{}, {}]", r.minimum, r.maximum);
  if (low) return fmt::format("an integer of at least {}", r.minimum);
  if (high) return fmt::format("an integer of at most {}", r.maximum);
  return "an integer";
}

std::string describe(NumberRange r) {
  if (std::isfinite(r.minimum) && std::isfinite(r.maximum)) {
    return fmt::format("a number in [{}, {}]", r.minimum, r.maximum);
  }
  if (std::isfinite(r.minimum)) return fmt::format("a number of at least {}", r.minimum);
  return "a number";
}

json integer_schema(IntegerRange r, std::string_view meaning) {
  json s = {{"type", "integer"}, {"description", meaning}};
  if (r.minimum != std::numeric_limits<std::int64_t>::min()) s["minimum"] = r.minimum;
  if (r.maximum != std::numeric_limits<std::int64_t>::max()) s["maximum"] = r.maximum;
  return s;
}

json number_schema(NumberRange r, std::string_view meaning) {
  json s = {{"type", "number"}, {"description", meaning}};
  if (std::isfinite(r.minimum)) s["minimum"] = r.minimum;
  if (std::isfinite(r.maximum)) s["maximum"] = r.maximum;
  return s;
}

json with_default(json schema, json value) {
  schema["default"] = std::move(value);
  return schema;
}

json array_schema(json items, std::size_t least, std::size_t most, std::string_view meaning) {
  return {{"type", "array"},
          {"items", std::move(items)},
          {"minItems", least},
          {"maxItems", most},
          {"description", meaning}};
}

// An integer as any JSON writer may put it down, 5 or 5.0.
std::optional<std::int64_t> as_integer(const json& value) {
  if (value.is_number_unsigned()) {
    const auto n = value.get<std::uint64_t>();
    if (n > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    return static_cast<std::int64_t>(n);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double real = value.get<double>();
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (real != std::floor(real) || std::abs(real) > kExact) return std::nullopt;
  return static_cast<std::int64_t>(real);
}

}  // namespace

ObjectReader::ObjectReader(const JsonDocument& document, std::vector<Problem>& problems)
    : ObjectReader(&document, &document.value(), "", &problems) {}

ObjectReader::ObjectReader(const JsonDocument* document, const json* object, std::string pointer,
                           std::vector<Problem>* problems)
    : document_(document), object_(object), pointer_(std::move(pointer)), problems_(problems) {
  if (!object_->is_object()) {
    problems_->push_back(
        document_->at(pointer_, fmt::format("found {}; accepted: an object", shown(*object_))));
    static const json kEmpty = json::object();
    object_ = &kEmpty;
  }
}

ObjectReader ObjectReader::describing() {
  static const json kEmpty = json::object();
  JsonDocument no_document;
  std::vector<Problem> none;
  ObjectReader reader(&no_document, &kEmpty, "", &none);
  reader.document_ = nullptr;
  reader.problems_ = nullptr;
  reader.schema_ = std::make_shared<json>(json{{"type", "object"},
                                               {"additionalProperties", false},
                                               {"properties", json::object()},
                                               {"required", json::array()}});
  return reader;
}

bool ObjectReader::has(std::string_view key) const { return object_->contains(key); }

// Notes that `key` was asked for; the value where there is one.
const json* ObjectReader::find(std::string_view key, bool required, json description) {
  asked_.emplace_back(key);
  if (describes()) {
    (*schema_)["properties"][std::string(key)] = std::move(description);
    if (required) (*schema_)["required"].push_back(key);
    return nullptr;
  }
  const auto found = object_->find(key);
  if (found != object_->end()) return &*found;
  if (required) {
    problems_->push_back(document_->at(pointer_, fmt::format("the key '{}' is missing; it is: {}", key,
                                                             description.value("description", ""))));
  }
  return nullptr;
}

void ObjectReader::problem(std::string_view key, std::string message) {
  if (describes()) return;
  problems_->push_back(document_->at(pointer_ + "/" + escape_pointer(key), std::move(message)));
}

bool ObjectReader::in_range(const std::string& key, const json& value, IntegerRange range) {
  const auto n = as_integer(value);
  if (n && *n >= range.minimum && *n <= range.maximum) return true;
  problems_->push_back(document_->at(pointer_ + "/" + key,
                                     fmt::format("found {}; accepted: {}", shown(value), describe(range))));
  return false;
}

bool ObjectReader::in_range(const std::string& key, const json& value, NumberRange range) {
  if (value.is_number() && value.get<double>() >= range.minimum && value.get<double>() <= range.maximum)
    return true;
  problems_->push_back(document_->at(pointer_ + "/" + key,
                                     fmt::format("found {}; accepted: {}", shown(value), describe(range))));
  return false;
}

bool ObjectReader::is_choice(const std::string& pointer_tail, const json& value,
                             const std::vector<std::string>& accepted) {
  const bool is_text = value.is_string();
  if (is_text && std::find(accepted.begin(), accepted.end(), value.get<std::string>()) != accepted.end())
    return true;
  const std::string hint = is_text ? did_you_mean(value.get<std::string>(), accepted) : "";
  problems_->push_back(
      document_->at(pointer_ + "/" + pointer_tail,
                    fmt::format("found {}; accepted: {}{}", shown(value), join(accepted), hint)));
  return false;
}

std::int64_t ObjectReader::integer(std::string_view key, IntegerRange range, std::string_view meaning) {
  const json* value = find(key, true, integer_schema(range, meaning));
  const std::int64_t otherwise = std::clamp<std::int64_t>(0, range.minimum, range.maximum);
  return value != nullptr && in_range(escape_pointer(key), *value, range) ? *as_integer(*value) : otherwise;
}

std::int64_t ObjectReader::integer(std::string_view key, IntegerRange range, std::string_view meaning,
                                   std::int64_t otherwise) {
  const json* value = find(key, false, with_default(integer_schema(range, meaning), otherwise));
  return value != nullptr && in_range(escape_pointer(key), *value, range) ? *as_integer(*value) : otherwise;
}

std::optional<std::int64_t> ObjectReader::optional_integer(std::string_view key, IntegerRange range,
                                                           std::string_view meaning) {
  const json* value = find(key, false, integer_schema(range, meaning));
  if (value == nullptr || !in_range(escape_pointer(key), *value, range)) return std::nullopt;
  return as_integer(*value);
}

double ObjectReader::number(std::string_view key, NumberRange range, std::string_view meaning) {
  const json* value = find(key, true, number_schema(range, meaning));
  return value != nullptr && in_range(escape_pointer(key), *value, range)
             ? value->get<double>()
             : std::clamp(0.0, range.minimum, range.maximum);
}

double ObjectReader::number(std::string_view key, NumberRange range, std::string_view meaning,
                            double otherwise) {
  const json* value = find(key, false, with_default(number_schema(range, meaning), otherwise));
  return value != nullptr && in_range(escape_pointer(key), *value, range) ? value->get<double>() : otherwise;
}

std::optional<double> ObjectReader::optional_number(std::string_view key, NumberRange range,
                                                    std::string_view meaning) {
  const json* value = find(key, false, number_schema(range, meaning));
  if (value == nullptr || !in_range(escape_pointer(key), *value, range)) return std::nullopt;
  return value->get<double>();
}

bool ObjectReader::boolean(std::string_view key, std::string_view meaning) {
  const json* value = find(key, true, {{"type", "boolean"}, {"description", meaning}});
  if (value == nullptr) return false;
  if (!value->is_boolean()) problem(key, fmt::format("found {}; accepted: true or false", shown(*value)));
  return value->is_boolean() && value->get<bool>();
}

bool ObjectReader::boolean(std::string_view key, std::string_view meaning, bool otherwise) {
  const json* value =
      find(key, false, {{"type", "boolean"}, {"description", meaning}, {"default", otherwise}});
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) problem(key, fmt::format("found {}; accepted: true or false", shown(*value)));
  return value->is_boolean() ? value->get<bool>() : otherwise;
}

std::string ObjectReader::string(std::string_view key, std::string_view meaning) {
  const json* value = find(key, true, {{"type", "string"}, {"minLength", 1}, {"description", meaning}});
  if (value == nullptr) return "";
  if (value->is_string() && !value->get<std::string>().empty()) return value->get<std::string>();
  problem(key, fmt::format("found {}; accepted: a non-empty string", shown(*value)));
  return "";
}

std::string ObjectReader::string(std::string_view key, std::string_view meaning, std::string otherwise) {
  const json* value =
      find(key, false, {{"type", "string"}, {"description", meaning}, {"default", otherwise}});
  if (value == nullptr) return otherwise;
  if (value->is_string()) return value->get<std::string>();
  problem(key, fmt::format("found {}; accepted: a string", shown(*value)));
  return otherwise;
}

std::string ObjectReader::choice(std::string_view key, const std::vector<std::string>& accepted,
                                 std::string_view meaning) {
  const json* value = find(key, true, {{"enum", accepted}, {"description", meaning}});
  const bool good = value != nullptr && is_choice(escape_pointer(key), *value, accepted);
  return good ? value->get<std::string>() : accepted.front();
}

std::string ObjectReader::choice(std::string_view key, const std::vector<std::string>& accepted,
                                 std::string_view meaning, std::string otherwise) {
  const json* value =
      find(key, false, {{"enum", accepted}, {"description", meaning}, {"default", otherwise}});
  const bool good = value != nullptr && is_choice(escape_pointer(key), *value, accepted);
  return good ? value->get<std::string>() : otherwise;
}

namespace {

bool is_array_of(const json& value, std::size_t least, std::size_t most) {
  return value.is_array() && value.size() >= least && value.size() <= most;
}

std::string array_wanted(const json& value, std::size_t least, std::size_t most) {
  return least == most ? fmt::format("found {}; accepted: an array of {}", shown(value), least)
                       : fmt::format("found {}; accepted: an array of {} to {}", shown(value), least, most);
}

}  // namespace

std::vector<std::int64_t> ObjectReader::integers(std::string_view key, IntegerRange range, std::size_t least,
                                                 std::size_t most, std::string_view meaning) {
  const json* value = find(key, true, array_schema(integer_schema(range, ""), least, most, meaning));
  std::vector<std::int64_t> result(least, std::clamp<std::int64_t>(1, range.minimum, range.maximum));
  if (value == nullptr) return result;
  if (!is_array_of(*value, least, most)) {
    problem(key, array_wanted(*value, least, most));
    return result;
  }
  result.assign(value->size(), std::clamp<std::int64_t>(1, range.minimum, range.maximum));
  for (std::size_t i = 0; i < value->size(); ++i) {
    if (in_range(fmt::format("{}/{}", escape_pointer(key), i), (*value)[i], range))
      result[i] = *as_integer((*value)[i]);
  }
  return result;
}

std::vector<double> ObjectReader::numbers(std::string_view key, NumberRange range, std::size_t least,
                                          std::size_t most, std::string_view meaning) {
  const json* value = find(key, true, array_schema(number_schema(range, ""), least, most, meaning));
  std::vector<double> result;
  if (value == nullptr) return result;
  if (!is_array_of(*value, least, most)) {
    problem(key, array_wanted(*value, least, most));
    return result;
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    if (in_range(fmt::format("{}/{}", escape_pointer(key), i), (*value)[i], range)) {
      result.push_back((*value)[i].get<double>());
    }
  }
  return result;
}

std::vector<std::string> ObjectReader::choices(std::string_view key, const std::vector<std::string>& accepted,
                                               std::string_view meaning) {
  return choices(key, {1, accepted.size(), true}, accepted, meaning);
}

std::vector<std::string> ObjectReader::optional_choices(std::string_view key,
                                                        const std::vector<std::string>& accepted,
                                                        std::string_view meaning) {
  return choices(key, {0, accepted.size(), false}, accepted, meaning);
}

std::vector<std::string> ObjectReader::choices(std::string_view key, ArraySize size,
                                               const std::vector<std::string>& accepted,
                                               std::string_view meaning) {
  json schema = array_schema({{"enum", accepted}}, size.least, size.most, meaning);
  schema["uniqueItems"] = true;
  const json* value = find(key, size.required, std::move(schema));
  std::vector<std::string> result;
  if (value == nullptr) return result;
  if (!is_array_of(*value, size.least, size.most)) {
    problem(key, array_wanted(*value, size.least, size.most));
    return result;
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    const std::string tail = fmt::format("{}/{}", escape_pointer(key), i);
    if (!is_choice(tail, (*value)[i], accepted)) continue;
    const auto name = (*value)[i].get<std::string>();
    if (std::find(result.begin(), result.end(), name) != result.end()) {
      problems_->push_back(
          document_->at(pointer_ + "/" + tail, fmt::format("found '{}' a second time", name)));
    } else {
      result.push_back(name);
    }
  }
  return result;
}

void ObjectReader::object(std::string_view key, std::string_view meaning,
                          const std::function<void(ObjectReader&)>& read) {
  if (describes()) {
    ObjectReader inner = describing();
    read(inner);
    json description = inner.schema();
    description["description"] = meaning;
    find(key, true, std::move(description));
    return;
  }
  const json* value = find(key, true, {{"description", meaning}});
  if (value == nullptr) return;
  ObjectReader inner(document_, value, pointer_ + "/" + escape_pointer(key), problems_);
  read(inner);
  inner.finish();
}

bool ObjectReader::optional_object(std::string_view key, std::string_view meaning,
                                   const std::function<void(ObjectReader&)>& read) {
  if (!describes() && !has(key)) {
    asked_.emplace_back(key);
    return false;
  }
  object(key, meaning, read);
  if (describes()) {
    json& required = (*schema_)["required"];
    required.erase(required.size() - 1);
  }
  return true;
}

bool ObjectReader::nullable_object(std::string_view key, std::string_view meaning,
                                   const std::function<void(ObjectReader&)>& read) {
  if (describes()) {
    optional_object(key, meaning, read);
    (*schema_)["properties"][std::string(key)]["type"] = {"object", "null"};
    return true;
  }
  if (has(key) && !object_->at(std::string(key)).is_null()) return optional_object(key, meaning, read);
  asked_.emplace_back(key);
  return false;
}

void ObjectReader::each_object(std::string_view key, ArraySize size, std::string_view meaning,
                               const std::function<void(ObjectReader&)>& read) {
  if (describes()) {
    ObjectReader inner = describing();
    read(inner);
    find(key, size.required, array_schema(inner.schema(), size.least, size.most, meaning));
    return;
  }
  const json* value = find(key, size.required, {{"description", meaning}});
  if (value == nullptr) return;
  if (!is_array_of(*value, size.least, size.most)) {
    problem(key, array_wanted(*value, size.least, size.most));
    return;
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    ObjectReader inner(document_, &(*value)[i], fmt::format("{}/{}/{}", pointer_, escape_pointer(key), i),
                       problems_);
    read(inner);
    inner.finish();
  }
}

void ObjectReader::dictionary(std::string_view key, std::string_view meaning,
                              const std::function<void(const std::string&, ObjectReader&)>& read) {
  if (describes()) {
    ObjectReader inner = describing();
    read("", inner);
    find(key, true, {{"type", "object"}, {"additionalProperties", inner.schema()}, {"description", meaning}});
    return;
  }
  const json* value = find(key, true, {{"description", meaning}});
  if (value == nullptr) return;
  if (!value->is_object()) {
    problem(key, fmt::format("found {}; accepted: an object", shown(*value)));
    return;
  }
  for (const auto& [name, entry] : value->items()) {
    ObjectReader inner(document_, &entry, pointer_ + "/" + escape_pointer(key) + "/" + escape_pointer(name),
                       problems_);
    read(name, inner);
    inner.finish();
  }
}

void ObjectReader::finish() {
  if (describes()) return;
  const std::set<std::string, std::less<>> asked(asked_.begin(), asked_.end());
  for (const auto& [key, value] : object_->items()) {
    if (asked.contains(key) || (pointer_.empty() && key == "$schema")) continue;
    problem(key, fmt::format("unknown key; accepted here: {}{}", join(asked_), did_you_mean(key, asked_)));
  }
}

json ObjectReader::schema() const { return *schema_; }

}  // namespace mcufit
