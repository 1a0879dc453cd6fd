// SPDX-License-Identifier: Apache-2.0
// Files with every operator, cut short and changed byte by byte: an Error, or a graph that verifies and runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "exporters/interpreter.h"
#include "exporters/tflite/export.h"
#include "exporters/tflite/import.h"
#include "exporters/tflite/model_file.h"
#include "tests/exporters/sample_network.h"
#include "tests/exporters/tflite_model.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;

fs::path corpus() { return fs::path(MCUFIT_SOURCE_DIR) / "tests/fuzz/corpus/fuzz_tflite"; }

bool is_small(const QuantizedGraph& graph) {
  std::int64_t work = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    work += graph.graph.nodes[i].shape.elements() + static_cast<std::int64_t>(graph.nodes[i].filter.size());
  return work < 20000;
}

void import_damaged(const std::string& content) {
  try {
    const QuantizedGraph graph = import_tflite(content, "damaged");
    if (!is_small(graph)) return;
    interpret(graph,
              std::vector<std::int8_t>(static_cast<std::size_t>(graph.graph.input_shape().elements())));
  } catch (const Error& error) {
    ASSERT_EQ(error.code(), ExitCode::input) << error.what();
  }
}

TfliteTensor real(std::vector<std::int32_t> shape) {
  return {std::move(shape), schema::TensorType::FLOAT32, {}, {}, 0, {}};
}

// Operators that an export of ours has not: float32 -> QUANTIZE -> RELU -> RELU6 -> SQUEEZE -> EXPAND_DIMS ->
// TRANSPOSE -> PADV2 -> RESHAPE -> QUANTIZE -> DEQUANTIZE -> float32. Tensor i + 1 is the output of operator
// i.
TfliteModel foreign_model() {
  const auto plain = [](std::vector<std::int32_t> shape) { return computed(std::move(shape), 0.5F, -3); };
  TfliteModel m;
  m.tensors = {real({1, 2, 1, 3}),
               plain({1, 2, 1, 3}),
               plain({1, 2, 1, 3}),
               plain({1, 2, 1, 3}),
               plain({1, 2, 3}),
               plain({1, 1, 2, 3}),
               plain({1, 2, 1, 3}),
               plain({1, 3, 1, 3}),
               plain({1, 9}),
               computed({1, 9}, 0.25F, 4),
               real({1, 9}),
               integers({4}, {0, 2, 1, 3}),
               integers({4, 2}, {0, 0, 1, 0, 0, 0, 0, 0}),
               plain({1})};
  m.tensors.back().data = {9};
  int output = 1;
  const auto add = [&](int code, std::vector<std::int32_t> constants = {}) {
    std::vector<std::int32_t> inputs{output - 1};
    inputs.insert(inputs.end(), constants.begin(), constants.end());
    m.operators.push_back({code, std::move(inputs), {output++}, schema::BuiltinOptions::NONE, {}});
  };
  for (const int code : {114, 19, 21, 43, 70}) add(code);
  add(39, {11});
  add(60, {12, 13});
  for (const int code : {22, 114, 6}) add(code);
  m.inputs = {0};
  m.outputs = {10};
  return m;
}

std::vector<std::pair<std::string, std::string>> sound_files() {
  return {{"exported.tflite", export_tflite(sample_network(1))},
          {"foreign.tflite", serialized(foreign_model())}};
}

TEST(TfliteDamage, TruncatedFilesAreRefused) {
  for (const auto& [name, whole] : sound_files()) {
    ASSERT_NO_THROW(import_tflite(whole, name));
    for (std::size_t size = 0; size < whole.size(); ++size)
      ASSERT_THROW(import_tflite(whole.substr(0, size), "truncated"), Error) << name << " " << size;
  }
}

TEST(TfliteDamage, ChangedBytesDoNoHarm) {
  for (const auto& [name, whole] : sound_files()) {
    for (std::size_t i = 0; i < whole.size() && !HasFatalFailure(); ++i) {
      for (const int flip : {0xff, 0x01, 0x80}) {
        SCOPED_TRACE(name + " " + std::to_string(i));
        std::string damaged = whole;
        damaged[i] = static_cast<char>(damaged[i] ^ flip);
        import_damaged(damaged);
      }
    }
  }
}

// MCUFIT_UPDATE_GOLDEN=1 writes the one that is no export; another test writes that one.
TEST(TfliteDamage, TheFuzzingCorpusHasEveryOperator) {
  if (std::getenv("MCUFIT_UPDATE_GOLDEN") != nullptr)
    write_file(corpus() / "foreign.tflite", serialized(foreign_model()));
  std::set<std::string> missing;
  for (const TfliteOperatorInfo& op : tflite_operators()) missing.emplace(op.name);
  for (const auto& entry : fs::directory_iterator(corpus())) {
    const std::string content = read_file(entry.path());
    import_damaged(content);
    if (entry.path().filename() == "misaligned_zero_points.tflite") continue;
    for (const tflite::Operator& op : tflite::read_model_file(content, "corpus").operators)
      missing.erase(op.name);
  }
  EXPECT_THAT(missing, ::testing::IsEmpty());
}

#if !defined(__SANITIZE_ADDRESS__)
// Reads the content with room for one copy of it and 1 MB more; exits with 0 when that was an Error.
[[noreturn]] void import_in_little_memory(const std::string& content) {
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const auto limit = static_cast<rlim_t>(pages) * 4096 + content.size() + (1U << 20);
  const rlimit memory{limit, limit};
  if (::setrlimit(RLIMIT_AS, &memory) != 0) std::_Exit(3);
  try {
    import_tflite(content, "large");
  } catch (const Error&) {
    std::_Exit(0);
  } catch (const std::bad_alloc&) {
    std::_Exit(2);
  }
  std::_Exit(1);
}

// The file and a copy of it are all that is held before it is known to be sound.
TEST(TfliteDamage, LargeFilesThatAreNoModelNeedNoMemory) {
  std::string large = export_tflite(sample_network(1)).substr(0, 64);
  large.resize(64U << 20, '\x01');
  EXPECT_EXIT(import_in_little_memory(large), ::testing::ExitedWithCode(0), "");
}
#endif

}  // namespace
}  // namespace mcufit::testing
