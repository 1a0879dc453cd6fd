// SPDX-License-Identifier: Apache-2.0
// What holds the build list of kernel variants (MCUFIT_KERNEL_VARIANTS) against the tests and the benchmark:
// each asserts, at compile time, of every variant that it covers it. Both are driven by the lists that they
// assert, and generated code in which a comment counts for nothing names the variants.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "kernel_variant_list.h"  // by CMake: MCUFIT_FOR_EACH_KERNEL_VARIANT(V) is V(add_s8, dsp) V(add_s8, mve) ...

namespace mcufit::testing {

// An emulated core that takes an instruction set's variants.
struct VariantCore {
  std::string_view isa;
  const char* core;
};
inline constexpr std::array<VariantCore, 4> kVariantCores{
    {{"mve", "cortex-m55"}, {"dsp", "cortex-m4"}, {"v6m", "cortex-m0"}, {"rv32", "rv32"}}};

// The kernels that random cases hold against the portable ones on these cores, by the number of the case's
// kind (exporters/emulated_kernels_test.cpp and emulated_kernels.c).
inline constexpr std::array<std::string_view, 5> kTestedKernels{
    {"conv2d_s8", "depthwise_conv2d_s8", "fully_connected_s8", "add_s8", "average_pool2d_s8"}};

template <typename Kernels>
constexpr bool names(const Kernels& kernels, std::string_view kernel) {
  return std::find(kernels.begin(), kernels.end(), kernel) != kernels.end();
}

constexpr bool has_core(std::string_view isa) {
  return std::any_of(kVariantCores.begin(), kVariantCores.end(),
                     [&](const VariantCore& v) { return v.isa == isa; });
}

}  // namespace mcufit::testing

#define MCUFIT_ASSERT_HAS_CORE(kernel, isa)                                         \
  static_assert(mcufit::testing::has_core(#isa), "kernel variant " #kernel "_" #isa \
                                                 " has no test and no benchmark: "  \
                                                 "give its instruction set a core in kVariantCores");
MCUFIT_FOR_EACH_KERNEL_VARIANT(MCUFIT_ASSERT_HAS_CORE)

#define MCUFIT_ASSERT_HAS_TEST(kernel, isa)                                        \
  static_assert(mcufit::testing::names(mcufit::testing::kTestedKernels, #kernel),  \
                "kernel variant " #kernel "_" #isa                                 \
                " has no test: give its kernel a kind of case in kTestedKernels, " \
                "emulated_kernels_test.cpp and emulated_kernels.c");
MCUFIT_FOR_EACH_KERNEL_VARIANT(MCUFIT_ASSERT_HAS_TEST)
