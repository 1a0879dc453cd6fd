// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "blocks/footprint.h"
#include "blocks/graph.h"

namespace mcufit {

// What a network is for: the sample's shape and the number of classes it tells apart.
struct Task {
  Shape input;
  std::int32_t classes = 2;
  bool operator==(const Task&) const = default;
};

// One knob of a family. `lattice` holds the values that inversion tries, ascending in cost.
struct Parameter {
  std::string_view name;
  std::string_view meaning;
  double minimum = 0;
  double maximum = 1;
  double default_value = 0;
  bool integer = false;
  std::vector<double> lattice;
};

// Values of a family's parameters, in the order of Family::parameters(). No heap: millions are priced per
// second.
struct Hyperparameters {
  static constexpr std::size_t kMost = 16;
  std::array<double, kMost> values{};

  double operator[](std::size_t i) const { return values[i]; }
  double& operator[](std::size_t i) { return values[i]; }
  bool operator==(const Hyperparameters&) const = default;
};

// A family of networks of one design, spanned by a few hyper-parameters.
class Family {
 public:
  virtual ~Family() = default;

  virtual std::string_view name() const = 0;
  virtual std::string_view description() const = 0;  // one line, with its source
  virtual std::span<const Parameter> parameters() const = 0;

  // Closed-form params, MACs and activation peak; no allocation.
  virtual Footprint footprint(const Hyperparameters& h, const Task& task) const = 0;

  // The network itself. Must satisfy count(build(h, t)) == footprint(h, t).
  // Throws Error(input) when the input is too small for the family's strides.
  virtual Graph build(const Hyperparameters& h, const Task& task) const = 0;
};

// All families of the build list, in its order.
std::span<const Family* const> families();

// Throws Error(config) with "did you mean" when there is none of that name.
const Family& family(std::string_view name);

Hyperparameters default_hyperparameters(const Family& family);

// A member of a family for a task: enough to build its graph anywhere.
struct Architecture {
  const Family* family = nullptr;
  Hyperparameters hyperparameters;
  Task task;

  Graph build() const { return family->build(hyperparameters, task); }
  Footprint footprint() const { return family->footprint(hyperparameters, task); }
  bool operator==(const Architecture&) const = default;
};

std::string to_string(const Architecture& architecture);  // "phinet(alpha=0.35, beta=1, ...)"
std::ostream& operator<<(std::ostream& out, const Architecture& architecture);

// {"family": "phinet", "input": [28, 28, 1], "classes": 10, "hyperparameters": {"alpha": 0.35, ...}}
nlohmann::json to_json(const Architecture& architecture);

class ObjectReader;
Architecture read_architecture(ObjectReader& reader);

}  // namespace mcufit
