// SPDX-License-Identifier: Apache-2.0
#include "blocks/family.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/text.h"

namespace mcufit {
namespace {

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const Family* f : families()) names.emplace_back(f->name());
  return names;
}

}  // namespace

const Family& family(std::string_view name) {
  for (const Family* f : families()) {
    if (f->name() == name) return *f;
  }
  throw Error(ExitCode::config, fmt::format("family '{}': there is none of this name; accepted: {}{}", name,
                                            join(family_names()), did_you_mean(name, family_names())));
}

std::string_view to_string(Trend trend) {
  switch (trend) {
    case Trend::enumerated:
      return "enumerated";
    case Trend::rising:
      return "rising";
    case Trend::falling:
      return "falling";
  }
  return "";
}

std::vector<double> stepped(std::int32_t first, std::int32_t last, std::int32_t step) {
  std::vector<double> values;
  for (std::int32_t v = first; v <= last; v += step) values.push_back(v / 1000.0);
  return values;
}

Hyperparameters default_hyperparameters(const Family& family) {
  Hyperparameters h;
  const auto parameters = family.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) h[i] = parameters[i].default_value;
  return h;
}

std::string to_string(const Architecture& architecture) {
  std::string text;
  const auto parameters = architecture.family->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const double value = architecture.hyperparameters[i];
    // A knob that the lattice holds at its default says nothing.
    if (parameters[i].lattice.size() < 2 && value == parameters[i].default_value) continue;
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", parameters[i].name, value);
  }
  return fmt::format("{}({})", architecture.family->name(), text);
}

std::ostream& operator<<(std::ostream& out, const Architecture& architecture) {
  return out << to_string(architecture);
}

nlohmann::json to_json(const Architecture& architecture) {
  nlohmann::json hyperparameters = nlohmann::json::object();
  const auto parameters = architecture.family->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const double value = architecture.hyperparameters[i];
    auto& entry = hyperparameters[std::string(parameters[i].name)];
    if (parameters[i].integer) {
      entry = static_cast<std::int64_t>(value);
    } else {
      entry = value;
    }
  }
  const Shape& in = architecture.task.input;
  return {{"family", architecture.family->name()},
          {"input", {in.height, in.width, in.channels}},
          {"classes", architecture.task.classes},
          {"hyperparameters", std::move(hyperparameters)}};
}

Architecture read_architecture(ObjectReader& reader) {
  constexpr std::int64_t kMostExtent = 32767;
  Architecture a;
  a.family = &family(reader.choice("family", family_names(), "block family"));
  const auto input = reader.integers("input", {1, kMostExtent}, 3, 3, "height, width, channels of a sample");
  a.task.input = {static_cast<std::int32_t>(input[0]), static_cast<std::int32_t>(input[1]),
                  static_cast<std::int32_t>(input[2])};
  a.task.classes =
      static_cast<std::int32_t>(reader.integer("classes", {2, kMostExtent}, "outputs of the classifier"));
  a.hyperparameters = default_hyperparameters(*a.family);
  reader.object(
      "hyperparameters", "the family's knobs; absent ones have their defaults", [&](ObjectReader& knobs) {
        const auto parameters = a.family->parameters();
        for (std::size_t i = 0; i < parameters.size(); ++i) {
          const Parameter& p = parameters[i];
          a.hyperparameters[i] =
              p.integer
                  ? static_cast<double>(knobs.integer(
                        p.name, {static_cast<std::int64_t>(p.minimum), static_cast<std::int64_t>(p.maximum)},
                        p.meaning, static_cast<std::int64_t>(p.default_value)))
                  : knobs.number(p.name, {p.minimum, p.maximum}, p.meaning, p.default_value);
        }
      });
  return a;
}

}  // namespace mcufit
