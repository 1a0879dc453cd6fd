// SPDX-License-Identifier: Apache-2.0
#include "search/cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

namespace mcufit {
namespace {

constexpr std::chrono::seconds kPlainInterval{30};

bool is_terminal() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

}  // namespace

Progress::Progress(bool quiet)
    : quiet_(quiet), terminal_(is_terminal()), start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  const std::scoped_lock guard(mutex_);
  erase();
}

void Progress::say(std::string_view line) {
  if (quiet_) return;
  const std::scoped_lock guard(mutex_);
  erase();
  std::cerr << line << std::endl;
  redraw();
}

void Progress::update(std::int64_t key, std::string_view state) {
  if (quiet_) return;
  const std::scoped_lock guard(mutex_);
  running_[key] = state;
  if (terminal_) {
    redraw();
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  const auto told = told_.find(key);
  if (told != told_.end() && now - told->second < kPlainInterval) return;
  told_[key] = now;
  std::cerr << "  " << state << std::endl;
}

void Progress::done(std::int64_t key) {
  const std::scoped_lock guard(mutex_);
  running_.erase(key);
  told_.erase(key);
  if (!quiet_) redraw();
}

void Progress::redraw() {
  if (!terminal_) return;
  erase();
  if (running_.empty()) return;
  const auto elapsed =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start_).count();
  std::string line = fmt::format("[{}:{:02}]", elapsed / 60, elapsed % 60);
  for (const auto& [key, state] : running_) line += "  " + state;
  std::cerr << line.substr(0, terminal_columns()) << std::flush;
  drawn_ = true;
}

void Progress::erase() {
  if (!drawn_) return;
  std::cerr << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

}  // namespace mcufit
