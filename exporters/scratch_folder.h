// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace mcufit {

// A fresh, hidden folder in `parent` (made when missing), removed with all it holds when left. Throws
// Error(io).
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::filesystem::path& parent);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace mcufit
