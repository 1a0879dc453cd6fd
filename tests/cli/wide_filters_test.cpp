// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks/family.h"
#include "blocks/foundation/files.h"
#include "blocks/lower.h"
#include "cost-models/layout.h"
#include "exporters/tflite/export.h"
#include "tests/cli/program.h"
#include "tests/exporters/sample_network.h"

// --wide-filters of import, analyze and fit.

namespace mcufit::testing {
namespace {

using nlohmann::json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class WideFilters : public ::testing::Test {
 protected:
  WideFilters() {
    const Family& f = family("ds_cnn");
    network_ = lower(f.build(default_hyperparameters(f), {{25, 5, 1}, 4}));
    folder_.write("net.tflite", export_tflite(random_integers(network_, 1)));
    for (NodeId id = 0; id < network_.size(); ++id) bytes_ += wider_filter_bytes(network_, id);
  }

  Finished run(const std::vector<std::string>& arguments) const { return mcufit(arguments, folder_.path()); }
  json run_json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    return json::parse(run(arguments).out);
  }
  json analyzed(const char* target, bool wide) const {
    std::vector<std::string> arguments{"analyze", "net.tflite", "--target", target};
    if (wide) arguments.emplace_back("--wide-filters");
    return run_json(arguments);
  }

  Folder folder_;
  Graph network_;
  std::int64_t bytes_ = 0;
};

TEST_F(WideFilters, AnalyzeShowsTheirPrice) {
  ASSERT_GT(bytes_, 0);
  const json packed = analyzed("nrf52840", false), wide = analyzed("nrf52840", true);
  EXPECT_FALSE(packed.at("wide_filters").get<bool>());
  EXPECT_EQ(packed.at("wider_filter_bytes"), 0);
  EXPECT_TRUE(wide.at("wide_filters").get<bool>());
  EXPECT_EQ(wide.at("wider_filter_bytes"), bytes_);
  EXPECT_EQ(wide.at("flash_bytes").get<std::int64_t>(),
            packed.at("flash_bytes").get<std::int64_t>() + bytes_);
  for (const char* key : {"weights_bytes", "model_bytes", "code_bytes", "ram_bytes"})
    EXPECT_EQ(wide.at(key), packed.at(key)) << key;
  std::int64_t more = 0;
  for (std::size_t i = 0; i < wide.at("layers").size(); ++i) {
    const json &a = packed.at("layers")[i], &b = wide.at("layers")[i];
    more += b.at("flash_bytes").get<std::int64_t>() - a.at("flash_bytes").get<std::int64_t>();
    EXPECT_EQ(a == b, a.at("op") != "depthwise_conv2d") << a;
  }
  EXPECT_EQ(more, bytes_);
  const std::vector<std::string> analyze{"analyze", "net.tflite", "--target", "nrf52840"};
  EXPECT_THAT(run(analyze).out, Not(HasSubstr("wide")));
  std::vector<std::string> with_option = analyze;
  with_option.emplace_back("--wide-filters");
  EXPECT_THAT(run(with_option).out, HasSubstr("flash: wider filters"));
  EXPECT_THAT(run(with_option).out, Not(HasSubstr("wide filters change nothing")));
}

TEST_F(WideFilters, AreSaidToChangeNothingWhereTheyDoNot) {
  for (const char* target : {"microbit", "corstone300"}) {
    EXPECT_EQ(analyzed(target, true), analyzed(target, false)) << target;
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"analyze", "net.tflite", "--target", target},
          {"import", "net.tflite", "--target", target},
          {"fit", "--target", target, "--input", "25x5x1", "--classes", "4", "--family", "ds_cnn"}}) {
      EXPECT_THAT(run(arguments).out, Not(HasSubstr("wide filters")));
      std::vector<std::string> wide = arguments;
      wide.emplace_back("--wide-filters");
      const Finished f = run(wide);
      EXPECT_EQ(f.exit_code, 0) << f.err;
      EXPECT_THAT(f.out, HasSubstr("wide filters change nothing: the core's kernels")) << target;
    }
  }
  const Family& f = family("mlp");
  folder_.write("mlp.tflite", export_tflite(random_integers(
                                  lower(f.build(default_hyperparameters(f), {{8, 8, 1}, 4})), 1)));
  EXPECT_THAT(run({"import", "mlp.tflite", "--wide-filters"}).out,
              HasSubstr("wide filters change nothing: the network has no depthwise layer"));
}

TEST_F(WideFilters, AManifestSaysWhetherThePackageHasThem) {
  const auto manifest = [&](const char* target, const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"import",       "net.tflite", "--target", target,
                                       "--no-rewrite", "all",        "--output", "package"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(run(arguments).exit_code, 0);
    return json::parse(read_file(folder_.path() / "package/manifest.json"));
  };
  for (const auto& [target, more, bytes] : {std::tuple("nrf52840", std::vector<std::string>{}, 0L),
                                            {"nrf52840", {"--wide-filters"}, bytes_},
                                            {"microbit", {"--wide-filters"}, 0L}}) {
    const json m = manifest(target, more);
    EXPECT_EQ(m.at("wide_filters").get<bool>(), bytes > 0) << target;
    EXPECT_EQ(m.at("flash").at("wider_filter_bytes"), bytes) << target;
  }
}

TEST_F(WideFilters, ValidateFindsTheirBytesInTheLinkerMap) {
  if (!missing_for_device().empty()) GTEST_SKIP() << missing_for_device();
  const auto validated = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"import",   "net.tflite", "--plan",       "least-ram",
                                       "--output", "package",    "--no-rewrite", "all"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(run(arguments).exit_code, 0);
    return run_json({"validate", "package"});
  };
  const json packed = validated({}), wide = validated({"--wide-filters"});
  EXPECT_EQ(packed.at("linked").at("wider_filter_bytes"), 0);
  EXPECT_EQ(wide.at("linked").at("wider_filter_bytes"), bytes_);
  EXPECT_EQ(wide.at("linked").at("weights_bytes"), packed.at("linked").at("weights_bytes"));
  EXPECT_TRUE(wide.at("first_mismatch").is_null());
  EXPECT_LT(wide.at("instructions_per_inference"), packed.at("instructions_per_inference"));
  const std::string table = run({"validate", "package"}).out;
  const std::size_t line = table.find("flash: wider filters");
  ASSERT_NE(line, std::string::npos);
  EXPECT_THAT(table.substr(line, table.find('\n', line) - line), EndsWith(" 0"));
}

TEST_F(WideFilters, CountWhenMembersAreFitted) {
  const auto fit = [&](std::int64_t flash_bytes, bool wide) {
    std::vector<std::string> arguments{"fit",    "--target",  "nrf52840", "--limits", "",      "--input",
                                       "25x5x1", "--classes", "4",        "--family", "ds_cnn"};
    arguments[4] = "flash=" + std::to_string(flash_bytes);
    if (wide) arguments.emplace_back("--wide-filters");
    return run_json(arguments);
  };
  const json packed = fit(40'000, false).at("families")[0].at("fitting")[0];
  const auto limit = packed.at("flash_bytes").get<std::int64_t>();
  const json found = fit(limit, true);
  EXPECT_TRUE(found.at("wide_filters").get<bool>());
  const json& best = found.at("families")[0].at("fitting")[0];
  EXPECT_TRUE(best.at("wide_filters").get<bool>());
  EXPECT_LE(best.at("flash_bytes"), limit);
  EXPECT_LT(best.at("macs"), packed.at("macs"));
  // With room for the price the same member is the best again.
  EXPECT_EQ(fit(limit, false).at("families")[0].at("fitting")[0].at("macs"), packed.at("macs"));
}

TEST_F(WideFilters, TakeNoValue) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"import", "net.tflite"},
        {"analyze", "net.tflite", "--target", "nrf52840"},
        {"fit", "--target", "nrf52840", "--input", "32x32x3", "--classes", "2"}}) {
    std::vector<std::string> wrong = arguments;
    wrong.emplace_back("--wide-filters=maybe");
    EXPECT_EQ(run(wrong).exit_code, 2) << arguments[0];
    wrong.back() = "--wide-filter-bytes";
    EXPECT_EQ(run(wrong).exit_code, 2) << arguments[0];
  }
}

}  // namespace
}  // namespace mcufit::testing
