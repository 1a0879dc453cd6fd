// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace mcufit {

// For each point (all of one length, every coordinate to be minimized) whether no other point is at least as
// good everywhere and better somewhere. Equal points are kept all.
std::vector<bool> non_dominated(std::span<const std::vector<double>> points);

}  // namespace mcufit
