// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "blocks/family.h"

namespace mcufit {

// The members that an inversion considers: every combination of the knobs' values on every input.
struct Lattice {
  const Family* family = nullptr;
  std::vector<Shape> inputs;  // distinct
  std::int32_t classes = 2;
  std::vector<std::vector<double>> values;  // of each parameter of the family, ascending

  std::int64_t members() const;
};

// Every value of Parameter::fine_values(). Throws Error(input) when there is no input, one is named twice, or
// there would be more than 10^12 members.
Lattice fine_lattice(const Family& family, std::vector<Shape> inputs, std::int32_t classes);

// A box of members: all that share a structure (the values of the knobs whose demands follow no trend) and
// whose positions on the other knobs, the axes, lie in [low, high].
inline constexpr std::size_t kMostAxes = 6;
struct Box {
  std::uint32_t structure = 0;
  std::array<std::uint16_t, kMostAxes> low{}, high{};

  std::int64_t members() const;
  bool single() const { return low == high; }
  auto operator<=>(const Box&) const = default;  // NOLINT(modernize-use-nullptr): false
};

// Whether what changes a network's rows (the input, knobs with `moves_rows`) is an axis, or enumerated; then
// all members of a structure have the same nodes, inputs, rows and heights of windows.
enum class RowAxes { kept, enumerated };

// A lattice seen as boxes. Positions on an axis ascend in cost, whether the knob's trend is rising or
// falling; the side of square inputs is an axis too. So by Family's contract no member of a box has a smaller
// closed form, or fewer nodes, than its bottom corner, and none a larger closed form than its top corner.
class BoxedLattice {
 public:
  // Throws Error(internal) when the family has more than kMostAxes axes.
  explicit BoxedLattice(Lattice lattice, RowAxes row_axes = RowAxes::kept);

  const Lattice& lattice() const { return lattice_; }
  std::uint32_t structures() const { return static_cast<std::uint32_t>(bases_.size()); }
  Box whole(std::uint32_t structure) const;
  Architecture bottom(const Box& box) const { return at(box.structure, box.low); }
  Architecture top(const Box& box) const { return at(box.structure, box.high); }

  // Two halves along the axis with the most positions, the cheaper first. The box must not be single.
  static std::pair<Box, Box> split(const Box& box);

 private:
  using Positions = std::array<std::uint16_t, kMostAxes>;
  // A knob by its place among the parameters; one place behind them stands for the input.
  struct Axis {
    std::size_t knob = 0;
    std::vector<std::uint16_t> values;  // which of the lattice's values stands at each position
  };
  struct Base {
    Hyperparameters hyperparameters;
    std::uint32_t input = 0;
  };

  Architecture at(std::uint32_t structure, const Positions& positions) const;
  void add_axis(std::size_t knob, std::size_t count, bool falling);
  void add_structures(const std::vector<std::size_t>& enumerated);

  Lattice lattice_;
  std::vector<Axis> axes_;
  std::vector<Base> bases_;
};

}  // namespace mcufit
