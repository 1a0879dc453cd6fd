// SPDX-License-Identifier: Apache-2.0
#include "cost-models/kernel_scratch.h"

#include <gtest/gtest.h>

#include "blocks/builder.h"
#include "blocks/foundation/random.h"
#include "blocks/lower.h"
#include "cost-models/plan.h"
#include "exporters/runtime/mcufit_scratch.h"
#include "tests/cost-models/arena_judge.h"
#include "tests/cost-models/random_nets.h"
#include "tests/random_seed.h"

namespace mcufit {
namespace {

using testing::refused;

// A pointwise layer of DS-CNN's and a depthwise one, then a classifier.
Graph ds_cnn_block() {
  GraphBuilder b("block", {25, 5, 64});
  NodeId x = b.depthwise_conv2d("depthwise", b.input(), square_window(3, 1, 1));
  x = b.pointwise("pointwise", x, 64);
  b.fully_connected("classifier", b.global_average_pool("pool", x), 12);
  return lower(b.finish());
}

TEST(KernelScratch, OfADsCnnBlock) {
  const Graph graph = ds_cnn_block();
  for (NodeId id = 0; id < graph.size(); ++id)
    EXPECT_EQ(kernel_scratch_bytes(graph, id, Isa::portable), 0) << id;
  // Biases, five pairs of taps and scales of four channels; seven columns of three rows; one word.
  EXPECT_EQ(kernel_scratch_bytes(graph, 1, Isa::dsp), 4 * (4 * (1 + 5 + 3) + 7 * 3 + 1));
  // Twelve sums, 64 taps of three pixels as half words.
  EXPECT_EQ(kernel_scratch_bytes(graph, 2, Isa::dsp), 4 * 12 + 64 * 3 * 2);
  EXPECT_EQ(kernel_scratch_bytes(graph, 1, Isa::v6m), 0);
  EXPECT_EQ(kernel_scratch_bytes(graph, 2, Isa::v6m), 4 * (2 * 16 + 64));
  for (const Isa isa : isas()) EXPECT_EQ(kernel_scratch_bytes(graph, graph.size() - 1, isa), 0);
}

// A kernel in a tile, or with fewer rows to make, has the room that the whole layer was given.
TEST(KernelScratch, ATileNeedsNoMore) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed());
  for (int i = 0; i < 2000; ++i) {
    const auto draw = [&](std::int64_t most) { return static_cast<std::int16_t>(random.between(1, most)); };
    mcufit_window whole = {};
    whole.input_height = whole.input_width = draw(100);
    whole.output_width = draw(100);
    whole.input_channels = draw(80);
    whole.output_channels = random.below(2) == 0 ? whole.input_channels : draw(80);
    whole.kernel_height = draw(7);
    whole.kernel_width = draw(7);
    whole.stride_height = whole.stride_width = draw(3);
    whole.dilation_height = whole.dilation_width = 1;
    mcufit_window tile = whole;
    tile.output_width = draw(whole.output_width);
    for (const auto bytes :
         {mcufit_conv2d_s8_dsp_scratch_bytes, mcufit_conv2d_s8_mve_scratch_bytes,
          mcufit_conv2d_s8_v6m_scratch_bytes, mcufit_conv2d_s8_rv32_scratch_bytes,
          mcufit_depthwise_conv2d_s8_dsp_scratch_bytes, mcufit_depthwise_conv2d_s8_mve_scratch_bytes}) {
      EXPECT_LE(bytes(&tile), bytes(&whole));
      EXPECT_EQ(bytes(&whole) % kTensorAlignment, 0);
      EXPECT_GE(bytes(&whole), 0);
    }
  }
}

TEST(KernelScratch, IsPlannedWhereNothingLives) {
  const Graph graph = ds_cnn_block();
  const MemoryPlan portable = plan(graph), dsp = plan(graph, Isa::dsp);
  EXPECT_EQ(portable.arena_bytes, 2 * 8000);
  EXPECT_EQ(dsp.arena_bytes, 2 * 8000 + 432);
  EXPECT_EQ(dsp.steps[2].scratch_bytes, 432);
  EXPECT_EQ(live_bytes(dsp, graph, 2), 2 * 8000 + 432);
  EXPECT_EQ(testing::ArenaJudge(dsp, graph).first_wrong_reader(), std::nullopt);

  MemoryPlan less = dsp;
  less.steps[2].scratch_bytes -= 4;
  EXPECT_TRUE(refused(less, graph));
  MemoryPlan over_input = dsp;
  over_input.steps[2].scratch_offset = dsp.placement(1).offset;
  EXPECT_TRUE(refused(over_input, graph));
  MemoryPlan outside = dsp;
  outside.steps[2].scratch_offset = dsp.arena_bytes;
  EXPECT_TRUE(refused(outside, graph));
  MemoryPlan other = dsp;
  other.isa = Isa::v6m;
  EXPECT_TRUE(refused(other, graph));
}

// Groups row by row have room for one call at a time.
TEST(KernelScratch, NodesOfAGroupTakeTurns) {
  const Graph graph = ds_cnn_block();
  const MemoryPlan by_rows = plan(graph, {.input_streamed = true, .isa = Isa::dsp});
  ASSERT_GT(by_rows.steps[0].nodes.size(), 2U);
  EXPECT_EQ(by_rows.steps[0].scratch_bytes, 432);
  EXPECT_LE(by_rows.arena_bytes - plan(graph, {.input_streamed = true}).arena_bytes, 432);
  EXPECT_EQ(testing::ArenaJudge(by_rows, graph).first_wrong_reader(), std::nullopt);
}

}  // namespace
}  // namespace mcufit
