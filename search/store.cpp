// SPDX-License-Identifier: Apache-2.0
#include "search/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/json_reader.h"

namespace mcufit {
namespace {

constexpr int kSchema = 1;

// Holds the lock file while it lives; the kernel lets go of it however the process ends.
class Lock {
 public:
  explicit Lock(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ < 0)
      throw Error(ExitCode::io,
                  fmt::format("{}: cannot be written: {}", path.string(), std::strerror(errno)));
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      ::close(fd_);
      throw Error(ExitCode::store_busy,
                  fmt::format("{}: another mcufit is working on this study; wait for it, or "
                              "choose another --run-folder",
                              path.string()));
    }
  }
  ~Lock() { ::close(fd_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int fd_;
};

std::string_view to_string(TrialState state) {
  switch (state) {
    case TrialState::waiting:
      return "waiting";
    case TrialState::complete:
      return "complete";
    case TrialState::failed:
      return "failed";
  }
  return "";
}

TrialState read_state(const std::string& text) {
  for (const TrialState state : {TrialState::waiting, TrialState::complete, TrialState::failed}) {
    if (to_string(state) == text) return state;
  }
  throw Error(ExitCode::input, fmt::format("study store: found trial state '{}'", text));
}

Architecture parse_architecture(const std::string& text) {
  return read_config<Architecture>(JsonDocument::parse(text, "study store"), read_architecture);
}

std::filesystem::path with_suffix(std::filesystem::path path, const char* suffix) { return path += suffix; }

}  // namespace

struct Store::Connection {
  explicit Connection(const std::filesystem::path& path)
      : lock(with_suffix(path, ".lock")), session(soci::sqlite3, path.string()) {}

  mutable std::mutex mutex;
  Lock lock;
  mutable soci::session session;

  void prepare(const std::filesystem::path& path, const StudyKey& key) {
    session << "PRAGMA journal_mode=WAL";
    session << "PRAGMA synchronous=FULL";
    soci::transaction transaction(session);
    session << "CREATE TABLE IF NOT EXISTS study (schema INTEGER, job TEXT, sha256 TEXT)";
    int rows = 0;
    session << "SELECT COUNT(*) FROM study", soci::into(rows);
    if (rows == 0) {
      session << "INSERT INTO study VALUES (:schema, :job, :sha256)", soci::use(kSchema), soci::use(key.job),
          soci::use(key.sha256);
      session
          << "CREATE TABLE trials (number INTEGER PRIMARY KEY, rung INTEGER NOT NULL, promoted_from INTEGER, "
             "architecture TEXT NOT NULL, state TEXT NOT NULL, accuracy_float REAL, accuracy_int8 REAL, "
             "weights_sha256 TEXT, failure TEXT, seconds REAL)";
    } else {
      check(path, key);
    }
    transaction.commit();
  }

  void check(const std::filesystem::path& path, const StudyKey& key) {
    int schema = 0;
    std::string job, sha256;
    session << "SELECT schema, job, sha256 FROM study", soci::into(schema), soci::into(job),
        soci::into(sha256);
    if (schema != kSchema) {
      throw Error(ExitCode::store_busy,
                  fmt::format("{}: found store schema {}; accepted: {}; choose another --run-folder",
                              path.string(), schema, kSchema));
    }
    if (sha256 != key.sha256) {
      throw Error(
          ExitCode::store_busy,
          fmt::format(
              "{}: it belongs to another job ('{}' with other settings, target or data than '{}'); choose "
              "another --run-folder, or give --fresh to discard it",
              path.string(), job, key.job));
    }
  }
};

Store::Store(const std::filesystem::path& path, const StudyKey& key) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error) {
    throw Error(ExitCode::io,
                fmt::format("{}: the folder cannot be made: {}; choose a --run-folder that can be written",
                            path.parent_path().string(), error.message()));
  }
  try {
    connection_ = std::make_unique<Connection>(path);
    connection_->prepare(path, key);
  } catch (const soci::soci_error& failure) {
    const std::string what = failure.what();
    const bool foreign = what.find("not a database") != std::string::npos;
    throw Error(foreign ? ExitCode::input : ExitCode::io,
                fmt::format("{}: the study store cannot be opened: {}", path.string(), what));
  }
}

Store::~Store() = default;

std::vector<Trial> Store::trials() const {
  const std::scoped_lock guard(connection_->mutex);
  std::vector<Trial> trials;
  const soci::rowset<soci::row> rows =
      (connection_->session.prepare
       << "SELECT number, rung, promoted_from, architecture, state, accuracy_float, accuracy_int8, "
          "weights_sha256, failure, seconds FROM trials ORDER BY number");
  for (const soci::row& row : rows) {
    Trial t;
    t.number = row.get<int>(0);
    t.rung = row.get<int>(1);
    if (row.get_indicator(2) == soci::i_ok) t.promoted_from = row.get<int>(2);
    t.architecture = parse_architecture(row.get<std::string>(3));
    t.state = read_state(row.get<std::string>(4));
    if (t.state == TrialState::complete)
      t.metrics = Metrics{row.get<double>(5), row.get<double>(6), row.get<std::string>(7)};
    t.failure = row.get<std::string>(8, "");
    t.seconds = row.get<double>(9, 0.0);
    trials.push_back(std::move(t));
  }
  return trials;
}

std::vector<Trial> Store::add(std::vector<Trial> trials) {
  const std::scoped_lock guard(connection_->mutex);
  soci::session& session = connection_->session;
  soci::transaction transaction(session);
  int next = 0;
  session << "SELECT COALESCE(MAX(number) + 1, 0) FROM trials", soci::into(next);
  for (Trial& t : trials) {
    t.number = next++;
    const std::string architecture = to_json(t.architecture).dump();
    const std::string state(to_string(t.state));
    long long parent = t.promoted_from.value_or(0);
    soci::indicator has_parent = t.promoted_from ? soci::i_ok : soci::i_null;
    const long long number = t.number;
    session << "INSERT INTO trials (number, rung, promoted_from, architecture, state) VALUES (:n, :r, :p, "
               ":a, :s)",
        soci::use(number), soci::use(t.rung), soci::use(parent, has_parent), soci::use(architecture),
        soci::use(state);
  }
  transaction.commit();
  return trials;
}

void Store::complete(std::int64_t number, const Metrics& metrics, double seconds) {
  const std::scoped_lock guard(connection_->mutex);
  const long long n = number;
  connection_->session << "UPDATE trials SET state = 'complete', accuracy_float = :f, accuracy_int8 = :q, "
                          "weights_sha256 = :w, "
                          "seconds = :s, failure = NULL WHERE number = :n",
      soci::use(metrics.accuracy_float), soci::use(metrics.accuracy_int8), soci::use(metrics.weights_sha256),
      soci::use(seconds), soci::use(n);
}

void Store::fail(std::int64_t number, const std::string& reason, double seconds) {
  const std::scoped_lock guard(connection_->mutex);
  const long long n = number;
  connection_->session << "UPDATE trials SET state = 'failed', failure = :f, seconds = :s WHERE number = :n",
      soci::use(reason), soci::use(seconds), soci::use(n);
}

}  // namespace mcufit
