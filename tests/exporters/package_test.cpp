// SPDX-License-Identifier: Apache-2.0
#include "exporters/package.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "blocks/builder.h"
#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/subprocess.h"
#include "blocks/lower.h"
#include "exporters/c_steps.h"
#include "exporters/embedded_files.h"
#include "tests/exporters/sample_network.h"
#include "tests/random_seed.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

// Runs `action`, which must throw an Error with this code, and returns its message.
template <typename Action>
std::string message_of(ExitCode code, const Action& action) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

class Package : public ::testing::Test {
 protected:
  fs::path write(const std::string& folder, const std::string& name = "sample") {
    PackageRequest request{.name = name, .target = sample_target("cortex-m4", true), .self_test = vectors_};
    const nlohmann::json provenance = {{"seed", 3}};
    request.provenance = &provenance;
    write_package(folder_.path() / folder, graph_, price(graph_.graph, no_code_sizes()), request);
    return folder_.path() / folder;
  }

  static std::map<std::string, std::string> contents(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder))
      files[entry.path().filename()] = read_file(entry.path());
    return files;
  }

  // Compiles the package with `main_text` and runs it; returns what it prints.
  std::string run_on_host(const fs::path& package, const std::string& compiler,
                          const std::string& main_text) {
    write_file(folder_.path() / "main.c", main_text);
    Command compile;
    compile.program = compiler;
    compile.arguments = {"-std=c99",
                         "-O1",
                         "-Wall",
                         "-Wextra",
                         "-Wconversion",
                         "-Wshadow",
                         "-Werror",
                         "-fno-common",
                         "-I" + package.string(),
                         (folder_.path() / "main.c").string()};
    for (const std::string& source : read_manifest(package).sources)
      compile.arguments.push_back(package / source);
    const std::string program = folder_.path() / "program";
    compile.arguments.insert(compile.arguments.end(), {"-o", program});
    const Finished compiled = mcufit::run(compile);
    EXPECT_EQ(compiled.exit_code, 0) << compiled.err;
    Command command;
    command.program = program;
    const Finished finished = mcufit::run(command);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return finished.out;
  }

  const QuantizedGraph graph_ = sample_network(seed());
  std::vector<TestVector> vectors_ = sample_vectors(graph_, 4, seed());
  TestFolder folder_;
};

constexpr const char* kMain =
    "#include <stdio.h>\n#include \"sample.h\"\n#include \"sample_selftest.h\"\n"
    "int main(void) {\n  int i;\n  const int failed = sample_selftest();\n"
    "  for (i = 0; i < SAMPLE_OUTPUT_BYTES; ++i) printf(\"%d \", sample_output()[i]);\n"
    "  printf(\"failed %d\\n\", failed);\n  return 0;\n}\n";

TEST_F(Package, GivesTheInterpretersBytesOnTheHost) {
  MCUFIT_TRACE_SEED();
  const fs::path package = write("package");
  std::string expected;
  for (const std::int8_t value : vectors_.back().output) expected += fmt::format("{} ", value);
  for (const char* compiler : {"gcc", "clang-14"}) {
    if (!find_program(compiler)) {
      std::cout << "not tried: " << compiler << " is not installed\n";
      continue;
    }
    EXPECT_EQ(run_on_host(package, compiler, kMain), expected + "failed 0\n") << compiler;
  }
}

TEST_F(Package, SelfTestCountsTheVectorsThatDiffer) {
  MCUFIT_TRACE_SEED();
  vectors_[0].output.back() = static_cast<std::int8_t>(vectors_[0].output.back() ^ 1);
  vectors_[2].output.front() = static_cast<std::int8_t>(vectors_[2].output.front() ^ 64);
  EXPECT_THAT(run_on_host(write("package"), "gcc", kMain), HasSubstr("failed 2\n"));
}

// What runs is decided by the code alone: data name kernels by number.
TEST_F(Package, CallsAndStoresNoFunctionPointers) {
  const std::regex pointer(R"(\(\s*\*\s*\w*\s*\)\s*\()");                        // (*f)(
  const std::regex member_call(R"((->|\.)\s*\w+\s*\()");                         // call->run(
  const std::regex address(R"((=|,|\{|&)\s*(mcufit|sample_run)\w*_s8\s*[,}])");  // {mcufit_add_s8, ...}
  for (const auto& [name, content] : contents(write("package"))) {
    if (!name.ends_with(".c") && !name.ends_with(".h")) continue;
    std::istringstream lines(std::regex_replace(content, std::regex(R"(/\*[^*]*\*/)"), ""));
    for (std::string line; std::getline(lines, line);) {
      for (const std::regex* r : {&pointer, &member_call, &address})
        EXPECT_FALSE(std::regex_search(line, *r)) << name << ": " << line;
    }
  }
  EXPECT_TRUE(std::regex_search("  call->run(call->step);", member_call));
  EXPECT_TRUE(std::regex_search("  void (*run)(const void *step);", pointer));
  EXPECT_TRUE(std::regex_search("  {sample_run_add_s8, &sample_step1, 3},", address));
}

// A variant that no core asks for, or without the kernel that the other cores need, would never run.
TEST(KernelVariants, BelongToAKernelAndAnInstructionSet) {
  std::set<std::string, std::less<>> files;
  for (const EmbeddedFile& file : runtime_files()) files.emplace(file.name);
  const std::regex variant(R"((\w+_s8)_(\w+)\.c)");
  for (const std::string& file : files) {
    std::smatch match;
    if (!std::regex_match(file, match, variant)) continue;
    EXPECT_TRUE(files.contains(match[1].str() + ".c")) << file;
    EXPECT_NE(find_isa(match[2].str()).value_or(Isa::portable), Isa::portable) << file;
  }
}

TEST_F(Package, SelfTestNamesTheFirstCallThatDiffers) {
  MCUFIT_TRACE_SEED();
  constexpr const char* kCalls =
      "#include <stdio.h>\n#include \"sample_selftest.h\"\n"
      "int main(void) {\n  printf(\"%d\\n\", sample_selftest_call());\n  return 0;\n}\n";
  const fs::path package = write("package");
  EXPECT_EQ(run_on_host(package, "gcc", kCalls), "-1\n");
  std::string text = read_file(package / "sample_steps.c");
  const std::size_t step = text.find("sample_step4 = {"), end = text.find(".output_max = ", step);
  text.replace(end, text.find_first_of(",}", end) - end, ".output_max = -128");
  write_file(package / "sample_steps.c", text);
  auto manifest = nlohmann::json::parse(read_file(package / "manifest.json"));
  manifest["files"]["sample_steps.c"] = {{"bytes", text.size()}, {"sha256", sha256(text)}};
  write_file(package / "manifest.json", manifest.dump());
  EXPECT_EQ(run_on_host(package, "gcc", kCalls), "3\n");
}

TEST_F(Package, HeadersServeCxx) {
  const fs::path package = write("package");
  write_file(
      folder_.path() / "use.cpp",
      "#include \"sample.h\"\n#include \"sample_selftest.h\"\n"
      "int use() { *sample_input() = 1; sample_invoke(); return *sample_output() + sample_selftest(); }\n");
  Command command;
  command.program = "g++";
  command.arguments = {"-std=c++20",
                       "-Wall",
                       "-Wextra",
                       "-Werror",
                       "-fsyntax-only",
                       "-I" + package.string(),
                       folder_.path() / "use.cpp"};
  const Finished finished = mcufit::run(command);
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
}

TEST_F(Package, EqualArgumentsGiveEqualBytes) {
  const auto first = contents(write("one"));
  EXPECT_EQ(first, contents(write("two")));
  for (const auto& [name, content] : first) {
    if (!name.ends_with(".c") && !name.ends_with(".h")) continue;
    EXPECT_TRUE(content.starts_with("/* SPDX-License-Identifier: Apache-2.0 */\n")) << name;
  }
}

TEST_F(Package, HoldsTheNeededKernelsOnly) {
  GraphBuilder b("tiny", {4, 4, 1});
  b.fully_connected("classifier", b.input(), 2);
  const Graph graph = b.finish();
  const Lowered lowered = lower(graph, zero_weights(graph));
  QuantizedNode classifier;
  classifier.filter.assign(32, 1);
  classifier.filter_scales.assign(2, 0.5F);
  classifier.bias.assign(2, 0);
  const QuantizedGraph tiny{lowered.graph, {QuantizedNode{}, classifier}};
  PackageRequest request;
  request.name = "tiny";
  request.target = sample_target("cortex-m4", true);
  write_package(folder_.path() / "tiny", tiny, price(tiny.graph, no_code_sizes()), request);
  EXPECT_EQ(
      read_manifest(folder_.path() / "tiny").sources,
      (std::vector<std::string>{"mcufit_fully_connected_s8.c", "tiny.c", "tiny_steps.c", "tiny_weights.c"}));
  // None of them works in the arena, which is the same on every core.
  EXPECT_THAT(read_file(folder_.path() / "tiny" / "tiny.h"), HasSubstr("#define TINY_ARENA_BYTES 20\n"));
  for (const char* file : {"tiny.h", "tiny_steps.c"})
    EXPECT_THAT(read_file(folder_.path() / "tiny" / file), Not(HasSubstr("SCRATCH"))) << file;
}

TEST_F(Package, ManifestSaysWhatThePackageIs) {
  const Manifest manifest = read_manifest(write("package"));
  const Cost cost = price(graph_.graph, no_code_sizes());
  EXPECT_EQ(manifest.name, "sample");
  EXPECT_EQ(manifest.target.core, "cortex-m4");
  EXPECT_EQ(manifest.input_bytes, 9 * 11 * 3);
  EXPECT_EQ(manifest.output_bytes, 5);
  EXPECT_EQ(manifest.flash, cost.flash);
  EXPECT_EQ(manifest.ram, cost.ram);
  const auto json = nlohmann::json::parse(read_file(folder_.path() / "package" / "manifest.json"));
  EXPECT_EQ(json.at("provenance").at("seed"), 3);
  EXPECT_EQ(json.at("plan").at("arena_bytes"), cost.plan.arena_bytes);
}

TEST_F(Package, AChangedOrMissingFileIsNamed) {
  const fs::path package = write("package");
  const fs::path weights = package / "sample_weights.c";
  std::string content = read_file(weights);
  const std::size_t digit = content.find_first_of("123456789", content.find("{\n"));
  content[digit] = content[digit] == '1' ? '2' : '1';
  std::ofstream(weights) << content;
  EXPECT_THAT(message_of(ExitCode::input, [&] { read_manifest(package); }),
              HasSubstr("sample_weights.c: found"));
  fs::remove(weights);
  EXPECT_THAT(message_of(ExitCode::input, [&] { read_manifest(package); }), HasSubstr("is missing"));
}

TEST_F(Package, ADamagedManifestIsRefused) {
  const fs::path package = write("package");
  const auto good = nlohmann::json::parse(read_file(package / "manifest.json"));
  const auto refused = [&](const std::string& text) {
    write_file(package / "manifest.json", text);
    return message_of(ExitCode::input, [&] { read_manifest(package); });
  };
  EXPECT_THAT(refused("{"), HasSubstr("is no package manifest"));
  EXPECT_THAT(refused("[1]"), HasSubstr("is no package manifest"));
  auto damaged = good;
  damaged["format"] = 2;
  EXPECT_THAT(refused(damaged.dump()), HasSubstr("format 1"));
  damaged = good;
  damaged["name"] = "x\"; rm";
  EXPECT_THAT(refused(damaged.dump()), HasSubstr("package name"));
  damaged = good;
  damaged["files"]["../outside.c"] = damaged["files"]["sample.c"];
  EXPECT_THAT(refused(damaged.dump()), HasSubstr("found file name '../outside.c'"));
  damaged = good;
  damaged["flash"]["code_bytes"] = damaged["flash"]["code_bytes"].get<int>() + 1;
  EXPECT_THAT(refused(damaged.dump()), HasSubstr("sum"));
  for (const auto& [change, message] : std::map<std::string, std::string>{
           {R"([{"op": "replace", "path": "/scratch/kernels", "value": "neon"}])",
            "found \"neon\"; accepted"},
           {R"([{"op": "replace", "path": "/scratch/kernels", "value": "dsp"}])", "dsp"},
           {R"([{"op": "remove", "path": "/scratch/bytes_behind/v6m"}])", "v6m"},
           {R"([{"op": "replace", "path": "/scratch/bytes_behind/mve", "value": -4}])", "mve"},
           {R"([{"op": "add", "path": "/scratch/bytes_behind/sve", "value": 4}])", "sve"}}) {
    EXPECT_THAT(refused(good.patch(nlohmann::json::parse(change)).dump()), HasSubstr(message)) << change;
  }
  for (const char* key : {"files", "target", "ram", "input", "scratch"}) {
    damaged = good;
    damaged.erase(key);
    EXPECT_THAT(refused(damaged.dump()), HasSubstr(key));
  }
  fs::remove(package / "manifest.json");
  EXPECT_THAT(message_of(ExitCode::input, [&] { read_manifest(package); }), HasSubstr("is missing"));
}

TEST_F(Package, NamesMustBeIdentifiers) {
  for (const char* name : {"", "1st", "Upper", "a-b", "int", "class", "mcufit_x", "_x", "a b", "x;"}) {
    EXPECT_THAT(message_of(ExitCode::input, [&] { write("package", name); }), HasSubstr("package name"))
        << name;
  }
  EXPECT_FALSE(fs::exists(folder_.path() / "package"));
}

TEST_F(Package, VectorsMustHaveTheNetworksShape) {
  vectors_[1].input.pop_back();
  EXPECT_THAT(message_of(ExitCode::input, [&] { write("package"); }), HasSubstr("296 inputs"));
}

TEST_F(Package, ReplacesAPackageAndNothingElse) {
  const fs::path package = write("package");
  write_file(package / "left_over.txt", "x");
  write("package/");
  EXPECT_FALSE(fs::exists(package / "left_over.txt"));
  EXPECT_NO_THROW(read_manifest(package));
  write_file(folder_.path() / "mine" / "thesis.txt", "x");
  EXPECT_THAT(message_of(ExitCode::io, [&] { write("mine"); }), HasSubstr("other things"));
  EXPECT_TRUE(fs::exists(folder_.path() / "mine" / "thesis.txt"));
  write_file(folder_.path() / "file", "x");
  EXPECT_THAT(message_of(ExitCode::io, [&] { write("file"); }), HasSubstr("no folder"));
  EXPECT_THAT(message_of(ExitCode::io, [&] { write("file/inside"); }), HasSubstr("file"));
  const auto count = std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator());
  EXPECT_EQ(count, 3) << "scratch folders were left";
}

TEST(CComment, CannotBeEnded) {
  EXPECT_EQ(c_comment("block3/expand"), "block3/expand");
  EXPECT_EQ(c_comment("a*/ int x; /*"), "a* / int x; / *");
  EXPECT_EQ(c_comment("line\nbreak\\"), "line?break?");
}

}  // namespace
}  // namespace mcufit::testing
