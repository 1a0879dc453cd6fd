// SPDX-License-Identifier: Apache-2.0
#include "cost-models/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/json_reader.h"

namespace mcufit {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Target, EveryTargetFileIsReadAndNamedAsItsFile) {
  const auto names = target_names();
  EXPECT_FALSE(names.empty());
  for (const std::string& name : names) EXPECT_EQ(load_target(name).name, name);
}

TEST(Target, SurvivesJson) {
  const Target t = load_target("nrf52840");
  EXPECT_EQ(t.flash_bytes, 1 << 20);
  EXPECT_EQ(t.ram_bytes, 256 << 10);
  const Target again = read_config<Target>(JsonDocument::parse(to_json(t).dump(), "t"), read_target);
  EXPECT_EQ(to_json(again), to_json(t));
}

TEST(Target, UnknownNamesGetASuggestion) {
  EXPECT_THAT([] { load_target("nrf5284"); }, ThrowsMessage<Error>(HasSubstr("did you mean 'nrf52840'?")));
}

TEST(Target, FaultsAreToldTogether) {
  const auto read = [] {
    read_config<Target>(
        JsonDocument::parse(R"({"name": "x", "core": "cortex-m5", "flash": 1, "ram_bytes": -5})", "x.json"),
        read_target);
  };
  EXPECT_THAT(read, ThrowsMessage<ConfigError>(HasSubstr("did you mean 'cortex-m")));
  EXPECT_THAT(read, ThrowsMessage<ConfigError>(HasSubstr("/flash: unknown key")));
  EXPECT_THAT(read, ThrowsMessage<ConfigError>(HasSubstr("/ram_bytes: found -5")));
  EXPECT_THAT(read, ThrowsMessage<ConfigError>(HasSubstr("'clock_hz' is missing")));
}

TEST(Budget, IsTheSmallerOfLimitAndTarget) {
  const Target t = load_target("nrf52840");
  EXPECT_EQ(derive(t, {}).flash_bytes, t.flash_bytes);
  Limits limits;
  limits.flash_bytes = 65536;
  EXPECT_EQ(derive(t, limits).flash_bytes, 65536);
  limits.ram_bytes = t.ram_bytes + 1;
  EXPECT_THAT([&] { derive(t, limits); }, ThrowsMessage<Error>(HasSubstr("at most the 262144")));
}

}  // namespace
}  // namespace mcufit
