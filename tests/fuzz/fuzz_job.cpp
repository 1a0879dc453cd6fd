// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "blocks/foundation/json_reader.h"
#include "search/cli/job.h"

// The reader of jobs: whatever the bytes, a value or an Error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mcufit;
  try {
    const JsonDocument document =
        JsonDocument::parse(std::string(reinterpret_cast<const char*>(data), size), "fuzz");
    to_json(read_config<Job>(document, read_job));
  } catch (const Error&) {
  }
  return 0;
}
