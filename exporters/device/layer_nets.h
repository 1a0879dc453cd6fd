// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "blocks/foundation/random.h"
#include "blocks/quantized_graph.h"

namespace mcufit {

// A network that no one would train: layers of every operator class, `rounds` of each, with random shapes as
// small networks have them, random filters and scales that use the whole range of int8. Between them lie
// resizes and pointwise convolutions that bring the next layer's input about; they are measured like the
// others.
QuantizedGraph layer_net(Random& random, int rounds);

}  // namespace mcufit
