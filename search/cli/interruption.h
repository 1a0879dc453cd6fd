// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mcufit {

// While it lives, Ctrl-C and SIGTERM do not end the process but are remembered; a second one ends it at once.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  static bool requested();
  static int signal_number();  // the first one's; 0 when none came
};

}  // namespace mcufit
