// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>
#include <utility>
#include <vector>

namespace mcufit {

// A named random stream: equal seeds and keys give equal numbers on every machine, whatever thread asks.
// Only integer arithmetic and one division are used, since the distributions of <random> differ between
// libraries.
class Random {
 public:
  explicit Random(std::uint64_t seed, std::initializer_list<std::uint64_t> keys = {}) {
    std::uint64_t state = mix(seed);
    for (const std::uint64_t key : keys) state = mix(state ^ mix(key + 1));
    engine_.seed(state);
  }

  std::uint64_t bits() { return engine_(); }

  // Uniform in [0, bound); the bias of at most bound / 2^64 is of no consequence here. bound > 0.
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }

  // Uniform in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }

  // Uniform in [0, 1).
  double unit() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }

  // Fisher-Yates.
  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  static std::uint64_t mix(std::uint64_t z) {  // the finalizer of splitmix64 (Steele et al., OOPSLA 2014)
    z += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }

  std::mt19937_64 engine_;
};

}  // namespace mcufit
