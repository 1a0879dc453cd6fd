// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "tests/exporters/random_graphs.h"

namespace mcufit::testing {

struct DrawnConvolution {
  Shape input;
  Conv2d op;
};

// Filters from one tap to more than any kernel gathers at once, by fours and not, for few outputs and for
// many.
inline DrawnConvolution drawn_convolution(Random& random) {
  const auto draw = [&](std::int64_t low, std::int64_t high) {
    return static_cast<std::int32_t>(random.between(low, high));
  };
  Shape input = random_shape(random, 7, 13);
  switch (random.below(5)) {
    case 0:
      input.channels = 1;
      break;
    case 1:
      input.channels = draw(1, 40) * 4;
      break;
    case 2:
      input.channels = draw(14, 90);
      break;
    case 3:
      input = {draw(1, 3), draw(1, 3), draw(80, 320)};
      break;
    default:
      break;
  }
  const Window window = random.below(3) == 0 ? square_window(1, 1, 0) : random_window(random, input);
  const std::int32_t outputs = random.below(2) == 0 ? draw(1, 5) : draw(1, random.below(4) == 0 ? 48 : 17);
  return {input, Conv2d{outputs, window, random.below(4) != 0, random_activation(random)}};
}

}  // namespace mcufit::testing
