// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cost-models/certify.h"

namespace mcufit {

// A certificate for people: the largest members, what binds, the next larger member. `explained` adds the
// best member's ledger and how each member of the lattice was decided.
std::string fit_text(const Certificate& certificate, const Budget& budget, bool explained);

}  // namespace mcufit
