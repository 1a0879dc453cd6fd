// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace mcufit {

// Tells a person on standard error how long work goes: on a terminal one line that is redrawn, elsewhere a
// plain line per event and at most one every 30 s for the epochs of a trial. Silent when `quiet`.
// Thread-safe.
class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // A line that stays.
  void say(std::string_view line);

  // The state of one running job, shown until done(key).
  void update(std::int64_t key, std::string_view state);
  void done(std::int64_t key);

 private:
  void redraw();
  void erase();

  std::mutex mutex_;
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_;
  std::map<std::int64_t, std::string> running_;
  std::map<std::int64_t, std::chrono::steady_clock::time_point> told_;
};

}  // namespace mcufit
