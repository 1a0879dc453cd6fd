// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>

#include "tests/kernel_variants.h"

namespace mcufit {
struct Graph;
}

namespace mcufit::testing {

// Each kernel with a variant, and the layer that the benchmark runs it on.
struct BenchedKernel {
  std::string_view kernel;
  Graph (*layer)();
  constexpr bool operator==(std::string_view name) const { return kernel == name; }
};

Graph add_layer();
Graph average_pool_layer();
Graph conv2d_layer();
Graph depthwise_layer();
Graph fully_connected_layer();

inline constexpr std::array<BenchedKernel, 5> kBenchedKernels{
    {{"add_s8", add_layer},
     {"average_pool2d_s8", average_pool_layer},
     {"conv2d_s8", conv2d_layer},
     {"depthwise_conv2d_s8", depthwise_layer},
     {"fully_connected_s8", fully_connected_layer}}};

}  // namespace mcufit::testing

#define MCUFIT_ASSERT_HAS_BENCHMARK(kernel, isa)                                   \
  static_assert(mcufit::testing::names(mcufit::testing::kBenchedKernels, #kernel), \
                "kernel variant " #kernel "_" #isa                                 \
                " has no benchmark: give its kernel a layer in kBenchedKernels");
MCUFIT_FOR_EACH_KERNEL_VARIANT(MCUFIT_ASSERT_HAS_BENCHMARK)
