// SPDX-License-Identifier: Apache-2.0
#include "cost-models/cycle_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/json_reader.h"

namespace mcufit {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

CycleTable table_of(const char* core) { return load_cycle_table(core).value(); }

// Cycles of instructions that each ran `times` times, one behind the other.
std::int64_t straight(const CycleTable& table, const std::vector<std::pair<const char*, const char*>>& code,
                      std::int64_t times = 1) {
  std::vector<Instruction> listing;
  std::map<std::int64_t, Executions> executed;
  for (const auto& [mnemonic, operands] : code) {
    const auto address = static_cast<std::int64_t>(2 * listing.size());
    listing.push_back({address, 2, mnemonic, operands});
    executed[address] = {times, 0};
  }
  return modelled_cycles(table, listing, executed);
}

TEST(CycleTable, AreThoseOfTwoManuals) {
  for (const char* core : {"cortex-m0", "cortex-m4"}) {
    const CycleTable table = table_of(core);
    EXPECT_EQ(table.core, core);
    EXPECT_THAT(table.source, HasSubstr("DDI 04"));
    const auto json = to_json(table);
    EXPECT_EQ(to_json(read_config<CycleTable>(JsonDocument::parse(json.dump(), core), read_cycle_table)),
              json);
  }
  EXPECT_FALSE(load_cycle_table("cortex-m55"));
}

TEST(CycleTable, KnowsMnemonicsWithTheirSuffixes) {
  const CycleTable m4 = table_of("cortex-m4");
  const auto is = [&](const char* printed, const char* name) { return &m4.of(printed) == &m4.of(name); };
  EXPECT_TRUE(is("ldr.w", "ldr"));
  EXPECT_TRUE(is("bls.n", "b"));
  EXPECT_TRUE(is("blt", "b"));
  EXPECT_TRUE(is("bleq", "bl"));
  EXPECT_TRUE(is("ble.w", "b"));
  EXPECT_TRUE(is("adcs", "adc"));
  EXPECT_TRUE(is("lsls", "lsl"));
  EXPECT_TRUE(is("muls", "mul"));
  EXPECT_TRUE(is("mls", "mls"));
  EXPECT_FALSE(is("mls", "mla"));
  EXPECT_TRUE(is("ittee", "it"));
  EXPECT_TRUE(is("sxtble.w", "sxtb"));
  EXPECT_EQ(m4.of("smlal").results, 2);
  EXPECT_EQ(m4.of("cmp").results, 0);
  EXPECT_EQ(m4.of("strd").access, MemoryAccess::several);
}

TEST(CycleTable, WhatItLacksIsNamed) {
  EXPECT_THAT([] { (void)table_of("cortex-m0").of("udiv"); },
              ThrowsMessage<Error>(HasSubstr("cycle table of cortex-m0: found the instruction 'udiv'")));
  EXPECT_THAT(
      [] {
        (void)modelled_cycles(table_of("cortex-m0"), {{0, 2, "nop", ""}}, {{4, {1, 0}}});
      },
      ThrowsMessage<Error>(HasSubstr("1 of 1 executed addresses")));
}

TEST(CycleTable, AnInstructionTwiceIsRefused) {
  const auto read = [] {
    auto json = nlohmann::json::parse(R"({"core": "x", "source": "s", "rules": "r", "load_overlap": 0,
      "address_stall": 0, "instructions": {"add sub": {"cycles": 1}, "mul sub": {"cycles": 2}}})");
    return read_config<CycleTable>(JsonDocument::parse(json.dump(), "x.json"), read_cycle_table);
  };
  EXPECT_THAT(read, ThrowsMessage<ConfigError>(HasSubstr("'sub' is there twice")));
}

// The examples of the manual's load/store timings.
TEST(CortexM4Cycles, LoadsOverlapAsTheManualSays) {
  const CycleTable m4 = table_of("cortex-m4");
  EXPECT_EQ(straight(m4, {{"ldr", "r0, [r1]"}, {"ldr", "r1, [r2]"}}), 3);
  EXPECT_EQ(straight(m4, {{"ldr", "r0, [r1, r2]"}, {"str", "r0, [r3, #20]"}}), 3);
  EXPECT_EQ(straight(m4, {{"ldr", "r0, [r1, r2]"}, {"str", "r1, [r3, r2]"}}), 3);
  EXPECT_EQ(straight(m4, {{"ldr", "r0, [r1, r5]"}, {"ldr", "r1, [r2]"}, {"ldr", "r2, [r3, #4]"}}), 4);
  EXPECT_EQ(straight(m4, {{"ldr", "r0, [r1]"}, {"ldr", "r2, [r0]"}}), 4)
      << "the first makes the second's address";
  EXPECT_EQ(straight(m4, {{"str", "r0, [r1, #4]"}, {"ldr", "r2, [r1]"}}), 3)
      << "nothing overlaps with a store";
  EXPECT_EQ(straight(m4, {{"ldr", "r0, [r1]"}, {"ldrd", "r2, r3, [r1]"}, {"ldr", "r4, [r1]"}}), 2 + 3 + 2);
}

TEST(CortexM4Cycles, AnAddressJustComputedIsWaitedFor) {
  const CycleTable m4 = table_of("cortex-m4");
  EXPECT_EQ(straight(m4, {{"adds", "r1, r1, #4"}, {"ldr", "r0, [r1]"}}), 1 + 3);
  EXPECT_EQ(straight(m4, {{"adds", "r1, r1, #4"}, {"ldr", "r0, [r2]"}}), 1 + 2);
  EXPECT_EQ(straight(m4, {{"adds", "r1, r1, #4"}, {"ldmia.w", "r1!, {r2, r3}"}}), 1 + 4);
  EXPECT_EQ(straight(m4, {{"umull", "r1, r2, r3, r4"}, {"strb", "r0, [r2, #0]"}}), 1 + 2);
  EXPECT_EQ(straight(m4, {{"cmp", "r1, #4"}, {"ldr", "r0, [r1]"}}), 1 + 2)
      << "a compare computes no register";
  EXPECT_EQ(straight(m4, {{"sub", "sp, #8"}, {"push", "{r4, lr}"}}), 1 + 1 + 3);
}

TEST(CortexM4Cycles, WhatDoesNotFollowInMemoryDoesNotMatter) {
  const CycleTable m4 = table_of("cortex-m4");
  const std::vector<Instruction> listing{{0, 2, "ldr", "r0, [r1]"}, {4, 2, "ldr", "r2, [r1]"}};
  EXPECT_EQ(modelled_cycles(m4, listing, {{0, {5, 0}}, {4, {5, 0}}}), 20);
}

TEST(CortexM0Cycles, LoadsTakeTwoWhateverFollows) {
  const CycleTable m0 = table_of("cortex-m0");
  EXPECT_EQ(straight(m0, {{"ldr", "r0, [r1, #0]"}, {"ldr", "r2, [r1, r0]"}}, 7), 7 * 4);
  EXPECT_EQ(straight(m0, {{"ldmia", "r0!, {r1, r2, r3}"}, {"stmia", "r4!, {r1, r2, r3}"}}), 4 + 4);
  EXPECT_EQ(straight(m0, {{"muls", "r0, r1"}, {"negs", "r0, r0"}}), 2);
}

}  // namespace
}  // namespace mcufit
