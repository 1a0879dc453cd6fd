// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "blocks/foundation/files.h"
#include "tests/cli/program.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

std::string corpus(const char* file) {
  return (fs::path(MCUFIT_SOURCE_DIR) / "tests/fuzz/corpus" / file).string();
}

Finished import(const Folder& folder, const std::string& model, const std::string& package) {
  return mcufit({"import", model, "--target", "nrf52840", "--output", package + "/package", "--name", "net"},
                folder.path());
}

// Package -> file -> package: the same vectors, whichever format lies between.
TEST(Export, EveryFormatGivesTheSameNetwork) {
  const Folder folder;
  ASSERT_EQ(import(folder, corpus("fuzz_tflite/small.tflite"), "first").exit_code, 0);
  const std::string vectors = read_file(folder.path() / "first/vectors.bin");
  for (const std::string format : {"tflite", "onnx"}) {
    const Finished f =
        mcufit({"export", "first/package", "--format", format, "--output", "net." + format}, folder.path());
    EXPECT_EQ(f.exit_code, 0) << f.err;
    EXPECT_THAT(f.out, HasSubstr("8 nodes"));
    const Finished again = import(folder, "net." + format, format);
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_EQ(read_file(folder.path() / format / "vectors.bin"), vectors) << format;
  }
}

TEST(Export, WrongUseIsNamed) {
  const Folder folder;
  const Finished format = mcufit(
      {"export", corpus("fuzz_tflite/small.tflite"), "--format", "onx", "--output", "x"}, folder.path());
  EXPECT_EQ(format.exit_code, 2);
  EXPECT_THAT(format.err, HasSubstr("did you mean 'onnx'"));
  EXPECT_EQ(mcufit({"export", "--format", "onnx", "--output", "x"}, folder.path()).exit_code, 2);
  EXPECT_EQ(mcufit({"export", "none", "--format", "onnx", "--output", "x"}, folder.path()).exit_code, 5);
  folder.write("bad.tflite", "12345678");
  EXPECT_EQ(mcufit({"export", "bad.tflite", "--format", "onnx", "--output", "x"}, folder.path()).exit_code,
            4);
  EXPECT_FALSE(fs::exists(folder.path() / "x"));
}

TEST(Export, PackagesWithoutOrWithADamagedModelAreNamed) {
  const Folder folder;
  ASSERT_EQ(import(folder, corpus("fuzz_tflite/small.tflite"), "first").exit_code, 0);
  const fs::path package = folder.path() / "first/package";
  const auto exported = [&] {
    return mcufit({"export", "first/package", "--format", "tflite", "--output", "x"}, folder.path());
  };
  ASSERT_EQ(exported().exit_code, 0);
  EXPECT_EQ(read_file(folder.path() / "x"), read_file(package / "net.tflite"));
  write_file(package / "net.tflite", read_file(package / "net.tflite") + "x");
  EXPECT_EQ(exported().exit_code, 4);
  json manifest = json::parse(read_file(package / "manifest.json"));
  manifest["files"].erase("net.tflite");
  write_file(package / "manifest.json", manifest.dump());
  fs::remove(package / "net.tflite");
  const Finished without = exported();
  EXPECT_EQ(without.exit_code, 4);
  EXPECT_THAT(without.err, HasSubstr("found no net.tflite"));
}

// MCUFIT_UPDATE_GOLDEN=1 writes it.
TEST(SupportedOps, DocumentationIsWhatTheProgramPrints) {
  const fs::path path = fs::path(MCUFIT_SOURCE_DIR) / "docs/supported-ops.md";
  const std::string title = "# Supported ops\n\nWritten by `mcufit supported-ops --markdown`.\n\n";
  const Finished f = mcufit({"supported-ops", "--markdown"}, "/");
  ASSERT_EQ(f.exit_code, 0) << f.err;
  if (std::getenv("MCUFIT_UPDATE_GOLDEN") != nullptr) write_file(path, title + f.out);
  EXPECT_EQ(read_file(path), title + f.out);
}

TEST(SupportedOps, ListsRuntimeAndImporters) {
  const Folder folder;
  const json j = json::parse(mcufit({"supported-ops", "--json"}, folder.path()).out);
  EXPECT_EQ(j.at("ops").size(), 19U);
  EXPECT_EQ(j.at("tflite").at(3).at("operator"), "CONV_2D");
  EXPECT_EQ(j.at("tflite").at(3).at("becomes"), "conv2d");
  EXPECT_GT(j.at("onnx").size(), 20U);
  EXPECT_THAT(mcufit({"supported-ops", "--markdown"}, folder.path()).out, HasSubstr("| ADD | add |"));
}

}  // namespace
}  // namespace mcufit::testing
