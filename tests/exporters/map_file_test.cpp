// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/random.h"
#include "exporters/device/call_graph.h"
#include "exporters/device/device.h"
#include "tests/exporters/sample_network.h"
#include "tests/random_seed.h"

namespace mcufit::testing {
namespace {

// Shortened from a real one; a foreign object and initialised data were added.
constexpr std::string_view kMap = R"(
Discarded input sections

 .text.model_selftest
                0x00000000       0x68 out/model_selftest.o

Memory Configuration

Name             Origin             Length             Attributes
FLASH            0x00000000         0x00010000         xr

Linker script and memory map


.vectors        0x00000000       0x40
 *(.vectors)
 .vectors       0x00000000       0x40 startup.o

.text           0x00000040      0x500
 *(.text .text.*)
 .text          0x00000040        0x0 out/model.o
 .text.main     0x00000040       0x33 main.o
                0x00000040                main
 *fill*         0x00000073        0x1
 .text.mcufit_conv2d_s8
                0x00000074      0x54c out/mcufit_conv2d_s8.o
                0x00000074                mcufit_conv2d_s8
 .text.model_invoke
                0x000005c0       0x28 out/model.o
 .rodata.model_calls
                0x000005e8       0x18 out/model_steps.o
 .rodata.model_step12
                0x00000600       0x48 out/model_steps.o
 .rodata.model_n12_shift
                0x00000648        0x5 out/model_weights.o
 *fill*         0x0000064d        0x3
 .rodata.model_n12_multiplier
                0x00000650       0x14 out/model_weights.o
 .rodata.model_n12_bias
                0x00000664       0x14 out/model_weights.o
 .rodata.model_n12_filter
                0x00000678       0x2d out/model_weights.o
 *fill*         0x000006a5        0x3
 .rodata.table  0x000006a8        0x8 main.o

.data           0x20000000       0x4
 .data.counter  0x20000000        0x4 out/model.o

.bss            0x20000004      0x2d4
 .bss.model_arena
                0x20000004      0x2d0 out/model.o
                0x200002d4                . = ALIGN (0x4)
LOAD out/model.o

.debug_info     0x00000000      0x100
 .debug_info    0x00000000      0x100 out/model.o
)";

Manifest manifest() {
  Manifest m;
  m.name = "model";
  m.sources = {"mcufit_conv2d_s8.c", "model.c", "model_selftest.c", "model_steps.c", "model_weights.c"};
  return m;
}

class MapFile : public ::testing::Test {
 protected:
  LinkedSizes read(std::string_view text) {
    const auto file = folder_.path() / "firmware.map";
    write_file(file, text);
    return read_map(file, manifest());
  }
  TestFolder folder_;
};

TEST_F(MapFile, SizesGoToTheirOwners) {
  const LinkedSizes sizes = read(kMap);
  EXPECT_EQ(sizes.flash.weights_bytes, 0x2d);
  EXPECT_EQ(sizes.flash.bias_bytes, 0x14);
  EXPECT_EQ(sizes.flash.table_bytes, 0x14 + 5);
  EXPECT_EQ(sizes.flash.step_bytes, 0x48);
  EXPECT_EQ(sizes.flash.code_bytes, 0x54c + 0x28 + 0x18);
  EXPECT_EQ(sizes.arena_bytes, 0x2d0);
  EXPECT_EQ(sizes.data_bss_bytes, 4);
  EXPECT_EQ(sizes.alignment_bytes, 1 + 3) << "fill in front of another's section is that one's";
  EXPECT_EQ(sizes.sections.at("model.o(.text.model_invoke)"), 0x28);
  EXPECT_EQ(sizes.sections.size(), 10U);
}

// What a filter has beyond the bytes of the packed one is the price of wide filters.
TEST_F(MapFile, WideFiltersHaveAnOwnerOfTheirOwn) {
  const auto file = folder_.path() / "firmware.map";
  write_file(file, kMap);
  Manifest m = manifest();
  m.steps.resize(2);
  m.steps[0].node = 1;
  m.steps[1].node = 12;
  m.steps[1].filter_bytes = 0x2d;
  EXPECT_EQ(read_map(file, m).flash.wider_filter_bytes, 0);
  m.steps[1].filter_bytes = 9;
  const FlashLedger wide = read_map(file, m).flash;
  EXPECT_EQ(wide.weights_bytes, 9);
  EXPECT_EQ(wide.wider_filter_bytes, 0x2d - 9);
  EXPECT_EQ(wide.total(), read(kMap).flash.total());
}

TEST_F(MapFile, WhatIsNoMapIsRefused) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view("hello\n"), kMap.substr(0, 200)}) {
    try {
      read(text);
      ADD_FAILURE() << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::input);
      EXPECT_THAT(e.what(), ::testing::HasSubstr("Linker script and memory map"));
    }
  }
  EXPECT_THROW(read("Linker script and memory map\n .text 0x0 0x4 main.o\n"), Error)
      << "none of the package's objects";
}

// Whatever was damaged: an answer or an Error.
TEST_F(MapFile, DamageIsSurvived) {
  MCUFIT_TRACE_SEED();
  Random random(seed());
  for (int i = 0; i < 300; ++i) {
    std::string text(kMap);
    for (std::int64_t changes = random.between(1, 20); changes > 0; --changes) {
      text[random.below(text.size())] = static_cast<char>(random.between(0, 255));
    }
    text.resize(random.below(text.size()) + 1);
    try {
      EXPECT_GE(read(text).flash.total(), 0);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::input);
    }
  }
}

constexpr const char* kCalls =
    "graph: { title: \"/x/model.c\"\n"
    "node: { title: \"invoke\" label: \"invoke\\n/x/model.c:8:6\\n16 bytes (static)\" }\n"
    "edge: { sourcename: \"invoke\" targetname: \"/x/model.c:adapter\" label: \"/x/model.c:8:88\" }\n"
    "node: { title: \"/x/model.c:adapter\" label: \"adapter\\n/x/model.c:6:13\\n8 bytes (static)\" }\n"
    "node: { title: \"kernel\" label: \"kernel\\n/x/runtime.h:88:6\" shape : ellipse }\n"
    "edge: { sourcename: \"/x/model.c:adapter\" targetname: \"kernel\" label: \"/x/model.c:6:75\" }\n}\n";

class Calls : public ::testing::Test {
 protected:
  void add(const std::string& text) {
    write_file(folder_.path() / "x.ci", text);
    graph_.add(folder_.path() / "x.ci");
  }
  std::string refusal(const std::string& function) {
    try {
      graph_.stack_bound(function);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }
  CallGraph graph_;
  TestFolder folder_;
};

TEST_F(Calls, TheDeepestPathCounts) {
  add(kCalls);
  EXPECT_THAT(refusal("invoke"), ::testing::HasSubstr("kernel is called but was not compiled"));
  add("graph: { title: \"/x/k.c\"\nnode: { title: \"kernel\" label: \"kernel\\n/x/k.c:1:6\\n100 bytes "
      "(static)\" }\n"
      "node: { title: \"/x/k.c:dot\" label: \"dot\\n/x/k.c:1:6\\n24 bytes (static)\" }\n"
      "edge: { sourcename: \"kernel\" targetname: \"/x/k.c:dot\" label: \"\" }\n}\n");
  EXPECT_EQ(graph_.frame_bytes("invoke"), 16);
  EXPECT_EQ(graph_.stack_bound("invoke"), 16 + 8 + 100 + 24);
}

TEST_F(Calls, NoBoundIsGivenWhereThereIsNone) {
  add("graph: { title: \"x\"\nnode: { title: \"a\" label: \"a\\nx:1:6\\n8 bytes (static)\" }\n"
      "node: { title: \"v\" label: \"v\\nx:2:6\\n8 bytes (dynamic)\" }\n"
      "edge: { sourcename: \"a\" targetname: \"a\" label: \"\" }\n"
      "node: { title: \"p\" label: \"p\\nx:3:6\\n8 bytes (static)\" }\n"
      "node: { title: \"__indirect_call\" label: \"Indirect Call Placeholder\" shape : ellipse }\n"
      "edge: { sourcename: \"p\" targetname: \"__indirect_call\" label: \"\" }\n}\n");
  EXPECT_THAT(refusal("a"), ::testing::HasSubstr("recursion"));
  EXPECT_THAT(refusal("v"), ::testing::HasSubstr("variable size"));
  EXPECT_THAT(refusal("p"), ::testing::HasSubstr("through a pointer"));
  EXPECT_THROW(add("no graph"), Error);
}

}  // namespace
}  // namespace mcufit::testing
