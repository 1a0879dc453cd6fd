// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "blocks/foundation/random.h"
#include "blocks/quantized_graph.h"

namespace mcufit::testing {

// How many kinds of ops every_op_graph() knows.
inline constexpr int kOpKinds = 18;

// A verified small graph of random extents and quantization around one op of the kind (0 to kOpKinds - 1),
// scales near those of trained networks.
QuantizedGraph every_op_graph(Random& random, int kind);

}  // namespace mcufit::testing
