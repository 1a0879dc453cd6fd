// SPDX-License-Identifier: Apache-2.0
#include "cost-models/latency_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "blocks/foundation/error.h"

namespace mcufit {
namespace {

constexpr std::size_t kTerms = kTermNames.size();

// Least squares as its normal equations: minimise x'Ax / 2 - b'x.
struct NormalEquations {
  std::array<Terms, kTerms> a = {};
  Terms b = {};
};

// Each sample divided by its count, so that residuals are relative; each column by its length, so that terms
// of any size converge alike.
NormalEquations normal_equations(const std::vector<LayerSample>& samples, Terms& lengths) {
  NormalEquations n;
  for (const LayerSample& s : samples) {
    for (std::size_t i = 0; i < kTerms; ++i) lengths[i] += s.terms[i] * s.terms[i] / (s.count * s.count);
  }
  for (double& length : lengths) length = std::sqrt(length);
  for (const LayerSample& s : samples) {
    Terms row = {};
    for (std::size_t i = 0; i < kTerms; ++i)
      row[i] = lengths[i] > 0 ? s.terms[i] / (s.count * lengths[i]) : 0;
    for (std::size_t i = 0; i < kTerms; ++i) {
      n.b[i] += row[i];
      for (std::size_t j = 0; j < kTerms; ++j) n.a[i][j] += row[i] * row[j];
    }
  }
  return n;
}

// Coordinate descent: each step solves for one term exactly and clips it at zero, which for this convex
// problem leads to the one minimum.
Terms minimum(const NormalEquations& n) {
  constexpr int kMostSweeps = 200'000;
  constexpr double kStill = 1e-12;
  Terms x = {};
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    double moved = 0;
    for (std::size_t i = 0; i < kTerms; ++i) {
      if (n.a[i][i] <= 0) continue;
      double gradient = -n.b[i];
      for (std::size_t j = 0; j < kTerms; ++j) gradient += n.a[i][j] * x[j];
      const double next = std::max(0.0, x[i] - gradient / n.a[i][i]);
      moved = std::max(moved, std::abs(next - x[i]));
      x[i] = next;
    }
    if (moved < kStill) break;
  }
  return x;
}

std::map<std::string, std::vector<LayerSample>> by_class(const std::vector<LayerSample>& samples) {
  std::map<std::string, std::vector<LayerSample>> classes;
  for (const LayerSample& s : samples) classes[s.operator_class].push_back(s);
  return classes;
}

double relative_error(const Terms& coefficients, const LayerSample& sample) {
  double predicted = 0;
  for (std::size_t i = 0; i < kTerms; ++i) predicted += coefficients[i] * sample.terms[i];
  return std::abs(predicted - sample.count) / sample.count;
}

// The smallest value that this share of all does not exceed.
double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::max<std::size_t>(rank, 1) - 1];
}

}  // namespace

Terms fit_terms(const std::vector<LayerSample>& samples) {
  if (samples.empty()) throw Error(ExitCode::internal, "latency law: found no sample to fit to");
  Terms lengths = {};
  Terms x = minimum(normal_equations(samples, lengths));
  for (std::size_t i = 0; i < kTerms; ++i) x[i] = lengths[i] > 0 ? x[i] / lengths[i] : 0;
  return x;
}

std::map<std::string, ClassLaw, std::less<>> fit_classes(const std::vector<LayerSample>& samples,
                                                         const std::vector<LayerSample>& held_out) {
  std::map<std::string, ClassLaw, std::less<>> laws;
  for (const auto& [name, fitted] : by_class(samples)) {
    laws[name].coefficients = fit_terms(fitted);
    laws[name].samples = std::ssize(fitted);
  }
  for (const auto& [name, others] : by_class(held_out)) {
    const auto law = laws.find(name);
    if (law == laws.end())
      throw Error(ExitCode::internal, fmt::format("latency law: found no sample of {} to fit to", name));
    std::vector<double> errors;
    for (const LayerSample& s : others) errors.push_back(relative_error(law->second.coefficients, s));
    constexpr double kMedian = 0.5, kMost = 0.9;
    law->second.held_out = std::ssize(others);
    law->second.median_relative_error = quantile(errors, kMedian);
    law->second.p90_relative_error = quantile(errors, kMost);
  }
  return laws;
}

}  // namespace mcufit
