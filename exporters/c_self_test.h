// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exporters/c_emitter.h"

namespace mcufit {

// Adds NAME_selftest.c and .h: golden vectors, and the checksum of what each call makes for each of them.
// Nothing where the request has no vectors. Throws Error(input) for vectors of another shape than the
// network's.
void add_self_test(const QuantizedGraph& graph, const MemoryPlan& plan, const PackageRequest& request,
                   PackageFiles& files);

}  // namespace mcufit
