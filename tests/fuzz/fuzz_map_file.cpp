// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>

#include "blocks/foundation/error.h"
#include "exporters/device/device.h"

// The reader of linker maps.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mcufit;
  static const Manifest manifest = [] {
    Manifest m;
    m.name = "net";
    m.sources = {"net.c", "net_steps.c", "net_weights.c", "mcufit_conv2d_s8.c"};
    return m;
  }();
  const std::string path = "/tmp/mcufit_fuzz_map_" + std::to_string(::getpid());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    read_map(path, manifest);
  } catch (const Error&) {
  }
  return 0;
}
