// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "blocks/foundation/subprocess.h"

namespace mcufit::testing {

// Runs the built mcufit in `folder`, as a user would.
Finished mcufit(const std::vector<std::string>& arguments, const std::filesystem::path& folder,
                const std::vector<std::pair<std::string, std::string>>& environment = {},
                const std::function<bool()>& cancelled = {});

// A search job small enough for a test: a few hundred images, one epoch, two rungs.
nlohmann::json tiny_job();

// Why a search cannot be run here ("" where it can): the data set or the worker is missing.
std::string missing_for_search();

// Why nothing can be emulated here ("" where it can).
std::string missing_for_device();

// A fresh folder in the system's temporary one, removed when left.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& content) const;

 private:
  std::filesystem::path path_;
};

}  // namespace mcufit::testing
