// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "blocks/foundation/json_document.h"
#include "blocks/graph.h"

namespace mcufit {

// The graph that to_json(Graph) wrote. Every key must be there and no other. Throws Error(input): all faults
// of the form at once, with line and column, or else the first node whose inputs or shape do not fit.
Graph read_graph(const JsonDocument& document);

}  // namespace mcufit
