// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <ostream>

namespace mcufit {

// What an architecture demands of any target. Bytes assume int8 activations.
struct Footprint {
  std::int64_t params = 0;  // trainable numbers, batch-norm's two per channel included
  // Of convolutions and fully-connected layers; biases, batch-norm and activations are not counted.
  std::int64_t macs = 0;
  // Most bytes live while one op runs, layer by layer; batch-norm, activations, add and mul work in place.
  std::int64_t peak_activation_bytes = 0;
  // Of layers with weights: their filters' elements and output channels. From these follow the constant bytes
  // of the deployed network, where every such channel has a bias and a multiplier.
  std::int64_t filter_elements = 0;
  std::int64_t filter_channels = 0;

  bool operator==(const Footprint&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Footprint& footprint);

}  // namespace mcufit
