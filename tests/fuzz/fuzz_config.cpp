// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "blocks/family.h"
#include "blocks/foundation/json_reader.h"
#include "cost-models/price.h"
#include "cost-models/target.h"

// Every reader of a configuration file: whatever the bytes, a value or an Error. An architecture that is read
// is built.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mcufit;
  constexpr std::int64_t kSmall = 64;  // large inputs build slowly, not differently
  try {
    const JsonDocument document =
        JsonDocument::parse(std::string(reinterpret_cast<const char*>(data), size), "fuzz");
    const auto attempt = [&](const auto& read) {
      try {
        read();
      } catch (const Error&) {
      }
    };
    attempt([&] { to_json(read_config<Target>(document, read_target)); });
    attempt([&] { to_json(read_config<CodeSizes>(document, read_code_sizes)); });
    attempt([&] {
      const Architecture a = read_config<Architecture>(document, read_architecture);
      if (a.task.input.pixels() <= kSmall * kSmall) verify(a.build());
    });
  } catch (const Error&) {
  }
  return 0;
}
