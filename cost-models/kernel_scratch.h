// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "blocks/graph.h"
#include "cost-models/cores.h"
#include "exporters/runtime/mcufit_runtime.h"

namespace mcufit {

// How the kernels see the window of a node; extents that the runtime cannot have are cut to what it can.
mcufit_window runtime_window(const Graph& lowered, NodeId id, const Window& window);

// Bytes of the arena that the kernel of a node works with while it runs, a multiple of kTensorAlignment, by
// the formulas of exporters/runtime/mcufit_scratch.h: the kernels' own. In tiles of the node it needs no
// more.
std::int64_t kernel_scratch_bytes(const Graph& lowered, NodeId id, Isa isa);

}  // namespace mcufit
