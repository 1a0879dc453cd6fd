// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "blocks/graph.h"
#include "blocks/weights.h"

namespace mcufit {

// A float network as another tool trained it, not lowered; `weights` fit `graph`.
struct FloatModel {
  Graph graph;
  Weights weights;
};

}  // namespace mcufit
