// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>

#include "exporters/device/device.h"

namespace mcufit {

// Runs samples call by call, the one that differed first, and compares each call's output with the network's
// reference interpreter, or where the network is not at hand with the checksums in the package's manifest,
// which has them for the vectors of its self-test alone.
std::optional<LayerMismatch> first_differing_layer(const RunRequest& request, const Manifest& manifest,
                                                   std::span<const TestVector> samples,
                                                   std::int64_t differing);

}  // namespace mcufit
