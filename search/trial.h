// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "blocks/family.h"

namespace mcufit {

// How much training a trial gets: the rungs of successive halving are fidelities.
struct Fidelity {
  std::int32_t trials = 1;  // how many candidates reach this rung
  std::int32_t epochs = 1;
  std::int64_t samples = 0;  // training samples per epoch; 0: all
  bool operator==(const Fidelity&) const = default;
};

enum class TrialState { waiting, complete, failed };

// What a complete trial showed on the validation split, 0..1.
struct Metrics {
  double accuracy_float = 0;
  double accuracy_int8 = 0;
  std::string weights_sha256;
  bool operator==(const Metrics&) const = default;
};

// One candidate trained at one fidelity. `waiting` includes trials that a killed run left unfinished.
struct Trial {
  std::int64_t number = 0;  // from 0, in the order in which they were asked for
  std::int32_t rung = 0;
  std::optional<std::int64_t> promoted_from;  // the trial of the rung below with this architecture
  Architecture architecture;
  TrialState state = TrialState::waiting;
  std::optional<Metrics> metrics;  // when complete
  std::string failure;             // when failed: why
  double seconds = 0;              // wall time spent; the one field that may differ between equal runs
};

}  // namespace mcufit
