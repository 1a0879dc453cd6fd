// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exporters/steps.h"

namespace mcufit {

// Whether the step may be marked mcufit_requantization::short_form: whatever the input is, no sum of an
// output channel reaches 2^30, every shift is one by 1 to 21 bits to the right, and the clamp is to all of
// int8.
bool short_form(const Conv2dStep& step);
bool short_form(const DepthwiseConv2dStep& step);
bool short_form(const FullyConnectedStep& step);

}  // namespace mcufit
