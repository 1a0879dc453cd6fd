// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cost-models/latency.h"

namespace mcufit {

// A layer that was measured.
struct LayerSample {
  std::string operator_class;
  Terms terms = {};
  double count = 0;  // of what the law is to predict, above zero
};

// The coefficients, none below zero, with the least sum of squared relative errors. Throws Error(internal)
// where there are no samples.
Terms fit_terms(const std::vector<LayerSample>& samples);

// A law per operator class of the samples to fit to, and its errors on those held out. Throws Error(internal)
// where a class of the held-out ones has nothing to be fitted to.
std::map<std::string, ClassLaw, std::less<>> fit_classes(const std::vector<LayerSample>& samples,
                                                         const std::vector<LayerSample>& held_out);

}  // namespace mcufit
