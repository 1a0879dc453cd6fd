// SPDX-License-Identifier: Apache-2.0
// That the build fails for a kernel variant without test or benchmark: the compiler judges lists of variants
// as CMake would write them.
#include "tests/kernel_variants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks/foundation/files.h"
#include "blocks/foundation/subprocess.h"
#include "tests/exporters/sample_network.h"

namespace mcufit::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class VariantList : public ::testing::Test {
 protected:
  // Compiles the assertions of the tests and of the benchmark with the list that lies in `list_folder`.
  Finished compile(const std::string& list_folder) {
    write_file(folder_.path() / "asserted.cpp", "#include \"tests/benchmarks/variant_layers.h\"\n");
    Command command;
    command.program = MCUFIT_CXX_COMPILER;
    command.arguments = {"-std=c++20", "-fsyntax-only", "-I" + list_folder,
                         std::string("-I") + MCUFIT_SOURCE_DIR, "asserted.cpp"};
    command.folder = folder_.path();
    return run(command);
  }

  std::string message_for(const std::string& variants) {
    write_file(folder_.path() / "kernel_variant_list.h",
               "#define MCUFIT_FOR_EACH_KERNEL_VARIANT(V) " + variants + "\n");
    const Finished finished = compile(folder_.path());
    EXPECT_NE(finished.exit_code, 0) << variants;
    return finished.err;
  }

  TestFolder folder_;
};

TEST_F(VariantList, OfTheBuildIsCovered) {
  const Finished finished = compile(MCUFIT_VARIANT_LIST_FOLDER);
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(read_file(std::string(MCUFIT_VARIANT_LIST_FOLDER) + "/kernel_variant_list.h"),
              AllOf(HasSubstr(" V(conv2d_s8, dsp)"), HasSubstr(" V(fully_connected_s8, mve)")));
}

TEST_F(VariantList, AVariantWithoutTestAndBenchmarkIsNamed) {
  const std::string message = message_for("V(add_s8, dsp) V(softmax_s8, mve)");
  EXPECT_THAT(message,
              HasSubstr("kernel variant softmax_s8_mve has no test: give its kernel a kind of case"));
  EXPECT_THAT(message, HasSubstr("kernel variant softmax_s8_mve has no benchmark: give its kernel a layer"));
  EXPECT_THAT(message, Not(HasSubstr("add_s8_dsp")));
}

TEST_F(VariantList, AnInstructionSetWithoutCoreIsNamed) {
  EXPECT_THAT(
      message_for("V(add_s8, dsp) V(add_s8, sse)"),
      AllOf(HasSubstr(
                "kernel variant add_s8_sse has no test and no benchmark: give its instruction set a core"),
            Not(HasSubstr("add_s8_dsp has"))));
}

TEST_F(VariantList, ACommentIsNoTest) {
  EXPECT_THAT(message_for("/* tested, benched: */ V(mul_s8, dsp) /* mul_s8 */"),
              HasSubstr("kernel variant mul_s8_dsp has no test"));
}

}  // namespace
}  // namespace mcufit::testing
