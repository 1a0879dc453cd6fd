// SPDX-License-Identifier: Apache-2.0
#include "cost-models/phinet_equations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "blocks/foundation/error.h"

namespace mcufit {
namespace {

constexpr double kLeastAlpha = 0.01;
constexpr double kMostAlpha = 8;
// Steps of the scan for sign changes, equal in the logarithm: two roots closer than 0.02 % would be missed.
constexpr int kScanSteps = 40'000;
constexpr int kBisections = 80;

// Sums over the blocks, weighted by 1 (params) or by the blocks' output pixels (MACs): C^2 and C, plain and
// times B / N.
struct Moments {
  double squares = 0, late_squares = 0;
  double widths = 0, late_widths = 0;

  // Params or MACs, linear in t0 and in beta.
  double sum(const PhiNetKnobs& k, int kernel) const {
    const double a = k.alpha;
    const double taps = static_cast<double>(kernel) * kernel;
    const double even = 2 * a * a * squares + a * taps * widths;
    const double late = 2 * a * a * late_squares + a * taps * late_widths;
    return k.t_zero * (even + (k.beta - 1) * late);
  }
};

struct Frame {
  Moments params, macs;
  double pixels = 0, base_width = 0;
  int kernel = 3;
};

void add(Moments& m, double weight, double width, double depth) {
  m.squares += weight * width * width;
  m.late_squares += weight * width * width * depth;
  m.widths += weight * width;
  m.late_widths += weight * width * depth;
}

Frame summed(const PhiNetFrame& f) {
  if (f.num_layers < 1 || f.height < 1 || f.width < 1 || f.base_width < 1 || f.kernel < 1)
    throw Error(ExitCode::input, fmt::format("phinet equations: found {} layers on {}x{}x{}, kernel {}; "
                                             "accepted: numbers of at least 1",
                                             f.num_layers, f.height, f.width, f.base_width, f.kernel));
  Frame frame;
  frame.pixels = static_cast<double>(f.height) * f.width;
  frame.base_width = f.base_width;
  frame.kernel = f.kernel;
  double width = f.base_width;
  std::int32_t rows = f.height, columns = f.width;
  for (std::int32_t b = 1; b <= f.num_layers; ++b) {
    const bool down =
        b > 3 && std::find(f.downsampling.begin(), f.downsampling.end(), b) != f.downsampling.end();
    if (b == 3 || down) width *= 2;
    if (b == 1 || b == 3 || down) {
      rows = (rows - 1) / 2 + 1;
      columns = (columns - 1) / 2 + 1;
    }
    const double depth = static_cast<double>(b) / f.num_layers;
    add(frame.params, 1, width, depth);
    add(frame.macs, static_cast<double>(rows) * columns, width, depth);
  }
  return frame;
}

// t0 from RAM, then beta from params, for a given alpha.
PhiNetKnobs solve(const PhiNetDemands& d, const Frame& f, double alpha) {
  PhiNetKnobs k{alpha, 1, (d.ram_bytes / f.pixels - f.base_width) / (1 + alpha)};
  const double even = f.params.sum(k, f.kernel);
  PhiNetKnobs twice = k;
  twice.beta = 2;
  k.beta = 1 + (d.params - even) / (f.params.sum(twice, f.kernel) - even);
  return k;
}

double excess_macs(const PhiNetDemands& d, const Frame& f, double alpha) {
  return f.macs.sum(solve(d, f, alpha), f.kernel) - d.macs;
}

double refined(const PhiNetDemands& d, const Frame& f, double low, double high) {
  const bool rising = excess_macs(d, f, low) < 0;
  for (int i = 0; i < kBisections; ++i) {
    const double middle = (low + high) / 2;
    ((excess_macs(d, f, middle) < 0) == rising ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

PhiNetDemands phinet_demands(const PhiNetKnobs& knobs, const PhiNetFrame& frame) {
  const Frame f = summed(frame);
  return {f.params.sum(knobs, f.kernel), f.macs.sum(knobs, f.kernel),
          f.pixels * (knobs.t_zero + knobs.alpha * knobs.t_zero + f.base_width)};
}

std::vector<PhiNetRoot> invert_phinet_equations(const PhiNetDemands& demands, const PhiNetFrame& frame) {
  for (const double demand : {demands.params, demands.macs, demands.ram_bytes}) {
    if (!(std::isfinite(demand) && demand > 0))
      throw Error(ExitCode::input,
                  fmt::format("phinet equations: found a demand of {}; accepted: positive numbers", demand));
  }
  const Frame f = summed(frame);
  std::vector<PhiNetRoot> roots;
  const double step = std::log(kMostAlpha / kLeastAlpha) / kScanSteps;
  double low = kLeastAlpha;
  for (int i = 1; i <= kScanSteps; ++i) {
    const double high = kLeastAlpha * std::exp(step * i);
    if ((excess_macs(demands, f, low) < 0) != (excess_macs(demands, f, high) < 0)) {
      const PhiNetKnobs k = solve(demands, f, refined(demands, f, low, high));
      const bool plausible = k.beta >= 0.3 && k.beta <= 2 && k.t_zero >= 1 && k.t_zero <= 8;
      roots.push_back({k, plausible});
    }
    low = high;
  }
  return roots;
}

}  // namespace mcufit
