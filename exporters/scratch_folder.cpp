// SPDX-License-Identifier: Apache-2.0
#include "exporters/scratch_folder.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "blocks/foundation/error.h"

namespace mcufit {

ScratchFolder::ScratchFolder(const std::filesystem::path& parent) {
  std::error_code error;
  std::filesystem::create_directories(parent, error);
  std::string name = (parent / ".mcufit.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw Error(ExitCode::io,
                fmt::format("{}: cannot make a folder in it: {}; choose one that can be written",
                            parent.string(), std::strerror(errno)));
  }
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;  // a left-over hidden folder does no harm
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace mcufit
