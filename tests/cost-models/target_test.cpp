// SPDX-License-Identifier: Apache-2.0
#include "cost-models/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/json_reader.h"
#include "cost-models/cores.h"

namespace mcufit {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Target, EveryTargetFileIsReadAndNamedAsItsFile) {
  const auto names = target_names();
  EXPECT_FALSE(names.empty());
  for (const std::string& name : names) {
    const Target t = load_target(name);
    EXPECT_EQ(t.name, name);
    EXPECT_NE(find_core(t.core), nullptr);
    const auto json = to_json(t);
    EXPECT_EQ(to_json(read_config<Target>(JsonDocument::parse(json.dump(), name), read_target)), json);
  }
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

MemoryRegion ram(std::string name, std::int64_t bytes, std::optional<std::int64_t> address,
                 bool usable = true) {
  return {.name = std::move(name),
          .kind = MemoryRegion::Kind::ram,
          .bytes = bytes,
          .base_address = address,
          .usable = usable};
}

TEST(Regions, JoinWhereTheyMeetAndNowhereElse) {
  const auto kRam = MemoryRegion::Kind::ram;
  EXPECT_EQ(most_contiguous({}, kRam), 0);
  EXPECT_EQ(most_contiguous({ram("a", 100, 1000), ram("b", 50, 1100)}, kRam), 150);
  EXPECT_EQ(most_contiguous({ram("b", 50, 1100), ram("a", 100, 1000)}, kRam), 150);  // in any order
  EXPECT_EQ(most_contiguous({ram("a", 100, 1000), ram("b", 50, 1101)}, kRam), 100);  // a gap
  EXPECT_EQ(most_contiguous({ram("a", 100, 1000), ram("b", 50, 1100, false), ram("c", 120, 1150)}, kRam),
            120);
  EXPECT_EQ(most_contiguous({ram("a", 100, std::nullopt), ram("b", 50, std::nullopt)}, kRam), 100);
  EXPECT_EQ(most_contiguous({ram("a", 100, 1000)}, MemoryRegion::Kind::flash), 0);
}

TEST(Regions, OfBoardsGiveWhatAnArenaMayUse) {
  EXPECT_EQ(load_target("stm32l476").ram_bytes, 96 << 10);   // SRAM2 lies elsewhere
  EXPECT_EQ(load_target("stm32u575").ram_bytes, 768 << 10);  // SRAM1 to SRAM3 in one run, SRAM4 apart
  EXPECT_EQ(load_target("stm32h743").ram_bytes, 512 << 10);  // AXI SRAM; DTCM and SRAM1 to SRAM4 apart
  EXPECT_EQ(load_target("k210").ram_bytes, 6 << 20);         // the accelerator's 2 MiB left out
  EXPECT_EQ(load_target("nrf5340").flash_bytes, 1 << 20);    // the network core's left out
}

TEST(Features, OfTheCoreComeByThemselves) {
  const Target t = load_target("corstone300");
  EXPECT_TRUE(t.fpu);
  EXPECT_THAT(t.features, ::testing::IsSupersetOf({"dsp", "divide", "mve", "mve_float", "fpu"}));
  EXPECT_FALSE(load_target("microbit").fpu);
}

TEST(Budget, LeavesTheReserves) {
  Target t = load_target("nrf52840");
  t.reserved_flash_bytes = 1000;
  t.reserved_ram_bytes = 200;
  t.reserved_stack_bytes = 30;
  EXPECT_EQ(derive(t, {}).flash_bytes, t.flash_bytes - 1000);
  EXPECT_EQ(derive(t, {}).ram_bytes, t.ram_bytes - 230);
  Limits limits;
  limits.latency_us = 1500;
  limits.energy_uj = 2.5;
  EXPECT_EQ(derive(t, limits).latency_us, 1500);
  EXPECT_EQ(to_json(derive(t, limits)).at("energy_uj"), 2.5);
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
