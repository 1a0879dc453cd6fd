// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "blocks/foundation/files.h"
#include "blocks/graph_json.h"
#include "blocks/weights.h"
#include "tests/cli/program.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FloatImport : public ::testing::Test {
 protected:
  FloatImport() {
    folder_.write("small.onnx",
                  read_file(fs::path(MCUFIT_SOURCE_DIR) / "tests/fuzz/corpus/fuzz_onnx/plain.onnx"));
  }
  Finished import(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments{"import", "small.onnx", "--output", "run/model"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return mcufit(arguments, folder_.path());
  }
  // `count` inputs of 5x6x2 with values from -1 to 1.
  void write_samples(std::size_t count) const {
    std::string bytes(count * 60 * sizeof(float), '\0');
    for (std::size_t i = 0; i < count * 60; ++i) {
      const float value = static_cast<float>(i * 37 % 201) / 100.0F - 1;
      std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value);
    }
    folder_.write("samples.bin", bytes);
  }
  Folder folder_;
};

TEST_F(FloatImport, KeepsGraphAndWeights) {
  const Finished f = import({});
  ASSERT_EQ(f.exit_code, 0) << f.err;
  // 4*18 + 4 and 4 * 9 and 16 * 3 + 3 weights, 8 of the batch-norm.
  EXPECT_THAT(f.out, HasSubstr("171 params"));
  EXPECT_THAT(f.out, HasSubstr("1 x depthwise_conv2d"));
  const fs::path model = folder_.path() / "run/model";
  const Graph graph = read_graph(JsonDocument::read(model / "graph.json"));
  EXPECT_EQ(graph.input_shape(), (Shape{5, 6, 2}));
  EXPECT_EQ(read_weights(model / "weights.safetensors", graph).nodes[1].filter.size(), 72U);
}

TEST_F(FloatImport, SamplesAndATargetGiveAPackage) {
  write_samples(20);
  const Finished f = import({"--samples", "samples.bin", "--target", "nrf52840"});
  ASSERT_EQ(f.exit_code, 0) << f.err;
  EXPECT_TRUE(fs::exists(folder_.path() / "run/model/small.h"));
  if (!missing_for_device().empty()) GTEST_SKIP() << missing_for_device();
  const Finished device = mcufit({"validate", "run/model"}, folder_.path());
  EXPECT_EQ(device.exit_code, 0) << device.out << device.err;
}

TEST_F(FloatImport, WrongSamplesAndModelsLeaveNothing) {
  write_samples(2);
  fs::resize_file(folder_.path() / "samples.bin", 479);
  const Finished odd = import({"--samples", "samples.bin", "--target", "nrf52840"});
  EXPECT_EQ(odd.exit_code, 4);
  EXPECT_THAT(odd.err, HasSubstr("found 479 bytes; accepted: 1 to 100000 samples of 5x6x2"));
  folder_.write("samples.bin", std::string(240, '\xff'));
  EXPECT_THAT(import({"--samples", "samples.bin", "--target", "nrf52840"}).err, HasSubstr("NaN"));
  folder_.write("small.onnx", "no model");
  EXPECT_EQ(import({}).exit_code, 4);
  EXPECT_FALSE(fs::exists(folder_.path() / "run"));
}

}  // namespace
}  // namespace mcufit::testing
