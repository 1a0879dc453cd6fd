// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>

namespace mcufit::testing {

// The seed of a random test: --gtest_random_seed=N repeats a failure.
inline std::uint64_t seed() {
  const int seed = ::testing::UnitTest::GetInstance()->random_seed();
  ::testing::Test::RecordProperty("seed", seed);
  return static_cast<std::uint64_t>(seed);
}

}  // namespace mcufit::testing

#define MCUFIT_TRACE_SEED() \
  SCOPED_TRACE(::testing::Message() << "repeat with --gtest_random_seed=" << ::mcufit::testing::seed())
