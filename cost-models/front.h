// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cost-models/certify.h"
#include "cost-models/descent.h"

namespace mcufit {

// The non-dominated set of the lattice's members that fit layer by layer, which the budget must ask for.
// Members are met by capacity, largest first; a box whose bottom corner's bounds on flash and RAM are no less
// than a priced member's needs no further look.
Front find_front(const BoundedLattice& bounded);

}  // namespace mcufit
