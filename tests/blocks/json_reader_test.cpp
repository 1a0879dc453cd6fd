// SPDX-License-Identifier: Apache-2.0
#include "blocks/foundation/json_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace mcufit {
namespace {

using ::testing::HasSubstr;

struct Sample {
  std::int64_t flash = 0;
  std::string mode;
  std::vector<std::int64_t> sizes;
  double rate = 0;
};

Sample read_sample(ObjectReader& r) {
  Sample s;
  s.flash = r.integer("flash_bytes", {1, 1000}, "flash");
  s.mode = r.choice("mode", {"fast", "small"}, "mode", "fast");
  s.rate = r.number("rate", {0, 1}, "rate", 0.5);
  r.optional_object("inner", "nested", [&](ObjectReader& inner) {
    s.sizes = inner.integers("sizes", {1, 9}, 1, 3, "sizes");
  });
  return s;
}

std::string problems_of(const std::string& text) {
  try {
    read_config<Sample>(JsonDocument::parse(text, "f.json"), read_sample);
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.code(), ExitCode::config);
    return error.what();
  }
  return "";
}

TEST(JsonReader, ReadsWhatIsRight) {
  const Sample s = read_config<Sample>(
      JsonDocument::parse(R"({"flash_bytes": 5.0, "inner": {"sizes": [1, 2]}})", "f"), read_sample);
  EXPECT_EQ(s.flash, 5);
  EXPECT_EQ(s.mode, "fast");
  EXPECT_THAT(s.sizes, ::testing::ElementsAre(1, 2));
}

TEST(JsonReader, TellsAllFaultsWithTheirPlaces) {
  const std::string text = problems_of(
      "{\"flash_byte\": 3,\n \"mode\": \"fsat\",\n \"rate\": 2, \"inner\": {\"sizes\": [1, 10]}}");
  EXPECT_THAT(text, HasSubstr("the key 'flash_bytes' is missing"));
  EXPECT_THAT(text, HasSubstr("/flash_byte: unknown key"));
  EXPECT_THAT(text, HasSubstr("did you mean 'flash_bytes'?"));
  EXPECT_THAT(text,
              HasSubstr("f.json:2:7: /mode: found \"fsat\"; accepted: fast, small; did you mean 'fast'?"));
  EXPECT_THAT(text, HasSubstr("f.json:3:7: /rate: found 2; accepted: a number in [0, 1]"));
  EXPECT_THAT(text, HasSubstr("/inner/sizes/1: found 10; accepted: an integer in [1, 9]"));
}

TEST(JsonReader, RefusesWrongTypes) {
  EXPECT_THAT(problems_of(R"({"flash_bytes": "5"})"), HasSubstr("accepted: an integer in [1, 1000]"));
  EXPECT_THAT(problems_of(R"({"flash_bytes": 1.5})"), HasSubstr("found 1.5"));
  EXPECT_THAT(problems_of(R"({"flash_bytes": 18446744073709551615})"), HasSubstr("accepted"));
  EXPECT_THAT(problems_of(R"({"flash_bytes": 5, "inner": 3})"),
              HasSubstr("/inner: found 3; accepted: an object"));
  EXPECT_THAT(problems_of(R"({"flash_bytes": 5, "inner": {"sizes": []}})"), HasSubstr("an array of 1 to 3"));
  EXPECT_THAT(problems_of("[]"), HasSubstr("accepted: an object"));
}

TEST(JsonReader, RefusesWhatIsNoStrictJson) {
  for (const char* text :
       {"", "{", "{\"a\": 1,}", "{\"a\": NaN}", "{\"a\": 1e999}", "{} x", "{\"a\": 1, \"a\": 2}", "\xff"}) {
    EXPECT_THROW(JsonDocument::parse(text, "f"), ConfigError) << text;
  }
  EXPECT_THAT([] { JsonDocument::parse("{\n  \"a\" 1}", "f"); },
              ::testing::ThrowsMessage<ConfigError>(HasSubstr("f:2:")));
}

TEST(JsonReader, BoundsDepthAndSize) {
  EXPECT_THROW(JsonDocument::parse(std::string(1'000'000, '['), "deep"), ConfigError);
  std::string large(static_cast<std::size_t>(kMostConfigBytes) + 1, ' ');
  EXPECT_THROW(JsonDocument::parse(std::move(large), "large"), ConfigError);
}

TEST(JsonReader, DescribesItselfAsASchema) {
  const auto schema = schema_of<Sample>(read_sample);
  EXPECT_EQ(schema["properties"]["flash_bytes"]["maximum"], 1000);
  EXPECT_EQ(schema["properties"]["inner"]["properties"]["sizes"]["items"]["type"], "integer");
  EXPECT_EQ(schema["required"], nlohmann::json::array({"flash_bytes"}));
  EXPECT_EQ(schema["properties"]["mode"]["default"], "fast");
}

}  // namespace
}  // namespace mcufit
