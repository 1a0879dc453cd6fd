// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>

#include "blocks/builder.h"
#include "blocks/foundation/error.h"
#include "blocks/weights.h"

// The safetensors reader: weights that pass verify(), or an Error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mcufit;
  static const Graph graph = [] {
    GraphBuilder b("g", {1, 1, 2});
    b.fully_connected("fc", b.input(), 2);
    return b.finish();
  }();
  const std::string path = "/tmp/mcufit_fuzz_weights_" + std::to_string(::getpid());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    verify(read_weights(path, graph), graph);
  } catch (const Error&) {
  }
  return 0;
}
