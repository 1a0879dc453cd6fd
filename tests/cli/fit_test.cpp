// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "blocks/foundation/files.h"
#include "tests/cli/program.h"

namespace mcufit::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class Fit : public ::testing::Test {
 protected:
  Finished fit(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "fit");
    return mcufit(arguments, folder_.path());
  }
  json fit_json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    return json::parse(fit(std::move(arguments)).out);
  }
  Folder folder_;
};

// Plans by rows, which take longer to price, on some small targets and a large one.
TEST_F(Fit, EveryTargetAndFamilyGetsACertifiedAnswer) {
  const std::set<std::string> by_rows{"max32660", "microbit", "nrf52840"};
  for (const json& target : json::parse(mcufit({"targets", "list", "--json"}, folder_.path()).out)) {
    const std::string name = target.at("name");
    const json j = fit_json({"--target", name, "--input", "32x32x3", "--classes", "2", "--top", "1", "--plan",
                             by_rows.contains(name) ? "fits" : "layer-by-layer"});
    for (const json& f : j.at("families")) {
      const json& p = f.at("proof");
      EXPECT_GT(p.at("lattice_members"), 1000) << name << f.at("family");
      EXPECT_LE(p.at("priced_members"), 5000) << name << f.at("family");
      if (f.at("fits").get<bool>()) {
        EXPECT_EQ(f.at("fitting").size(), 1U);
        EXPECT_LE(f.at("fitting")[0].at("use").get<double>(), 1.0);
        if (f.contains("next_larger")) {
          EXPECT_GT(f.at("next_larger").at("use").get<double>(), 1.0);
        }
      } else {
        EXPECT_GT(f.at("nearest_miss").at("use").get<double>(), 1.0);
        EXPECT_GE(f.at("nearest_miss").at("use"), f.at("least_use"));
      }
    }
  }
}

TEST_F(Fit, TheShortageIsThatOfTheMissShown) {
  const json answer = fit_json({"--target", "nrf52840", "--limits", "ram=2KB", "--input", "32x32x1",
                                "--classes", "2", "--family", "mobilenetv1"})
                          .at("families")[0];
  ASSERT_FALSE(answer.at("fits").get<bool>());
  EXPECT_EQ(answer.at("shortage").at("missing_bytes").get<std::int64_t>(),
            answer.at("nearest_miss").at("ram_bytes").get<std::int64_t>() - 2048);
}

TEST_F(Fit, NamesTheCoreWhoseCodeSizesStandIn) {
  const auto heading = [&](const char* target) {
    return fit({"--target", target, "--input", "32x32x3", "--classes", "2", "--family", "ds_cnn"}).out;
  };
  EXPECT_THAT(heading("esp32"), HasSubstr("; code sizes estimated from rv32\n"));
  EXPECT_THAT(heading("uno"), HasSubstr("; code sizes estimated from cortex-m3\n"));
  EXPECT_THAT(heading("nrf52840"), Not(HasSubstr("estimated from")));
}

TEST_F(Fit, LimitsAloneInTheUnitsOfDataSheets) {
  const json j = fit_json({"--limits", "flash=1MB,ram=392KB,macs=63M", "--input", "96x96x3", "--classes", "2",
                           "--family", "phinet", "--equations"});
  EXPECT_EQ(j.at("budget"), (json{{"flash_bytes", 1048576}, {"ram_bytes", 401408}, {"macs", 63000000}}));
  EXPECT_TRUE(j.at("target").is_null());
  const json& equations = j.at("families")[0].at("equations");
  EXPECT_GE(equations.at("roots"), 1);
  EXPECT_EQ(equations.at("rows").size(), 1 + equations.at("roots").get<std::size_t>() +
                                             equations.at("roots_of_limits").get<std::size_t>());
  // One of the roots is the member itself.
  const json& best = equations.at("rows")[0];
  bool found = false;
  for (std::size_t i = 1; i <= equations.at("roots").get<std::size_t>(); ++i)
    found |=
        std::abs(equations.at("rows")[i].at("alpha").get<double>() - best.at("alpha").get<double>()) < 1e-6;
  EXPECT_TRUE(found);
}

TEST_F(Fit, ResolutionsAreAKnob) {
  const auto best = [&](const char* resolutions) {
    return fit_json({"--target", "microbit", "--input", "8x8x1", "--resolutions", resolutions, "--classes",
                     "2", "--family", "phinet", "--top", "1"})
        .at("families")[0];
  };
  const json all = best("16,24,32,48"), small = best("16");
  EXPECT_EQ(all.at("proof").at("lattice_members"), 4 * small.at("proof").at("lattice_members").get<int>());
  EXPECT_GT(all.at("fitting")[0].at("macs"), small.at("fitting")[0].at("macs"));
}

TEST_F(Fit, ExplainsItsProof) {
  const Finished f = fit({"--target", "nrf52840", "--input", "96x96x3", "--classes", "2", "--family",
                          "phinet", "--explain", "--front"});
  EXPECT_EQ(f.exit_code, 0) << f.err;
  for (const char* text : {"best", "next larger, does not fit", "binding: ", "priced exactly",
                           "demands rise with alpha", "flash: total", "non-dominated"})
    EXPECT_THAT(f.out, HasSubstr(text));
}

TEST_F(Fit, SubspacesAreRankedTheSameEachTime) {
  const std::vector<std::string> command{"--target",    "microbit",  "--input", "48x48x1",  "--resolutions",
                                         "24,48",       "--classes", "2",       "--family", "mobilenetv2",
                                         "--subspaces", "20",        "--seed",  "7"};
  const json j = fit_json(command);
  EXPECT_EQ(j, fit_json(command));
  double last = 1e18;
  std::int64_t fitting = 0;
  for (const json& s : j.at("families")[0].at("subspaces")) {
    EXPECT_LE(s.at("mean_macs").get<double>(), last);
    last = s.at("mean_macs");
    fitting += s.at("fitting").get<std::int64_t>();
    EXPECT_EQ(s.at("cdf").size(), s.at("fitting") == 0 ? 0U : 21U);
    EXPECT_LE(s.at("fitting"), s.at("samples"));
  }
  EXPECT_GT(fitting, 0);
}

TEST_F(Fit, BadQuantitiesAreNamed) {
  const auto refused = [&](const std::string& limits, int code, const char* text) {
    const Finished f = fit({"--limits", limits, "--input", "16x16x1", "--classes", "2", "--family", "mlp"});
    EXPECT_EQ(f.exit_code, code) << limits << f.err;
    EXPECT_THAT(f.err, HasSubstr(text)) << limits;
  };
  refused("flash=nan", 2, "flash=nan");
  refused("flash=inf", 2, "flash=inf");
  refused("flash=1e300", 2, "flash=1e300");
  refused("flash=12parsecs", 2, "12parsecs");
  refused("flash", 2, "'flash'");
  refused("flash=1,flash_bytes=2", 2, "twice");
  refused("flash=0", 3, "flash_bytes");
  refused("ram=-5KB", 3, "ram_bytes");
  refused("flsh=10", 3, "flsh");
  refused("latency=5ms", 3, "latency");
  refused("", 2, "--target");
  const Finished f =
      fit({"--limits", "ram=1KB", "--input", "16x16x1", "--resolutions", "16,0", "--classes", "2"});
  EXPECT_EQ(f.exit_code, 2);
  EXPECT_EQ(fit({"--limits", "ram=1KB", "--input", "16x16x1", "--resolutions", "16,16", "--classes", "2"})
                .exit_code,
            4);
}

}  // namespace
}  // namespace mcufit::testing
