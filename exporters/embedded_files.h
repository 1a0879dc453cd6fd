// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace mcufit {

// A source file that was compiled into the program as text.
struct EmbeddedFile {
  std::string_view name;  // without folder: "conv2d_s8.c"
  std::string_view content;
};

// The runtime that packages carry: its headers, one <kernel>.c per kernel, one <kernel>_<isa>.c per variant.
std::span<const EmbeddedFile> runtime_files();

// exporters/device/firmware: what surrounds a model on an emulated device.
std::span<const EmbeddedFile> firmware_files();

// exporters/device/plugin: what the emulator loads to count.
std::span<const EmbeddedFile> plugin_files();

}  // namespace mcufit
