// SPDX-License-Identifier: Apache-2.0
#include "cost-models/lattice.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "blocks/foundation/error.h"

namespace mcufit {
namespace {

constexpr std::int64_t kMostMembers = 1'000'000'000'000;

bool all_square(const std::vector<Shape>& inputs) {
  return std::all_of(inputs.begin(), inputs.end(), [&](const Shape& s) {
    return s.height == s.width && s.channels == inputs.front().channels;
  });
}

}  // namespace

std::int64_t Lattice::members() const {
  auto members = static_cast<std::int64_t>(inputs.size());
  for (const auto& v : values) {
    members *= static_cast<std::int64_t>(v.size());
    if (members > kMostMembers) return members;
  }
  return members;
}

Lattice fine_lattice(const Family& family, std::vector<Shape> inputs, std::int32_t classes) {
  const auto size = [](const Shape& s) { return std::tuple(s.pixels(), s.height, s.channels); };
  std::sort(inputs.begin(), inputs.end(), [&](const Shape& a, const Shape& b) { return size(a) < size(b); });
  if (inputs.empty() || std::adjacent_find(inputs.begin(), inputs.end()) != inputs.end())
    throw Error(ExitCode::input, fmt::format("inputs of {}: found {}; accepted: one or more, each once",
                                             family.name(), inputs.empty() ? "none" : "one of them twice"));
  Lattice lattice{&family, std::move(inputs), classes, {}};
  for (const Parameter& p : family.parameters())
    lattice.values.emplace_back(p.fine_values().begin(), p.fine_values().end());
  if (lattice.members() > kMostMembers)
    throw Error(ExitCode::input, fmt::format("lattice of {}: found more than {} members; try fewer inputs",
                                             family.name(), kMostMembers));
  return lattice;
}

std::int64_t Box::members() const {
  std::int64_t members = 1;
  for (std::size_t i = 0; i < kMostAxes; ++i) members *= high[i] - low[i] + 1;
  return members;
}

BoxedLattice::BoxedLattice(Lattice lattice, RowAxes row_axes) : lattice_(std::move(lattice)) {
  const auto parameters = lattice_.family->parameters();
  std::vector<std::size_t> enumerated;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::size_t count = lattice_.values[i].size();
    const bool apart = parameters[i].moves_rows && row_axes == RowAxes::enumerated;
    if (count > 1 && parameters[i].trend != Trend::enumerated && !apart) {
      add_axis(i, count, parameters[i].trend == Trend::falling);
    } else {
      enumerated.push_back(i);
    }
  }
  if (lattice_.inputs.size() > 1 && all_square(lattice_.inputs) && row_axes == RowAxes::kept) {
    add_axis(parameters.size(), lattice_.inputs.size(), false);
  } else {
    enumerated.push_back(parameters.size());
  }
  add_structures(enumerated);
}

void BoxedLattice::add_axis(std::size_t knob, std::size_t count, bool falling) {
  if (axes_.size() == kMostAxes || count > std::numeric_limits<std::uint16_t>::max())
    throw Error(ExitCode::internal, fmt::format("lattice of {}: more than {} axes, or one of {} values",
                                                lattice_.family->name(), kMostAxes, count));
  Axis axis{knob, {}};
  for (std::size_t i = 0; i < count; ++i)
    axis.values.push_back(static_cast<std::uint16_t>(falling ? count - 1 - i : i));
  axes_.push_back(std::move(axis));
}

// Every combination of the knobs that are not axes.
void BoxedLattice::add_structures(const std::vector<std::size_t>& enumerated) {
  const std::size_t inputs = lattice_.family->parameters().size();
  bases_.push_back({});
  for (const std::size_t knob : enumerated) {
    const std::size_t count = knob == inputs ? lattice_.inputs.size() : lattice_.values[knob].size();
    std::vector<Base> longer;
    for (const Base& base : bases_) {
      for (std::size_t i = 0; i < count; ++i) {
        longer.push_back(base);
        if (knob == inputs) {
          longer.back().input = static_cast<std::uint32_t>(i);
        } else {
          longer.back().hyperparameters[knob] = lattice_.values[knob][i];
        }
      }
    }
    bases_ = std::move(longer);
  }
}

Box BoxedLattice::whole(std::uint32_t structure) const {
  Box box{.structure = structure};
  for (std::size_t i = 0; i < axes_.size(); ++i)
    box.high[i] = static_cast<std::uint16_t>(axes_[i].values.size() - 1);
  return box;
}

Architecture BoxedLattice::at(std::uint32_t structure, const Positions& positions) const {
  const Base& base = bases_[structure];
  Architecture a{lattice_.family, base.hyperparameters, {lattice_.inputs[base.input], lattice_.classes}};
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    const std::uint16_t value = axes_[i].values[positions[i]];
    if (axes_[i].knob < lattice_.values.size()) {
      a.hyperparameters[axes_[i].knob] = lattice_.values[axes_[i].knob][value];
    } else {
      a.task.input = lattice_.inputs[value];
    }
  }
  return a;
}

std::pair<Box, Box> BoxedLattice::split(const Box& box) {
  std::size_t longest = 0;
  for (std::size_t i = 1; i < kMostAxes; ++i) {
    if (box.high[i] - box.low[i] > box.high[longest] - box.low[longest]) longest = i;
  }
  Box cheaper = box, dearer = box;
  const int middle = (box.low[longest] + box.high[longest]) / 2;
  cheaper.high[longest] = static_cast<std::uint16_t>(middle);
  dearer.low[longest] = static_cast<std::uint16_t>(middle + 1);
  return {cheaper, dearer};
}

}  // namespace mcufit
