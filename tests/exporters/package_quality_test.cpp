// SPDX-License-Identifier: Apache-2.0
// What a package owes whoever builds it: no warning from any compiler, no finding of an analyzer or
// sanitizer, room for a second package and for C++ in the same program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks/foundation/files.h"
#include "blocks/foundation/subprocess.h"
#include "exporters/package.h"
#include "tests/exporters/sample_network.h"
#include "tests/exporters/streamed_plans.h"
#include "tests/random_seed.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

const Arguments kWarnings{"-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"};

// A compiler as a user of packages would call it.
struct Compiler {
  const char* name;
  const char* program;
  Arguments flags;
};
void PrintTo(const Compiler& compiler, std::ostream* out) { *out << compiler.name; }

class PackageQuality : public ::testing::Test {
 protected:
  fs::path write(const std::string& name) { return write(name, plan(sample_network(seed()).graph)); }

  fs::path write(const std::string& name, const MemoryPlan& plan) {
    const QuantizedGraph graph = sample_network(seed());
    const fs::path folder = folder_.path() / name;
    write_package(folder, graph, price(graph.graph, no_code_sizes(), plan),
                  {name, sample_target("cortex-m4", true), sample_vectors(graph, 2, seed()), nullptr});
    return folder;
  }

  // Runs a compiler in a folder of ours; skips nothing, fails with its words.
  void compile(const std::string& program, Arguments arguments, const Arguments& more = {}) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished finished = mcufit::run(
        {.program = program, .arguments = std::move(arguments), .environment = {}, .folder = folder_.path()});
    EXPECT_EQ(finished.exit_code, 0) << program << ":\n" << finished.err;
  }

  std::string output_of(const std::string& program) {
    const Finished finished = mcufit::run(
        {.program = folder_.path() / program, .arguments = {}, .environment = {}, .folder = folder_.path()});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return finished.out;
  }

  static Arguments sources_of(const fs::path& package) {
    Arguments sources;
    for (const std::string& source : read_manifest(package).sources) sources.push_back(package / source);
    return sources;
  }

  static Arguments joined(std::initializer_list<Arguments> parts) {
    Arguments all;
    for (const Arguments& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
  }

  TestFolder folder_;
};

class EveryCompiler : public PackageQuality, public ::testing::WithParamInterface<Compiler> {};

TEST_P(EveryCompiler, HasNothingToSay) {
  MCUFIT_TRACE_SEED();
  if (!find_program(GetParam().program)) GTEST_SKIP() << GetParam().program << " is not installed";
  const fs::path package = write("sample");
  // Of a package whose input comes row by row what is not the runtime, which is the same.
  Arguments sources = sources_of(package);
  const QuantizedGraph graph = sample_network(seed());
  for (const std::string& source :
       sources_of(write("fed", longest_groups(graph.graph, InputUse::streamed)))) {
    if (fs::path(source).filename().string().starts_with("fed")) sources.push_back(source);
  }
  for (const char* optimization : {"-O0", "-O2", "-Os"}) {
    for (const std::string& source : sources) {
      compile(GetParam().program,
              joined({GetParam().flags, kWarnings, {optimization, "-c", source, "-o", "object.o"}}));
    }
  }
}

const Compiler kCompilers[] = {
    {"arm_m0", "arm-none-eabi-gcc", {"-mcpu=cortex-m0", "-mthumb", "-std=c99", "-pedantic"}},
    {"arm_m4", "arm-none-eabi-gcc", {"-mcpu=cortex-m4", "-mthumb", "-std=c99", "-pedantic"}},
    {"rv32",
     "riscv64-unknown-elf-gcc",
     {"-march=rv32imac", "-mabi=ilp32", "-ffreestanding", "-std=c99", "-pedantic"}},
    {"avr", "avr-gcc", {"-mmcu=atmega2560", "-std=gnu99"}},
    {"gcc", "gcc", {"-std=c99", "-pedantic"}},
    {"gcc_32", "gcc", {"-m32", "-ffreestanding", "-std=c99", "-pedantic"}},
    {"clang", "clang-14", {"-std=c99", "-pedantic"}},
    {"clang_m0",
     "clang-14",
     {"--target=arm-none-eabi", "-mcpu=cortex-m0", "-ffreestanding", "-std=c99", "-pedantic"}},
    {"clang_m4",
     "clang-14",
     {"--target=arm-none-eabi", "-mcpu=cortex-m4", "-ffreestanding", "-std=c99", "-pedantic"}},
    {"clang_m55",
     "clang-14",
     {"--target=arm-none-eabi", "-mcpu=cortex-m55", "-mfloat-abi=hard", "-ffreestanding", "-std=c99",
      "-pedantic"}},
    {"gcc_analyzer", "gcc", {"-std=c99", "-fanalyzer"}},
};

INSTANTIATE_TEST_SUITE_P(Compilers, EveryCompiler, ::testing::ValuesIn(kCompilers),
                         [](const ::testing::TestParamInfo<Compiler>& c) { return c.param.name; });

constexpr const char* kSelfTest =
    "#include <stdio.h>\n#include \"one_selftest.h\"\n"
    "int main(void) {\n  printf(\"%d %d\\n\", one_selftest(), one_selftest_call());\n  return 0;\n}\n";

TEST_F(PackageQuality, SanitizersFindNothing) {
  MCUFIT_TRACE_SEED();
  const fs::path package = write("one");
  write_file(folder_.path() / "main.c", kSelfTest);
  compile("gcc",
          {"-std=c99", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
           "-I" + package.string(), "main.c", "-o", "program"},
          sources_of(package));
  EXPECT_EQ(output_of("program"), "0 -1\n");
}

// Each call's columns of each tile have the checksum that is known, and warnings find nothing in its tables.
TEST_F(PackageQuality, TilesPassTheirSelfTestUnderSanitizers) {
  MCUFIT_TRACE_SEED();
  const fs::path package = write("one", tiled_groups(sample_network(seed()).graph));
  write_file(folder_.path() / "main.c", kSelfTest);
  compile("gcc",
          joined({{"-std=c99", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"},
                  kWarnings,
                  {"-I" + package.string(), "main.c", "-o", "program"}}),
          sources_of(package));
  EXPECT_EQ(output_of("program"), "0 -1\n");
}

// Kernels keep nothing between calls, so two models can take turns call by call.
constexpr const char* kTwoModels =
    "#include <cstdio>\n#include \"one_steps.h\"\n#include \"two_steps.h\"\n"
    "#include \"one.h\"\n#include \"one_selftest.h\"\n#include \"two.h\"\n#include \"two_selftest.h\"\n"
    "int main() {\n"
    "  for (int i = 0; i < ONE_INPUT_BYTES; ++i) one_input()[i] = two_input()[i] = static_cast<int8_t>(i);\n"
    "  for (int i = 0; i < ONE_CALLS; ++i) {\n"
    "    one_run(one_calls + i, one_calls + i + 1, one_input() - ONE_INPUT_OFFSET);\n"
    "    two_run(two_calls + i, two_calls + i + 1, two_input() - TWO_INPUT_OFFSET);\n"
    "  }\n"
    "  int differ = 0;\n"
    "  for (int i = 0; i < ONE_OUTPUT_BYTES; ++i) differ += one_output()[i] != two_output()[i];\n"
    "  std::printf(\"%d %d %d\\n\", differ, one_selftest(), two_selftest());\n"
    "}\n";

TEST_F(PackageQuality, TwoPackagesLiveInOneCxxProgram) {
  MCUFIT_TRACE_SEED();
  const fs::path one = write("one"), two = write("two");
  write_file(folder_.path() / "main.cpp", kTwoModels);
  Arguments sources = sources_of(one);
  for (const std::string& source : sources_of(two)) {
    if (fs::path(source).filename().string().starts_with("two")) sources.push_back(source);
  }
  Arguments objects;
  for (const std::string& source : sources) {
    objects.push_back(fs::path(source).stem().string() + ".o");
    compile("gcc", {"-std=c99", "-c", source, "-o", objects.back()});
  }
  compile("g++",
          {"-std=c++11", "-Wall", "-Wextra", "-Werror", "-I" + one.string(), "-I" + two.string(), "main.cpp",
           "-o", "program"},
          objects);
  EXPECT_EQ(output_of("program"), "0 0 0\n");
}

}  // namespace
}  // namespace mcufit::testing
