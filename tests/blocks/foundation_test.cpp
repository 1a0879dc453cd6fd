// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/random.h"
#include "blocks/foundation/subprocess.h"
#include "blocks/foundation/text.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;

TEST(Text, NearNamesAreSuggested) {
  EXPECT_EQ(did_you_mean("alhpa", {"alpha", "beta"}), "; did you mean 'alpha'?");
  EXPECT_EQ(did_you_mean("flash", {"ram_bytes", "flash_bytes"}), "; did you mean 'flash_bytes'?");
  EXPECT_EQ(did_you_mean("gamma", {"zoo", "fox"}), "");
  EXPECT_EQ(with_separators(-1234567), "-1,234,567");
  EXPECT_EQ(with_separators(123), "123");
  EXPECT_EQ(aligned_table({{"a", "bb"}, {"xyz", "1"}}), "a    bb\nxyz   1\n");
}

TEST(Files, Sha256OfKnownText) {
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Files, WritesWholeFilesOrNothing) {
  const fs::path folder = fs::temp_directory_path() / ("mcufit_files_" + std::to_string(::getpid()));
  write_file(folder / "a/b.txt", "one");
  write_file(folder / "a/b.txt", "two");
  EXPECT_EQ(read_file(folder / "a/b.txt"), "two");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "a"), fs::directory_iterator()),
            1);  // no temporary file is left
  EXPECT_THROW(write_file(folder / "a/b.txt/c", "x"), Error);
  EXPECT_THROW(read_file(folder / "none"), Error);
  EXPECT_THROW(read_file(folder), Error);
  EXPECT_THROW(read_file(folder / "a/b.txt", 2), Error);
  fs::remove_all(folder);
}

TEST(Subprocess, ReturnsOutputAndExitCode) {
  const Finished f = run({.program = "sh",
                          .arguments = {"-c", "echo out; echo err >&2; exit 3"},
                          .environment = {},
                          .folder = {}});
  EXPECT_EQ(f.exit_code, 3);
  EXPECT_EQ(f.out, "out\n");
  EXPECT_EQ(f.err, "err\n");
}

TEST(Subprocess, TimeLimitKillsTheChild) {
  const Finished f = run({.program = "sleep",
                          .arguments = {"30"},
                          .environment = {},
                          .folder = {},
                          .time_limit = std::chrono::seconds(1)});
  EXPECT_TRUE(f.timed_out);
  EXPECT_EQ(f.exit_code, 128 + 9);
}

TEST(Subprocess, CancellationAsksTheChildToStop) {
  const Finished f = run({.program = "sleep", .arguments = {"30"}, .environment = {}, .folder = {}}, {},
                         [] { return true; });
  EXPECT_EQ(f.exit_code, 128 + 15);
}

TEST(Subprocess, ArgumentsEnvironmentAndLinesGoThroughUntouched) {
  std::vector<std::string> lines;
  const Finished f = run({.program = "sh",
                          .arguments = {"-c", "echo \"$1\"; echo $MCUFIT_TEST", "x", "a b; $(c)"},
                          .environment = {{"MCUFIT_TEST", "value"}},
                          .folder = "/"},
                         [&](std::string_view line) { lines.emplace_back(line); });
  EXPECT_THAT(lines, ::testing::ElementsAre("a b; $(c)", "value"));
}

TEST(Subprocess, MissingProgramsAreNamed) {
  EXPECT_FALSE(find_program("no-such-program-here"));
  EXPECT_THAT(
      [] { run({.program = "no-such-program-here", .arguments = {}, .environment = {}, .folder = {}}); },
      ::testing::ThrowsMessage<Error>(::testing::HasSubstr("no-such-program-here")));
}

TEST(Random, StreamsAreNamedAndPortable) {
  Random a(1, {2, 3}), b(1, {2, 3}), c(1, {3, 2});
  EXPECT_EQ(a.bits(), b.bits());
  EXPECT_NE(a.bits(), c.bits());
  Random pinned(42);
  EXPECT_EQ(pinned.bits(), 2576493707698874361U);
}

}  // namespace
}  // namespace mcufit
