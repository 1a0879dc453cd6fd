// SPDX-License-Identifier: Apache-2.0
#include "search/cli/interruption.h"

#include <csignal>

namespace mcufit {
namespace {

volatile std::sig_atomic_t received = 0;

void remember(int number) {
  if (received != 0) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
  received = number;
}

}  // namespace

Interruption::Interruption() {
  received = 0;
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
}

Interruption::~Interruption() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool Interruption::requested() { return received != 0; }

int Interruption::signal_number() { return received; }

}  // namespace mcufit
