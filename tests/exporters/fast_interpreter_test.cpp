// SPDX-License-Identifier: Apache-2.0
// The fast interpreter against its judge: every byte of every node.
#include "exporters/fast_interpreter.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "blocks/foundation/files.h"
#include "exporters/fast_loops.h"
#include "exporters/interpreter.h"
#include "exporters/tflite/import.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/random_nets.h"
#include "tests/exporters/sample_network.h"

namespace mcufit::testing {
namespace {

using Bytes = std::vector<std::int8_t>;

Bytes random_input(Random& random, const QuantizedGraph& graph) {
  Bytes bytes = random_bytes(random, graph.graph.input_shape().elements());
  // The largest sums come from the ends of int8.
  if (random.below(4) == 0)
    for (auto& byte : bytes) byte = byte < 0 ? std::int8_t{-128} : std::int8_t{127};
  return bytes;
}

void expect_equal(const QuantizedGraph& graph, const Bytes& input) {
  const auto expected = interpret(graph, input);
  const auto found = FastInterpreter(graph).run(input);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_EQ(found[i], expected[i]) << graph.graph.nodes[i].name;
}

// 200 cases of each of 18 kinds.
TEST(FastInterpreter, EveryOpGivesTheInterpretersBytes) {
  const std::uint64_t seed = test_seed();
  std::set<std::size_t> seen;
  for (int i = 0; i < 200 * RandomNet::kKinds; ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_case(random, i % RandomNet::kKinds);
    for (const Node& node : graph.graph.nodes) seen.insert(node.op.index());
    expect_equal(graph, random_input(random, graph));
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(seen.size(), std::variant_size_v<Op> - 1) << "every op but batch_norm";
}

TEST(FastInterpreter, WholeNetsGiveTheInterpretersBytes) {
  const std::uint64_t seed = test_seed();
  for (int i = 0; i < 500; ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {1, static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_net(random, 6);
    expect_equal(graph, random_input(random, graph));
    if (HasFatalFailure()) return;
  }
}

// 60,000 products of 127 * 255 come within 10 % of the ends of int32.
TEST(FastInterpreter, SumsNearOverflow) {
  for (const int sign : {1, -1}) {
    QuantizedGraph graph;
    const Shape in{100, 100, 6};
    const FullyConnected op{.output_channels = 5, .bias = true};
    graph.graph.nodes = {{Input{in}, {}, in, "input"}, {op, {0}, {1, 1, 5}, "op"}};
    graph.nodes = {{{1, -128}, {}, {}, {}},
                   {{1, 3},
                    Bytes(300'000, static_cast<std::int8_t>(127 * sign)),
                    {0x1p-24F, 0x1p-25F, 0x1p-26F, 0x1p-27F, 0.9F},
                    {1, 190'000'000, -190'000'000, 0, 7}}};
    verify(graph);
    expect_equal(graph, Bytes(60'000, 127));
    expect_equal(graph, Bytes(60'000, -128));
  }
}

// Both kinds of rows, filters and a rest: what the vectorised loop gives is the plain sum.
TEST(FastLoops, ProductsAreDotProducts) {
  Random random(test_seed());
  for (std::size_t count = 1; count <= 5; ++count) {
    const std::size_t filters = 8, depth = 16 * count;
    std::vector<std::int16_t> patches(count * depth), weights(filters * depth);
    for (auto& value : patches) value = static_cast<std::int16_t>(random.between(-128, 127));
    for (auto& value : weights) value = static_cast<std::int16_t>(random.between(-127, 127));
    const std::vector<std::int32_t> bias{1, -2, 3, -4, 5, -6, 7, -8};
    std::vector<std::int32_t> sums(count * filters);
    multiply({patches.data(), weights.data(), bias.data(), count, filters, depth}, sums.data());
    for (std::size_t p = 0; p < count; ++p)
      for (std::size_t f = 0; f < filters; ++f) {
        std::int32_t sum = bias[f];
        for (std::size_t i = 0; i < depth; ++i) sum += patches[p * depth + i] * weights[f * depth + i];
        ASSERT_EQ(sums[p * filters + f], sum) << p << " " << f;
      }
  }
}

TEST(FastInterpreter, ManySamplesGiveWhatEachGivesAlone) {
  const QuantizedGraph graph = sample_network(3);
  Random random(test_seed());
  std::vector<Bytes> inputs;
  for (int i = 0; i < 200; ++i) inputs.push_back(random_input(random, graph));
  EXPECT_EQ(FastInterpreter(graph).run_all(inputs), interpret_all(graph, inputs));
  EXPECT_TRUE(FastInterpreter(graph).run_all({}).empty());
}

class FastModel : public ::testing::TestWithParam<const char*> {};

TEST_P(FastModel, GivesTheInterpretersBytes) {
  const auto path = data_folder() / "mlperf-tiny" / GetParam();
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there; MCUFIT_DATA names its folder";
  const QuantizedGraph graph = import_tflite(read_file(path), GetParam());
  Random random(test_seed());
  for (int i = 0; i < 5; ++i) expect_equal(graph, random_input(random, graph));
}

INSTANTIATE_TEST_SUITE_P(MlperfTiny, FastModel,
                         ::testing::Values("ic_resnet8_int8.tflite", "kws_dscnn_int8.tflite",
                                           "ad_fc_autoencoder_int8.tflite"));

}  // namespace
}  // namespace mcufit::testing
