// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "search/trial.h"

namespace mcufit {

// What a store is bound to: a study goes on only with the very job, data and program behaviour that it began
// with.
struct StudyKey {
  std::string job;     // its name, for messages
  std::string sha256;  // of the effective job, target and data set
};

// The trials of one study in an SQLite file; every call is durable when it returns. Used by one process at a
// time (a lock file beside it tells), from any of its threads.
class Store {
 public:
  // Opens or creates. Throws Error(store_busy) when another process has it, when it belongs to another job,
  // or when it has another schema; Error(io) when it cannot be written; Error(input) when it is no database.
  Store(const std::filesystem::path& path, const StudyKey& key);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  std::vector<Trial> trials() const;  // by number

  // Adds waiting trials, all or none, and returns them with their numbers.
  std::vector<Trial> add(std::vector<Trial> trials);

  void complete(std::int64_t number, const Metrics& metrics, double seconds);
  void fail(std::int64_t number, const std::string& reason, double seconds);

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace mcufit
