// SPDX-License-Identifier: Apache-2.0
#include "blocks/family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/random.h"
#include "blocks/lower.h"
#include "cost-models/count.h"
#include "tests/random_seed.h"

namespace mcufit {
namespace {

// Uniform values within the parameters' bounds, so that the whole definition is tested and not the lattice
// alone.
Architecture draw(const Family& family, Random& random) {
  Architecture a{&family, {}, {}};
  const auto extent = [&](std::int64_t low, std::int64_t high) {
    return static_cast<std::int32_t>(random.between(low, high));
  };
  a.task = {{extent(8, 100), extent(8, 100), extent(1, 3)}, extent(2, 20)};
  const auto parameters = family.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& p = parameters[i];
    a.hyperparameters[i] = p.integer
                               ? static_cast<double>(random.between(static_cast<std::int64_t>(p.minimum),
                                                                    static_cast<std::int64_t>(p.maximum)))
                               : p.minimum + random.unit() * (p.maximum - p.minimum) * 0.5;
  }
  return a;
}

class FamilyContract : public ::testing::TestWithParam<const Family*> {};

TEST_P(FamilyContract, ClosedFormEqualsCountOfTheBuiltGraph) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  for (int i = 0; i < 1000; ++i) {
    const Architecture a = draw(*GetParam(), random);
    ASSERT_EQ(a.footprint(), count(a.build())) << to_json(a).dump();
  }
}

TEST_P(FamilyContract, ArchitectureSurvivesJson) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  for (int i = 0; i < 50; ++i) {
    const Architecture a = draw(*GetParam(), random);
    const JsonDocument document = JsonDocument::parse(to_json(a).dump(), "architecture");
    ASSERT_EQ(a, read_config<Architecture>(document, read_architecture));
  }
}

TEST_P(FamilyContract, LatticeIsWithinBounds) {
  ASSERT_LE(GetParam()->parameters().size(), Hyperparameters::kMost);
  for (const Parameter& p : GetParam()->parameters()) {
    ASSERT_FALSE(p.lattice.empty()) << p.name;
    for (const std::span<const double> values : {std::span(p.lattice), p.fine_values(), p.choice_values()}) {
      for (const double value : values) {
        EXPECT_GE(value, p.minimum) << p.name;
        EXPECT_LE(value, p.maximum) << p.name;
      }
      EXPECT_TRUE(std::is_sorted(values.begin(), values.end())) << p.name;
    }
    const auto fine = p.fine_values();
    for (const double value : p.lattice)
      EXPECT_TRUE(std::binary_search(fine.begin(), fine.end(), value)) << p.name << " " << value;
  }
}

bool none_falls(const Footprint& smaller, const Footprint& larger) {
  return smaller.params <= larger.params && smaller.macs <= larger.macs &&
         smaller.peak_activation_bytes <= larger.peak_activation_bytes &&
         smaller.filter_elements <= larger.filter_elements &&
         smaller.filter_channels <= larger.filter_channels;
}

// How many nodes of each op there are.
std::map<std::string_view, int> ops_of(const Graph& graph) {
  std::map<std::string_view, int> ops;
  for (const Node& node : graph.nodes) ++ops[op_name(node.op)];
  return ops;
}

// Turns one knob of a random member by one value of the fine lattice, or grows its square input.
TEST_P(FamilyContract, TrendsHold) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  const auto parameters = GetParam()->parameters();
  for (int i = 0; i < 1000; ++i) {
    Architecture smaller = draw(*GetParam(), random);
    Architecture larger = smaller;
    const auto knob = static_cast<std::size_t>(random.below(parameters.size() + 1));
    if (knob == parameters.size()) {
      smaller.task.input.width = smaller.task.input.height;
      larger.task.input.height += static_cast<std::int32_t>(random.between(1, 3));
      larger.task.input.width = larger.task.input.height;
    } else {
      const Parameter& p = parameters[knob];
      if (p.trend == Trend::enumerated) continue;
      const auto values = p.fine_values();
      const std::size_t at = random.below(values.size() - 1);
      smaller.hyperparameters[knob] = values[p.trend == Trend::rising ? at : at + 1];
      larger.hyperparameters[knob] = values[p.trend == Trend::rising ? at + 1 : at];
    }
    ASSERT_TRUE(none_falls(smaller.footprint(), larger.footprint()))
        << to_json(smaller).dump() << " " << smaller.footprint() << "\n"
        << to_json(larger).dump() << " " << larger.footprint();
    const auto more = ops_of(larger.build());
    for (const auto& [op, count] : ops_of(smaller.build())) {
      const auto found = more.find(op);
      ASSERT_TRUE(found != more.end() && found->second >= count) << op << " of " << to_json(smaller).dump();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, FamilyContract, ::testing::ValuesIn(families().begin(), families().end()),
                         [](const auto& instance) { return std::string(instance.param->name()); });

// PhiNet vectors computed independently from the paper's definition; alpha .2 is also in the authors' public
// doc-test.
struct PhiNetVector {
  double alpha, beta, t_zero;
  int num_layers;
  Shape input;
  bool squeeze_excite;
  int classes;  // 0: without the head
  std::int64_t params, macs, peak;
};

class PhiNetVectors : public ::testing::TestWithParam<PhiNetVector> {};

TEST_P(PhiNetVectors, ParamsAndMacsToTheUnit) {
  const PhiNetVector& v = GetParam();
  const Family& phinet = family("phinet");
  Hyperparameters h = default_hyperparameters(phinet);
  const auto set = [&](std::string_view name, double value) {
    for (std::size_t i = 0; i < phinet.parameters().size(); ++i) {
      if (phinet.parameters()[i].name == name) h[i] = value;
    }
  };
  set("alpha", v.alpha);
  set("beta", v.beta);
  set("t_zero", v.t_zero);
  set("num_layers", v.num_layers);
  set("squeeze_excite", v.squeeze_excite ? 1 : 0);
  const Graph graph = phinet.build(h, {v.input, std::max(v.classes, 2)});
  Footprint f = count(graph);
  if (v.classes == 0) {  // the head's classifier
    f.params -= count_params(graph, graph.size() - 1);
    f.macs -= count_macs(graph, graph.size() - 1);
  }
  EXPECT_EQ(f.params, v.params);
  EXPECT_EQ(f.macs, v.macs);
  EXPECT_EQ(f.peak_activation_bytes, v.peak);
}

INSTANTIATE_TEST_SUITE_P(
    Golden, PhiNetVectors,
    ::testing::Values(PhiNetVector{.2, 1, 6, 7, {224, 224, 3}, true, 0, 30917, 9815790, 376320},
                      PhiNetVector{.2, 1, 6, 7, {224, 224, 3}, false, 0, 19733, 9804606, 376320},
                      PhiNetVector{.35, 1, 6, 7, {96, 96, 3}, true, 2, 88357, 5112518, 138240},
                      PhiNetVector{.35, .66, 6, 7, {96, 96, 3}, true, 2, 55873, 4393350, 129600},
                      PhiNetVector{.35, 1, 4, 7, {96, 96, 3}, true, 2, 51293, 3666966, 92160},
                      PhiNetVector{1, .66, 4, 7, {128, 128, 3}, true, 0, 259944, 40271070, 471040},
                      PhiNetVector{.5, 1, 6, 4, {28, 28, 1}, true, 10, 30787, 689124, 17640}));

Hyperparameters with(const Family& f, const std::vector<std::pair<std::string_view, double>>& values) {
  Hyperparameters h = default_hyperparameters(f);
  for (const auto& [name, value] : values) {
    for (std::size_t i = 0; i < f.parameters().size(); ++i) {
      if (f.parameters()[i].name == name) h[i] = value;
    }
  }
  return h;
}

// The networks of MLPerf Tiny, with batch-norm folded into biases.
struct ReferenceNetwork {
  std::string_view family;
  std::vector<std::pair<std::string_view, double>> hyperparameters;
  Task task;
  std::int64_t weights, biases, macs, peak;
};

class ReferenceNetworks : public ::testing::TestWithParam<ReferenceNetwork> {};

TEST_P(ReferenceNetworks, WeightsAndMacsToTheUnit) {
  const ReferenceNetwork& n = GetParam();
  const Family& f = family(n.family);
  const Graph deployed = lower(f.build(with(f, n.hyperparameters), n.task));
  std::int64_t biases = 0;
  for (const Node& node : deployed.nodes) {
    const bool weighted = !std::visit([]<typename T>(const T&) { return Weightless<T>; }, node.op);
    if (weighted) biases += node.shape.channels;
  }
  const Footprint found = count(deployed);
  EXPECT_EQ(found.params - biases, n.weights);
  EXPECT_EQ(biases, n.biases);
  EXPECT_EQ(found.macs, n.macs);
  EXPECT_EQ(found.peak_activation_bytes, n.peak);
}

INSTANTIATE_TEST_SUITE_P(
    MlperfTiny, ReferenceNetworks,
    ::testing::Values(ReferenceNetwork{"resnet", {}, {{32, 32, 3}, 10}, 77360, 346, 12501632, 49152},
                      ReferenceNetwork{
                          "resnet", {{"width", 40}}, {{32, 32, 3}, 10}, 479480, 850, 76473920, 122880},
                      ReferenceNetwork{"ds_cnn", {}, {{49, 10, 1}, 12}, 22016, 588, 2656768, 16000},
                      ReferenceNetwork{"mobilenetv1", {}, {{96, 96, 3}, 2}, 208112, 2738, 7489664, 55296},
                      ReferenceNetwork{"mlp", {}, {{1, 1, 640}, 640}, 264192, 1672, 264192, 768}));

TEST(Family, UnknownNameGetsASuggestion) {
  try {
    family("phinets");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::config);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("did you mean 'phinet'?"));
  }
}

}  // namespace
}  // namespace mcufit
