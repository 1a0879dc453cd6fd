// SPDX-License-Identifier: Apache-2.0
// Cycles of assembled snippets that run on the emulator, against numbers counted by hand from the manuals,
// and of whole packages.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/subprocess.h"
#include "exporters/device/device.h"
#include "exporters/device/executions.h"
#include "tests/exporters/sample_network.h"
#include "tests/exporters/streamed_plans.h"
#include "tests/random_seed.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// A function in assembly and what a call of it takes, its return included.
struct Snippet {
  const char* name;
  const char* code;
  std::int64_t instructions, cycles;
};

// Taken branches 3, the last of a loop 1; P is 2.
const std::vector<Snippet> kCortexM4{
    {"loop", "movs r0, #10\n1: subs r0, #1\nbne 1b\nbx lr", 22, 1 + 10 + (9 * 3 + 1) + 3},
    {"branches", "movs r0, #0\ncmp r0, #0\nbne 1f\nnop\n1: beq 2f\nnop\n2: b 3f\nnop\n3: bx lr", 7,
     1 + 1 + 1 + 1 + 3 + 3 + 3},
    {"stack", "push {r4, r5, lr}\npop {r4, r5, pc}", 2, 4 + 6},
    {"call", "push {r4, lr}\nbl 1f\npop {r4, pc}\n1: bx lr", 4, 3 + 3 + 3 + 5},
    {"multiple",
     "sub sp, #16\nmov r1, sp\nstmia r1!, {r0, r2, r3}\nmov r1, sp\nldmia r1!, {r0, r2, r3}\n"
     "add sp, #16\nbx lr",
     7, 1 + 1 + (4 + 1) + 1 + (4 + 1) + 1 + 3},
    {"memory",
     "mov r1, sp\nsubs r1, #16\nstr r1, [r1, #4]\nldr r2, [r1, #4]\nldr r0, [r2]\nldr r3, [r1, #4]\n"
     "str r3, [r1, #8]\nmovs r3, #0\nstr r0, [r1, r3]\nbx lr",
     10, 1 + 1 + (1 + 1) + 2 + 2 + 1 + 1 + 1 + (2 + 1) + 3},
    // The second load overlaps where it comes behind the first, not where the loop is entered.
    {"entered", "movs r2, #3\nmov r1, sp\nb 2f\n1: ldr r0, [r1]\n2: ldr r3, [r1]\nsubs r2, #1\nbne 1b\nbx lr",
     15, 1 + 1 + 3 + 2 * 2 + (2 + 2 * 1) + 3 + (2 * 3 + 1) + 3},
    {"predicated", "movs r0, #1\ncmp r0, #1\nite eq\nmoveq r0, #2\nmovne r0, #3\nit ne\nbxne lr\nbx lr", 8,
     7 * 1 + 3},
    {"arithmetic",
     "movs r0, #7\nmovs r1, #3\nmul r2, r0, r1\nudiv r3, r0, r1\nsmlad r2, r0, r1, r2\n"
     "smull r2, r3, r0, r1\nsxtb16 r2, r0\nbx lr",
     8, 1 + 1 + 1 + 12 + 1 + 1 + 1 + 3},
    {"table", "movs r0, #0\ncbz r0, 1f\nnop\n1: tbb [pc, r0]\n.byte 1, 1\nbx lr", 4, 1 + 3 + 4 + 3}};

// Taken branches 2, BL 3; loads and stores 2.
const std::vector<Snippet> kCortexM0{
    {"loop", "movs r0, #10\n1: subs r0, #1\nbne 1b\nbx lr", 22, 1 + 10 + (9 * 2 + 1) + 2},
    {"branches", "movs r0, #0\ncmp r0, #0\nbne 1f\nnop\n1: beq 2f\nnop\n2: b 3f\nnop\n3: bx lr", 7,
     1 + 1 + 1 + 1 + 2 + 2 + 2},
    {"stack", "push {r4, r5, lr}\npop {r4, r5, pc}", 2, 4 + 6},
    {"call", "push {r4, lr}\nbl 1f\npop {r4, pc}\n1: bx lr", 4, 3 + 3 + 2 + 5},
    {"multiple",
     "sub sp, #16\nmov r1, sp\nstmia r1!, {r0, r2, r3}\nmov r1, sp\nldmia r1!, {r0, r2, r3}\n"
     "add sp, #16\nbx lr",
     7, 1 + 1 + 4 + 1 + 4 + 1 + 2},
    {"memory",
     "mov r1, sp\nsubs r1, #16\nstr r1, [r1, #4]\nldr r2, [r1, #4]\nmovs r3, #0\nstr r2, [r1, r3]\nbx lr", 7,
     1 + 1 + 2 + 2 + 1 + 2 + 2},
    {"arithmetic", "movs r0, #7\nmovs r1, #3\nmuls r0, r1, r0\nlsls r0, r0, #2\nbx lr", 5, 4 + 2}};

// Calls each snippet between the labels that the plugin watches, and ends the run.
std::string program_of(const std::vector<Snippet>& snippets) {
  std::string text = ".syntax unified\n.thumb\n.word 0x20010000\n.word reset + 1\n.thumb_func\nreset:\n";
  for (const Snippet& s : snippets)
    text += fmt::format("ldr r4, ={} + 1\nbl counted\nbl report_line\n", s.name);
  text +=
      "movs r0, #0x20\nldr r1, =exit_code\nbkpt 0xab\n"
      ".thumb_func\ncounted: push {r4, lr}\nisa_counted_from: blx r4\nisa_counted_to: nop\npop {r4, pc}\n"
      ".thumb_func\nreport_line: bx lr\n.align 2\nexit_code: .word 0x20026, 0\n.ltorg\n";
  for (const Snippet& s : snippets) text += fmt::format(".align 2\n.thumb_func\n{}:\n{}\n", s.name, s.code);
  return text;
}

class SnippetCycles : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    for (const char* name : {"gcc", "arm-none-eabi-gcc", "qemu-system-arm"}) {
      if (!find_program(name)) GTEST_SKIP() << name << " is not installed";
    }
  }

  // What the tool prints, at work in the test's folder.
  std::string tool(const std::string& program, const std::vector<std::string>& arguments) {
    Command command;
    command.program = program;
    command.arguments = arguments;
    command.folder = folder_.path();
    const Finished finished = run(command);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return finished.out;
  }

  Listing assemble(const std::vector<Snippet>& snippets) {
    write_file(folder_.path() / "snippets.s", program_of(snippets));
    tool("arm-none-eabi-gcc", {std::string("-mcpu=") + GetParam(), "-mthumb", "-nostdlib", "-Wl,-Ttext=0",
                               "-Wl,-ereset", "snippets.s", "-o", "snippets.elf"});
    return read_listing(tool("arm-none-eabi-objdump", {"-d", "snippets.elf"}));
  }

  ExecutionRecords run_them(const Listing& listing, const Findings& findings) {
    Image image;
    image.elf = "snippets.elf";
    run_image(image, find_device(GetParam()), folder_.path(), count_executions(listing, folder_.path()));
    return read_executions(folder_.path(), listing, findings);
  }

  TestFolder folder_;
};

std::string core_name(const ::testing::TestParamInfo<const char*>& core) {
  return std::string(core.param).substr(7);  // after "cortex-"
}

TEST_P(SnippetCycles, AreThoseCountedByHand) {
  const auto& snippets = GetParam() == std::string_view("cortex-m4") ? kCortexM4 : kCortexM0;
  const CycleTable table = load_cycle_table(GetParam()).value();
  const Listing listing = assemble(snippets);
  Findings counted;
  for (const Snippet& s : snippets) counted.emplace_back(s.name, s.instructions);
  const ExecutionRecords records = run_them(listing, counted);
  for (std::size_t i = 0; i < snippets.size(); ++i)
    EXPECT_EQ(modelled_cycles(table, listing.instructions, records[i]), snippets[i].cycles)
        << snippets[i].name;
}

TEST_P(SnippetCycles, AnotherCountThanTheClocksIsRefused) {
  const std::vector<Snippet> one{kCortexM0.front()};
  const Listing listing = assemble(one);
  EXPECT_THAT(
      [&] {
        run_them(listing, {{"loop", 23}});
      },
      ThrowsMessage<Error>(HasSubstr("found 22 instructions of 'loop'; the emulator's clock counted 23")));
  EXPECT_THAT(
      [&] {
        run_them(listing, {{"loop", 22}, {"more", 1}});
      },
      ThrowsMessage<Error>(HasSubstr("found 1 records; accepted: 2")));
}

INSTANTIATE_TEST_SUITE_P(Cores, SnippetCycles, ::testing::Values("cortex-m0", "cortex-m4"), core_name);

TEST(Listing, HasInstructionsAndSymbolsButNoData) {
  const Listing listing = read_listing(
      "a.elf:     file format elf32-littlearm\n\nDisassembly of section .text:\n\n"
      "210001bc <back>:\n210001bc:\tf85d fb04 \tldr.w\tpc, [sp], #4\t@ comment [r7]\n"
      "210001c0:\t21000259 \t.word\t0x21000259\n210001c4:\tbf00      \tnop\n");
  ASSERT_EQ(listing.instructions.size(), 2U);
  EXPECT_EQ(listing.instructions[0].address, 0x210001bc);
  EXPECT_EQ(listing.instructions[0].bytes, 4);
  EXPECT_EQ(listing.instructions[0].mnemonic, "ldr.w");
  EXPECT_EQ(listing.instructions[0].operands, "pc, [sp], #4");
  EXPECT_EQ(listing.instructions[1].bytes, 2);
  EXPECT_EQ(listing.address_of("back"), 0x210001bc);
  EXPECT_THAT([&] { (void)listing.address_of("front"); },
              ThrowsMessage<Error>(HasSubstr("no symbol 'front'")));
}

class PackageCycles : public SnippetCycles {
 protected:
  void write(const Cost& cost) {
    write_package(folder_.path() / "package", graph_, cost,
                  {.name = "sample", .target = sample_target("cortex-m4", true), .self_test = vectors_});
  }
  LayersReport run_on(const char* core) {
    return run_layers({folder_.path() / "package", folder_.path() / "work", core, nullptr, true},
                      vectors_[0].input);
  }

  QuantizedGraph graph_ = sample_network(seed());
  std::vector<TestVector> vectors_ = sample_vectors(graph_, 1, seed());
};

// Each instruction takes a cycle or more; what is counted call by call is what is counted at once, but for a
// few predicated or taken branches at the ends.
TEST_P(PackageCycles, OfLayersAddUpToTheInference) {
  MCUFIT_TRACE_SEED();
  const Cost by_layer = price(graph_.graph, no_code_sizes());
  const Cost fed = price(graph_.graph, no_code_sizes(), longest_groups(graph_.graph, InputUse::streamed));
  for (const Cost& cost : {by_layer, fed}) {
    write(cost);
    const LayersReport r = run_on(GetParam());
    EXPECT_THAT(r.cycle_source, HasSubstr("Technical Reference Manual"));
    std::int64_t sum = 0;
    for (const LayerRun& layer : r.layers) {
      EXPECT_GT(layer.cycles, layer.instructions) << layer.step.name;
      EXPECT_LT(layer.cycles, 3 * layer.instructions) << layer.step.name;
      sum += layer.cycles;
    }
    EXPECT_NEAR(static_cast<double>(sum), static_cast<double>(r.cycles_per_inference),
                100.0 + 0.01 * static_cast<double>(sum));
  }
}

TEST_P(PackageCycles, AreNotOfCoresWithoutTable) {
  write(price(graph_.graph, no_code_sizes()));
  EXPECT_THAT(
      [&] { run_on("cortex-m7"); },
      ThrowsMessage<Error>(HasSubstr("found cortex-m7, whose manual's table is not in configs/cycle-tables; "
                                     "accepted: cortex-m0, cortex-m4")));
}

INSTANTIATE_TEST_SUITE_P(Cores, PackageCycles, ::testing::Values("cortex-m0", "cortex-m4"), core_name);

}  // namespace
}  // namespace mcufit::testing
