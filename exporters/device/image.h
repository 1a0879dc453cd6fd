// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "exporters/package.h"

namespace mcufit {

// An emulated board: its name in QEMU and where its memories lie. The firmware lives in the scratch memory,
// so that the target's flash and RAM hold the model alone.
struct Board {
  std::string_view core;
  std::string_view machine;
  std::int64_t flash_origin = 0;
  std::int64_t flash_bytes = 0;
  std::int64_t ram_origin = 0;
  std::int64_t ram_bytes = 0;
  std::int64_t scratch_origin = 0;
  std::int64_t scratch_bytes = 0;
};

// Null when no board with this core is emulated yet.
const Board* find_board(const Target& target);

// A program for a board: a package and the firmware that runs it.
struct Image {
  std::string elf;  // in the work folder
  std::string map;
  std::string compiler;
  std::int64_t stack_bound_bytes = 0;  // of <name>_invoke()
};

// Compiles and links into `work`. The image reads `samples` samples. Throws as validate() does.
Image build_image(const std::filesystem::path& package, const Manifest& manifest, const Board& board,
                  std::int64_t samples, const std::filesystem::path& work);

}  // namespace mcufit
