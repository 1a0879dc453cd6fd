// SPDX-License-Identifier: Apache-2.0
#include "search/pareto.h"

namespace mcufit {
namespace {

bool dominates(const std::vector<double>& a, const std::vector<double>& b) {
  bool better = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) return false;
    better |= a[i] < b[i];
  }
  return better;
}

}  // namespace

std::vector<bool> non_dominated(std::span<const std::vector<double>> points) {
  std::vector<bool> kept(points.size(), true);
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (std::size_t j = 0; j < points.size() && kept[i]; ++j) kept[i] = !dominates(points[j], points[i]);
  }
  return kept;
}

}  // namespace mcufit
