// SPDX-License-Identifier: Apache-2.0
#include "blocks/foundation/subprocess.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "blocks/foundation/error.h"

// Plain POSIX, since Boost.Process 1.74 loses time limits to its SIGCHLD handling when several children run
// at once.

namespace mcufit {
namespace {

using Clock = std::chrono::steady_clock;

// Both ends of a pipe, closed when left.
struct Pipe {
  std::array<int, 2> ends{-1, -1};
  Pipe() {
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      throw Error(ExitCode::io, fmt::format("pipe: {}", std::strerror(errno)));
    }
  }
  ~Pipe() {
    for (const int end : ends) {
      if (end >= 0) ::close(end);
    }
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(std::size_t i) {
    ::close(ends[i]);
    ends[i] = -1;
  }
};

// Everything the child needs is prepared before the fork: after it only async-signal-safe calls are allowed.
struct Launch {
  std::vector<std::string> storage;
  std::vector<char*> arguments;
  std::vector<char*> environment;

  explicit Launch(const Command& command, const std::string& program) {
    std::vector<std::string> variables;
    for (char** variable = environ; *variable != nullptr; ++variable) {
      const std::string_view text(*variable);
      const auto name = text.substr(0, text.find('='));
      const bool replaced = std::any_of(command.environment.begin(), command.environment.end(),
                                        [&](const auto& pair) { return pair.first == name; });
      if (!replaced) variables.emplace_back(text);
    }
    for (const auto& [name, value] : command.environment)
      variables.push_back(fmt::format("{}={}", name, value));
    storage.push_back(program);
    storage.insert(storage.end(), command.arguments.begin(), command.arguments.end());
    const std::size_t argument_count = storage.size();
    storage.insert(storage.end(), variables.begin(), variables.end());
    for (std::size_t i = 0; i < storage.size(); ++i) {
      (i < argument_count ? arguments : environment).push_back(storage[i].data());
    }
    arguments.push_back(nullptr);
    environment.push_back(nullptr);
  }
};

[[noreturn]] void become(const Launch& launch, const Command& command, int out, int err, int failure) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setpgid(0, 0);  // Ctrl-C reaches us alone; we decide what happens to children
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  if (command.folder.empty() || ::chdir(command.folder.c_str()) == 0) {
    ::execve(launch.arguments[0], launch.arguments.data(), launch.environment.data());
  }
  const int reason = errno;
  [[maybe_unused]] const ssize_t told = ::write(failure, &reason, sizeof reason);
  ::_exit(127);
}

// Reads what is there; false at the end of the stream.
bool drain(int fd, std::string& into) {
  std::array<char, 16384> buffer{};
  const ssize_t n = ::read(fd, buffer.data(), buffer.size());
  if (n > 0) into.append(buffer.data(), static_cast<std::size_t>(n));
  return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

// Hands complete lines of `text` from `done` on to on_line.
void hand_lines(const std::string& text, std::size_t& done,
                const std::function<void(std::string_view)>& on_line) {
  for (std::size_t end = text.find('\n', done); end != std::string::npos; end = text.find('\n', done)) {
    if (on_line) on_line(std::string_view(text).substr(done, end - done));
    done = end + 1;
  }
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Kills the child's whole group unless it was waited for: an exception must not leave a child behind.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (pid_ > 0) {
      signal(SIGKILL);
      wait_for(pid_);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void signal(int number) const {
    ::kill(-pid_, number);
    ::kill(pid_, number);  // in case it has not made its group yet
  }
  int wait() { return wait_for(std::exchange(pid_, -1)); }

 private:
  pid_t pid_;
};

}  // namespace

std::optional<std::filesystem::path> find_program(std::string_view name) {
  if (name.find('/') != std::string_view::npos) {
    return ::access(std::string(name).c_str(), X_OK) == 0 ? std::optional<std::filesystem::path>(name)
                                                          : std::nullopt;
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const std::filesystem::path candidate = std::filesystem::path(rest.substr(0, colon)) / name;
    std::error_code error;
    if (std::filesystem::is_regular_file(candidate, error) && ::access(candidate.c_str(), X_OK) == 0)
      return candidate;
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  return std::nullopt;
}

Finished run(const Command& command, const std::function<void(std::string_view)>& on_line,
             const std::function<bool()>& cancelled) {
  const auto program = find_program(command.program);
  if (!program) {
    throw Error(ExitCode::device_not_found, fmt::format("{}: no such program in PATH", command.program));
  }
  const Launch launch(command, std::filesystem::absolute(*program).string());
  Pipe out, err, failure;
  const pid_t pid = ::fork();
  if (pid < 0) throw Error(ExitCode::io, fmt::format("fork: {}", std::strerror(errno)));
  if (pid == 0) become(launch, command, out.ends[1], err.ends[1], failure.ends[1]);
  Child child(pid);
  for (Pipe* pipe : {&out, &err, &failure}) pipe->close_end(1);
  int reason = 0;
  if (::read(failure.ends[0], &reason, sizeof reason) == sizeof reason) {
    throw Error(ExitCode::device_not_found,
                fmt::format("{}: cannot be started: {}", program->string(), std::strerror(reason)));
  }

  Finished finished;
  std::size_t handed = 0;
  const auto deadline = Clock::now() + command.time_limit;
  bool asked_to_stop = false;
  std::array<pollfd, 2> streams{pollfd{out.ends[0], POLLIN, 0}, pollfd{err.ends[0], POLLIN, 0}};
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    ::poll(streams.data(), streams.size(), 100);
    if ((streams[0].revents & (POLLIN | POLLHUP)) != 0 && !drain(streams[0].fd, finished.out))
      streams[0].fd = -1;
    if ((streams[1].revents & (POLLIN | POLLHUP)) != 0 && !drain(streams[1].fd, finished.err))
      streams[1].fd = -1;
    hand_lines(finished.out, handed, on_line);
    if (!asked_to_stop && cancelled && cancelled()) {
      asked_to_stop = true;
      child.signal(SIGTERM);
    }
    if (Clock::now() > deadline) {
      finished.timed_out = true;
      child.signal(SIGKILL);
      break;
    }
  }
  if (on_line && handed < finished.out.size()) on_line(std::string_view(finished.out).substr(handed));
  finished.exit_code = child.wait();
  return finished;
}

}  // namespace mcufit
