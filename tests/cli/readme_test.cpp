// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "blocks/foundation/files.h"
#include "tests/cli/program.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// The lines of the README's code block that begins with a command, the command apart.
std::vector<std::string> printed_by(const std::string& command) {
  std::istringstream readme(read_file(fs::path(MCUFIT_SOURCE_DIR) / "README.md"));
  std::vector<std::string> lines;
  bool inside = false;
  for (std::string line; std::getline(readme, line);) {
    if (inside && line == "```") return lines;
    if (inside && !line.empty()) lines.push_back(line);
    inside |= line == "$ " + command;
  }
  return {};
}

// Columns may be as wide as rows that the README leaves out make them.
std::string without_padding(const std::string& text) {
  std::string narrow;
  for (const char c : text) {
    if (c != ' ' || (!narrow.empty() && narrow.back() != ' ')) narrow += c;
  }
  return narrow;
}

void expect_printed(const std::vector<std::string>& arguments, int exit_code = 0) {
  std::string command = "mcufit";
  for (const std::string& a : arguments) command += " " + a;
  const std::vector<std::string> lines = printed_by(command);
  ASSERT_GE(lines.size(), 3U) << "README.md has no block of: $ " << command;
  const Finished f = mcufit(arguments, MCUFIT_SOURCE_DIR);
  ASSERT_EQ(f.exit_code, exit_code) << f.err;
  for (const std::string& line : lines)
    EXPECT_THAT(without_padding(f.out), HasSubstr(without_padding(line)))
        << "README.md differs from: " << command;
}

TEST(Readme, TheLedgersWorkedExampleIsWhatTheProgramPrints) {
  expect_printed({"analyze", "docs/examples/phinet-96.json", "--target", "nrf52840"});
}

TEST(Readme, ThePlanThatIsStillTooLargeIsWhatTheProgramPrints) {
  expect_printed({"analyze", "docs/examples/phinet-96.json", "--target", "microbit"}, 10);
}

TEST(Readme, TheInversionIsWhatTheProgramPrints) {
  expect_printed({"fit", "--target", "nrf52840", "--input", "96x96x3", "--classes", "2", "--family", "phinet",
                  "--top", "1", "--explain"});
}

}  // namespace
}  // namespace mcufit::testing
