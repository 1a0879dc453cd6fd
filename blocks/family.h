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

// How a network's demands follow a knob while all other knobs and the input's shape stay.
// rising: params, MACs, activation peak, filter elements and channels never fall when the value rises, and no
// node of the smaller network is missing from the larger one (it may have more). falling: the same when the
// value falls. enumerated: nothing is promised.
enum class Trend { enumerated, rising, falling };
std::string_view to_string(Trend trend);

// One knob of a family. `lattice` holds the few values that a search's inversion lists, `fine` the many of a
// certified inversion (the lattice's among them; empty: no others), `choices` those from which a search space
// draws (empty: the lattice's). All ascend.
struct Parameter {
  std::string_view name;
  std::string_view meaning;
  double minimum = 0;
  double maximum = 1;
  double default_value = 0;
  bool integer = false;
  std::vector<double> lattice;
  Trend trend = Trend::enumerated;
  std::vector<double> fine = {};
  std::vector<double> choices = {};
  // Of a knob with a trend: its values differ in nodes, or in heights of kernels. Where it is false, members
  // that differ in such knobs alone have the same nodes, inputs, rows and heights of windows, and no tensor
  // has fewer channels where the trend says more.
  bool moves_rows = false;

  std::span<const double> fine_values() const { return fine.empty() ? lattice : fine; }
  std::span<const double> choice_values() const { return choices.empty() ? lattice : choices; }
};

// first, first + step, ..., last, all given in thousandths, so that .1 + .2 is .3.
std::vector<double> stepped(std::int32_t first, std::int32_t last, std::int32_t step);

// Values of a family's parameters, in the order of Family::parameters(). No heap: millions are priced per
// second.
struct Hyperparameters {
  static constexpr std::size_t kMost = 32;
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

  // Closed-form params, MACs, activation peak and filters; no allocation. What a parameter's trend promises,
  // and that the side of a square input is rising too, is proved in a comment of each family. (Inputs that
  // are not square promise nothing: a pooling that a width of 1 leaves out does not halve the height either.)
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
