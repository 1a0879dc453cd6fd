// SPDX-License-Identifier: Apache-2.0
#include "blocks/footprint.h"

namespace mcufit {

std::ostream& operator<<(std::ostream& out, const Footprint& f) {
  return out << f.params << " params, " << f.macs << " MACs, " << f.peak_activation_bytes
             << " activation bytes, " << f.filter_elements << " filter elements of " << f.filter_channels
             << " channels";
}

}  // namespace mcufit
