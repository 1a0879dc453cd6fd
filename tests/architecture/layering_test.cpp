// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

// Who may include whom. A new arrow is decided here, in review, and nowhere else. A folder may always include
// itself; the longest matching folder counts.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"blocks", {}},
    {"exporters/runtime", {}},
    {"cost-models", {"blocks", "exporters/runtime"}},
    {"trainers", {"blocks", "exporters/runtime"}},
    {"exporters", {"blocks", "cost-models", "exporters/runtime"}},
    {"search", {"blocks", "cost-models"}},
    {"search/cli", {"blocks", "cost-models", "trainers", "exporters", "exporters/runtime", "search"}},
};

std::string layer_of(const std::string& path) {
  std::string longest;
  for (const auto& [layer, allowed] : kMayInclude) {
    if (path.rfind(layer + "/", 0) == 0 && layer.size() > longest.size()) longest = layer;
  }
  return longest;
}

bool is_source(const fs::path& path) {
  static const std::set<std::string> kExtensions{".h", ".c", ".cpp"};
  return kExtensions.contains(path.extension().string());
}

// Calls visit(path relative to the top, line) for each line of each source file of the layers.
template <typename Visit>
int each_line(const Visit& visit) {
  const fs::path top = MCUFIT_SOURCE_DIR;
  int files = 0;
  for (const char* folder : {"blocks", "cost-models", "exporters", "trainers", "search"}) {
    for (const auto& entry : fs::recursive_directory_iterator(top / folder)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      ++files;
      std::ifstream file(entry.path());
      const std::string relative = fs::relative(entry.path(), top).string();
      int number = 0;
      for (std::string line; std::getline(file, line);) visit(relative, ++number, line);
    }
  }
  return files;
}

TEST(Layering, IncludesFollowTheTable) {
  const std::regex include("^\\s*#\\s*include\\s+\"([^\"]+)\"");
  int arrows = 0;
  const int files = each_line([&](const std::string& path, int number, const std::string& line) {
    std::smatch match;
    if (!std::regex_search(line, match, include)) return;
    const std::string from = layer_of(path);
    const std::string to = layer_of(match[1].str());
    ASSERT_FALSE(from.empty()) << path;
    if (to.empty()) {  // a file beside the includer, as the runtime's flat packages need them
      EXPECT_TRUE(fs::exists(fs::path(MCUFIT_SOURCE_DIR) / fs::path(path).parent_path() / match[1].str()) ||
                  fs::exists(fs::path(MCUFIT_SOURCE_DIR) / "exporters/runtime" / match[1].str()) ||
                  from == "exporters")
          << path << ":" << number << ": include from the top: " << line;
      return;
    }
    ++arrows;
    EXPECT_TRUE(to == from || kMayInclude.at(from).contains(to))
        << path << ":" << number << ": " << from << " may not include " << to;
  });
  EXPECT_GT(files, 40);
  EXPECT_GT(arrows, 60);
}

TEST(Layering, TorchStaysBehindItsWall) {
  const std::regex torch("^\\s*#\\s*include\\s*<(torch|ATen|c10)/");
  each_line([&](const std::string& path, int number, const std::string& line) {
    if (!std::regex_search(line, torch)) return;
    EXPECT_EQ(path.rfind("trainers/", 0), 0U) << path << ":" << number;
    EXPECT_NE(path, "trainers/trainer.h");
    EXPECT_EQ(path.find("trainers/datasets/"), std::string::npos) << path;
  });
}

TEST(Layering, EverySourceNamesItsLicence) {
  each_line([&](const std::string& path, int number, const std::string& line) {
    if (number == 1) {
      EXPECT_NE(line.find("SPDX-License-Identifier: Apache-2.0"), std::string::npos) << path;
    }
  });
}

}  // namespace
