// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "blocks/foundation/random.h"
#include "blocks/quantized_graph.h"

namespace mcufit::testing {

// The seed of random tests, as --gtest_random_seed=N gives it.
std::uint64_t test_seed();

// "--gtest_random_seed=1, case 17", for SCOPED_TRACE.
std::string case_name(std::uint64_t seed, int index);

std::vector<std::int8_t> random_bytes(Random& random, std::int64_t count);

// Mostly the extremes, since that is where kernels go wrong.
std::int32_t random_zero_point(Random& random);

// A window that fits `input`, with unequal kernels, strides and paddings.
Window random_window(Random& random, Shape input);

Shape random_shape(Random& random, std::int32_t most_extent, std::int32_t most_channels);

// A verified quantized graph from an input through one `op`; multipliers of one and more occur.
QuantizedGraph single_op_graph(Random& random, Shape input, const Op& op);

// input -> conv2d 1x1 -> add with the input, all of different scales. The add is the last node.
// input * mean(input), or input * sigmoid(input).
QuantizedGraph mul_graph(Random& random, Shape input, bool broadcast, Activation activation);

// The input and a padded copy of it, and perhaps the input again, joined along an axis.
QuantizedGraph concatenation_graph(Random& random, Shape input, Axis axis);

QuantizedGraph add_graph(Random& random, Shape input, Activation activation);

Activation random_activation(Random& random);

}  // namespace mcufit::testing
