// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "blocks/family.h"
#include "blocks/foundation/json_reader.h"
#include "cost-models/latency.h"
#include "cost-models/price.h"
#include "cost-models/target.h"

namespace {

// What was read, written and read once more: a value that its own reader refuses aborts.
template <typename T>
T read_again(const mcufit::JsonDocument& document, T (*read)(mcufit::ObjectReader&)) {
  const std::string once = to_json(mcufit::read_config<T>(document, read)).dump();
  try {
    T value = mcufit::read_config<T>(mcufit::JsonDocument::parse(once, "again"), read);
    if (to_json(value).dump() != once) std::abort();
    return value;
  } catch (const mcufit::Error&) {
    std::abort();
  }
}

}  // namespace

// Every reader of a configuration file below the command line: whatever the bytes, a value or an Error. An
// architecture that is read is built.
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
    attempt([&] { derive(read_again<Target>(document, read_target), {}); });
    attempt([&] { read_again<CodeSizes>(document, read_code_sizes); });
    attempt([&] { read_again<Limits>(document, read_limits); });
    attempt([&] { read_again<LatencyLaw>(document, read_latency_law); });
    attempt([&] {
      const Architecture a = read_config<Architecture>(document, read_architecture);
      if (a.task.input.pixels() <= kSmall * kSmall) verify(a.build());
    });
  } catch (const Error&) {
  }
  return 0;
}
