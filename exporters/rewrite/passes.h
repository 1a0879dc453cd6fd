// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "blocks/quantized_graph.h"

namespace mcufit {

// The passes of exporters/rewrite.h, which says what each does. Each leaves a graph that verify() accepts.
void fuse_pad(QuantizedGraph& graph);
void fuse_activation(QuantizedGraph& graph);
void remove_identity(QuantizedGraph& graph);
void fold_constants(QuantizedGraph& graph);
void remove_dead_channels(QuantizedGraph& graph);

}  // namespace mcufit
