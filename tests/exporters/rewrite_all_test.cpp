// SPDX-License-Identifier: Apache-2.0
// All passes together: random nets, switches, the shared models.
#include <gtest/gtest.h>

#include <algorithm>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "exporters/rewrite.h"
#include "exporters/tflite/import.h"
#include "tests/exporters/rewrite_nets.h"

namespace mcufit::testing {
namespace {

// 600 nets, half of them full of dead channels; every pass finds something, with and without the others.
TEST(Rewrite, RandomNetsKeepEveryByte) {
  const std::uint64_t seed = test_seed();
  std::vector<std::int64_t> nodes(rewrite_passes().size()), macs(nodes.size());
  for (int i = 0; i < 600; ++i) {
    SCOPED_TRACE(case_name(seed, i));
    Random random(seed, {static_cast<std::uint64_t>(i)});
    const QuantizedGraph graph = random_net(random, 8, i % 2 == 0 ? 0.5 : 0.1);
    const Rewritten all = proven(graph);
    for (std::size_t p = 0; p < nodes.size(); ++p) {
      nodes[p] += all.reports[p].nodes_removed;
      macs[p] += all.reports[p].macs_saved;
    }
    RewriteOptions options;
    for (const RewritePass& pass : rewrite_passes())
      if (random.below(2) == 0) options.skipped.insert(std::string(pass.name));
    proven(graph, options);
    ASSERT_FALSE(HasFailure());
  }
  for (std::size_t p = 0; p < 4; ++p) EXPECT_GT(nodes[p], 0) << rewrite_passes()[p].name;
  EXPECT_GT(macs[4], 0);
}

TEST(Rewrite, EveryPassCanBeSkipped) {
  const auto report_of = [](const Rewritten& r, std::string_view name) {
    return std::find_if(r.reports.begin(), r.reports.end(), [&](const auto& x) { return x.pass == name; });
  };
  CalmNet net({6, 6, 3});
  NodeId x = net.conv(net.add(Pad{.padding = {1, 1, 1, 1}}, {0}), 4, 3);
  x = net.add(Activate{Activation::relu}, {x});
  x = net.add(Concatenation{}, {x});
  const NodeId zero = net.conv(x, 4);
  for (std::int32_t c = 0; c < 4; ++c) net.kill(zero, c, kCalm.zero_point);
  const NodeId last = net.conv(net.add(Add{}, {x, zero}), 3);
  net.ignore(last, 1);
  const QuantizedGraph graph = net.finish();
  const Rewritten all = proven(graph);
  for (const RewritePass& pass : rewrite_passes()) {
    const RewriteReport& report = *report_of(all, pass.name);
    EXPECT_GT(report.nodes_removed + report.channels_removed, 0) << pass.name;
    const Rewritten without = proven(graph, skip_rewrites(pass.name));
    EXPECT_EQ(without.reports.size(), 4U);
    EXPECT_TRUE(report_of(without, pass.name) == without.reports.end());
    EXPECT_NE(without.graph.graph, all.graph.graph) << pass.name;
  }
  EXPECT_EQ(rewrite(graph, skip_rewrites("all")).graph.graph, graph.graph);
  EXPECT_EQ(rewrite(graph, skip_rewrites("none")).graph.graph, all.graph.graph);
  EXPECT_EQ(skip_rewrites("fuse_pad,dead_channels").skipped.size(), 2U);
  EXPECT_THROW(skip_rewrites("fuse_pad,"), Error);
  EXPECT_THROW(skip_rewrites("fuse_pads"), Error);
}

TEST(Rewrite, SharedModelsHaveNoDeadChannels) {
  for (const char* file :
       {"ic_resnet8_int8.tflite", "kws_dscnn_int8.tflite", "ad_fc_autoencoder_int8.tflite"}) {
    const auto path = data_folder() / "mlperf-tiny" / file;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there; MCUFIT_DATA names its folder";
    const Rewritten result = proven(import_tflite(read_file(path), file));
    EXPECT_EQ(result.macs_after, result.macs_before) << file;
  }
}

}  // namespace
}  // namespace mcufit::testing
