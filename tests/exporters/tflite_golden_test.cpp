// SPDX-License-Identifier: Apache-2.0
// The MLPerf Tiny models against what TensorFlow Lite Micro computes: its reference kernels and CMSIS-NN's,
// on emulated Cortex-M4, M7 and M55, gave the same bytes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/subprocess.h"
#include "cost-models/price.h"
#include "exporters/device/device.h"
#include "exporters/device/devices.h"
#include "exporters/fast_interpreter.h"
#include "exporters/interpreter.h"
#include "exporters/plan_runner.h"
#include "exporters/tflite/export.h"
#include "exporters/tflite/import.h"
#include "tests/exporters/sample_network.h"

namespace mcufit::testing {
namespace {

using Bytes = std::vector<std::int8_t>;

struct Golden {
  const char* name;
  const char* file;
  std::int64_t macs;
  std::array<const char*, 3> outputs;  // hexadecimal, the first 16 bytes, of input(0), input(1), input(2)
};

constexpr Golden kModels[] = {
    {"ic",
     "ic_resnet8_int8.tflite",
     12'501'632,
     {"8080828380807b808080", "8080858b808070808080", "808086ba808040808080"}},
    {"kws",
     "kws_dscnn_int8.tflite",
     2'656'768,
     {"8080808080808080809a8066", "808080808080808080788088", "8080808080808080807f8080"}},
    {"ad",
     "ad_fc_autoencoder_int8.tflite",
     264'192,
     {"e405051e2f3e2e312f302c30322d272b", "eb14213b43452e302e352f2f2d2d2525",
      "ec1321353b43312c29312d2b272a221e"}},
};

void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.name; }

Bytes input(std::uint32_t k, std::int64_t elements) {
  Bytes bytes(static_cast<std::size_t>(elements));
  std::uint32_t state = 12345 + k;
  for (std::int8_t& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::int8_t>(state >> 24);
  }
  return bytes;
}

std::string hexadecimal(const Bytes& bytes) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 16); ++i)
    text += fmt::format("{:02x}", static_cast<std::uint8_t>(bytes[i]));
  return text;
}

std::filesystem::path model_path(const char* file) { return data_folder() / "mlperf-tiny" / file; }

// The host's C kernels over a memory plan.
Bytes run_kernels(const QuantizedGraph& graph, const Bytes& sample, PlanMode mode) {
  const MemoryPlan memory = plan(graph.graph, {.mode = mode});
  Bytes arena(static_cast<std::size_t>(memory.arena_bytes));
  return PlanRunner(graph, memory).run(sample, arena);
}

class TfliteGolden : public ::testing::TestWithParam<Golden> {
 protected:
  void SetUp() override {
    const auto path = model_path(GetParam().file);
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there; MCUFIT_DATA names its folder";
    graph_ = import_tflite(read_file(path), GetParam().name);
  }

  Bytes sample(std::uint32_t k) const { return input(k, graph_.graph.input_shape().elements()); }

  QuantizedGraph graph_;
};

TEST_P(TfliteGolden, InterpreterAndKernelsGiveTensorFlowLiteMicrosBytes) {
  EXPECT_EQ(price(graph_.graph, load_code_sizes(load_target("nrf52840"))).macs, GetParam().macs);
  for (std::uint32_t k = 0; k < 3; ++k) {
    const Bytes interpreted = interpret(graph_, sample(k)).back();
    EXPECT_EQ(hexadecimal(interpreted), GetParam().outputs[k]) << "input " << k;
    for (const PlanMode mode : {PlanMode::layer_by_layer, PlanMode::best})
      EXPECT_EQ(run_kernels(graph_, sample(k), mode), interpreted) << "input " << k;
    EXPECT_EQ(FastInterpreter(graph_).run(sample(k)).back(), interpreted) << "input " << k;
  }
}

TEST_P(TfliteGolden, ExportedAgainItGivesTheSameBytes) {
  const QuantizedGraph again = import_tflite(export_tflite(graph_), GetParam().name);
  EXPECT_EQ(again.graph, graph_.graph);
  for (std::uint32_t k = 0; k < 3; ++k)
    EXPECT_EQ(hexadecimal(interpret(again, sample(k)).back()), GetParam().outputs[k]) << "input " << k;
}

TEST_P(TfliteGolden, EmulatedCortexM4GivesTheSameBytes) {
  for (const char* program : {"arm-none-eabi-gcc", "qemu-system-arm"})
    if (!find_program(program)) GTEST_SKIP() << program << " is not installed";
  const Target target = load_target("nrf52840");
  const Cost cost = price(graph_.graph, load_code_sizes(target));
  std::vector<TestVector> vectors;
  for (std::uint32_t k = 0; k < 3; ++k) vectors.push_back({sample(k), interpret(graph_, sample(k)).back()});
  const TestFolder folder;
  PackageRequest request;
  request.name = GetParam().name;
  request.target = target;
  write_package(folder.path() / "package", graph_, cost, request);
  const DeviceReport report =
      validate({folder.path() / "package", folder.path() / "work", "", nullptr}, vectors);
  EXPECT_FALSE(report.first_mismatch.has_value());
  EXPECT_EQ(report.linked.flash, cost.flash);
  const Prediction predicted = predict(read_manifest(folder.path() / "package"), find_device(target.core));
  EXPECT_EQ(report.linked.arena_bytes, predicted.ram.arena_bytes);
  EXPECT_LE(report.stack_bytes, cost.ram.stack_bytes);
  RecordProperty("instructions", std::to_string(report.instructions_per_inference));
  std::cout << fmt::format(
      "{}: {} instructions ({:.2f} per MAC), arena {}, flash {} (weights {}, biases {}, tables {}, steps {}, "
      "code {}), stack {} of {}\n",
      GetParam().name, report.instructions_per_inference,
      static_cast<double>(report.instructions_per_inference) / static_cast<double>(cost.macs),
      cost.ram.arena_bytes, cost.flash.total(), cost.flash.weights_bytes, cost.flash.bias_bytes,
      cost.flash.table_bytes, cost.flash.step_bytes, cost.flash.code_bytes, report.stack_bytes,
      cost.ram.stack_bytes);
}

// The golden inputs and random ones, on this machine and on every emulated core whose memories hold the
// model.
TEST_P(TfliteGolden, EveryDeviceGivesTheSameBytes) {
  constexpr std::size_t kVectors = 100;
  std::vector<Bytes> inputs;
  for (std::uint32_t k = 0; k < kVectors; ++k) inputs.push_back(sample(k));
  const auto outputs = FastInterpreter(graph_).run_all(inputs);
  std::vector<TestVector> vectors;
  for (std::size_t i = 0; i < inputs.size(); ++i) vectors.push_back({inputs[i], outputs[i]});
  const TestFolder folder;
  PackageRequest request;
  request.name = GetParam().name;
  request.target = load_target("nrf52840");
  write_package(folder.path() / "package", graph_, price(graph_.graph, load_code_sizes(request.target)),
                request);
  int ran = 0;
  for (const Device& device : devices()) {
    SCOPED_TRACE(device.name);
    try {
      const DeviceReport report =
          validate({folder.path() / "package", folder.path() / device.name, device.name, &graph_}, vectors);
      EXPECT_FALSE(report.first_mismatch.has_value());
      EXPECT_EQ(report.samples, static_cast<std::int64_t>(kVectors));
      ++ran;
    } catch (const Error& error) {  // not installed, or too small
      EXPECT_TRUE(error.code() == ExitCode::device_not_found || error.code() == ExitCode::constraint_not_met)
          << error.what();
      std::cout << device.name << ": " << std::string(error.what()).substr(0, 100) << "\n";
    }
  }
  EXPECT_GE(ran, 1);  // this machine
}

INSTANTIATE_TEST_SUITE_P(MlperfTiny, TfliteGolden, ::testing::ValuesIn(kModels),
                         [](const auto& model) { return std::string(model.param.name); });

// 1,000 records of a label and the model's input; 90 % is what the benchmark asks for.
TEST(TfliteAccuracy, KeywordsAreRecognized) {
  const auto model = model_path("kws_dscnn_int8.tflite");
  const auto records = data_folder() / "speech-commands" / "kws01_mfcc_1000x49x10_i8.bin.xz";
  for (const auto& path : {model, records})
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there; MCUFIT_DATA names its folder";
  if (!find_program("xz")) GTEST_SKIP() << "xz is not installed";
  Command unpack;
  unpack.program = "xz";
  unpack.arguments = {"--decompress", "--stdout", records.string()};
  const std::string content = run(unpack).out;
  constexpr std::size_t kInputs = 490, kRecords = 1000;
  ASSERT_EQ(content.size(), kRecords * (1 + kInputs));
  std::vector<Bytes> inputs;
  for (auto at = content.begin(); at != content.end(); at += 1 + kInputs)
    inputs.emplace_back(at + 1, at + 1 + kInputs);
  const auto outputs = FastInterpreter(import_tflite(read_file(model), "kws")).run_all(inputs);
  int right = 0;
  for (std::size_t i = 0; i < kRecords; ++i) {
    const auto best = std::max_element(outputs[i].begin(), outputs[i].end()) - outputs[i].begin();
    right += best == content[i * (1 + kInputs)];
  }
  std::cout << fmt::format("kws: {} of {} right\n", right, kRecords);
  EXPECT_GE(right, 900);
}

}  // namespace
}  // namespace mcufit::testing
