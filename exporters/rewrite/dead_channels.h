// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "exporters/rewrite/ranges.h"

namespace mcufit {

// Which channels of which nodes can go: [node][channel].
//
// A convolution or fully-connected layer copes without an input channel where its weights are zero or where
// the channel holds one value: (value - zero point) * weights goes into the biases. At a border the padding
// holds the zero point instead, so a padded convolution copes only with that value. An op that works channel
// by channel loses the channel in all its inputs and its output, or in none. The graph's input and output
// stay whole.
using DeadChannels = std::vector<std::vector<bool>>;

// The largest such set that leaves every node a channel. Only inputs of a concatenation, and what leads to
// them alone, may lose all.
DeadChannels find_dead_channels(const QuantizedGraph& graph,
                                const std::vector<std::vector<ByteRange>>& ranges);

// The graph without them.
QuantizedGraph without(const QuantizedGraph& graph, const DeadChannels& dead,
                       const std::vector<std::vector<ByteRange>>& ranges);

}  // namespace mcufit
