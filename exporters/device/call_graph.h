// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mcufit {

// Who calls whom with which stack frame, from the files that `gcc -fcallgraph-info=su` writes. Static
// functions are named "file.c:function", others "function".
class CallGraph {
 public:
  // Adds a .ci file. Throws Error(input) if it is none.
  void add(const std::filesystem::path& file);

  // Functions that are called but were not added: those of the compiler's library.
  std::vector<std::string> missing() const;

  // Adds a function of which no more than its stack is known.
  void add_leaf(const std::string& function, std::int64_t stack_bytes);

  // The deepest stack of `function` and all it calls, its own frame included. Throws Error(internal) naming
  // the function where there is no bound: recursion, a frame of variable size, a call through a pointer, or a
  // callee that was not added.
  std::int64_t stack_bound(std::string_view function) const;

  // Its own frame alone.
  std::int64_t frame_bytes(std::string_view function) const;

 private:
  struct Function {
    std::int64_t frame_bytes = 0;
    bool bounded = true;
    std::vector<std::string> callees;
  };
  const Function& find(std::string_view function) const;
  std::int64_t deepest(const std::string& function, std::vector<std::string>& path) const;

  std::map<std::string, Function, std::less<>> functions_;
};

}  // namespace mcufit
