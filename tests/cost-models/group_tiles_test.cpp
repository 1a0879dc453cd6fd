// SPDX-License-Identifier: Apache-2.0
#include "cost-models/group_tiles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "blocks/builder.h"
#include "blocks/lower.h"
#include "cost-models/count.h"
#include "tests/cost-models/random_tiles.h"
#include "tests/random_seed.h"

namespace mcufit {
namespace {

using testing::ColumnNet;

// Eight columns; expand, depthwise with a stride, project.
Graph inverted_residual(std::int32_t stride) {
  GraphBuilder b("residual", {8, 8, 2});
  const NodeId wide = b.pointwise("expand", b.input(), 6);
  const NodeId spatial = b.depthwise_conv2d("depthwise", wide, square_window(3, stride, 1));
  b.pointwise("project", spatial, 4);
  return lower(b.finish());
}

TEST(GroupTiles, ATileMakesWhatItsColumnsReadAndNeighboursMakeTheHaloTwice) {
  const Graph graph = inverted_residual(1);
  const RowGraph rows(graph);
  const GroupTiles tiles(rows, 1, 3, {3});
  EXPECT_EQ(tiles.tiles(), 2);
  EXPECT_EQ(tiles.made(3, 0), (ColumnRange{0, 3}));
  EXPECT_EQ(tiles.made(3, 1), (ColumnRange{3, 8}));
  EXPECT_EQ(tiles.made(2, 1), (ColumnRange{3, 8}));
  EXPECT_EQ(tiles.made(1, 0), (ColumnRange{0, 4}));
  EXPECT_EQ(tiles.made(1, 1), (ColumnRange{2, 8}));
  EXPECT_EQ(tiles.read(1, rows.inputs(1)[0], 1), (ColumnRange{2, 8}));
  EXPECT_EQ(tiles.width(1), 6);
  EXPECT_EQ(tiles.width(2), 5);
  EXPECT_EQ(tiles.width(3), 8);  // the output is whole
  EXPECT_EQ(tiles.row_bytes(1), 6 * 6);
  EXPECT_EQ(tiles.extra_macs(1), 2 * 8 * 2 * 6);  // two columns of eight rows
  EXPECT_EQ(tiles.extra_macs(2), 0);
  EXPECT_EQ(tiles.extra_macs(3), 0);
}

TEST(GroupTiles, StridesWidenTheHaloAndPaddingIsNotMade) {
  const Graph graph = inverted_residual(2);
  const RowGraph rows(graph);
  const GroupTiles tiles(rows, 1, 3, {1, 2});
  EXPECT_EQ(tiles.made(1, 0), (ColumnRange{0, 2}));
  EXPECT_EQ(tiles.made(1, 1), (ColumnRange{1, 4}));
  EXPECT_EQ(tiles.made(1, 2), (ColumnRange{3, 8}));
  EXPECT_EQ(tiles.macs(1), (2 + 3 + 5) * 8 * 2 * 6);
}

TEST(GroupTiles, OneTileMakesEachColumnOnceAndNoneThatNobodyNeeds) {
  GraphBuilder b("strided", {6, 6, 2});
  b.conv2d("stride", b.pointwise("all", b.input(), 3), 2, {.stride_height = 2, .stride_width = 2});
  const Graph graph = lower(b.finish());
  const RowGraph rows(graph);
  const GroupTiles tiles(rows, 1, 2, {});
  EXPECT_EQ(tiles.made(1, 0), (ColumnRange{0, 5}));
  EXPECT_EQ(tiles.extra_macs(1), -6 * 2 * 3);
  EXPECT_EQ(tiles.macs(2), count_macs(graph, 2));
}

TEST(GroupTiles, EvenCutsLeaveNoTileOut) {
  EXPECT_THAT(even_cuts(8, 2), ::testing::ElementsAre(4));
  EXPECT_THAT(even_cuts(7, 3), ::testing::ElementsAre(2, 4));
  EXPECT_THAT(even_cuts(3, 3), ::testing::ElementsAre(1, 2));
  EXPECT_THAT(even_cuts(5, 1), ::testing::IsEmpty());
}

TEST(GroupTiles, RefusesWhatMakesAllColumnsAtOnceOrIsReadOutside) {
  GraphBuilder b("refused", {4, 4, 4});
  const NodeId x = b.pointwise("x", b.input(), 4);
  const NodeId y = b.pointwise("y", x, 4);
  const NodeId sum = b.add("sum", x, y);
  const NodeId pooled = b.global_average_pool("pool", sum);
  b.fully_connected("answer", pooled, 3);
  const Graph graph = lower(b.finish());
  const RowGraph rows(graph);
  EXPECT_TRUE(may_tile(rows, 1, 3, {2}));
  EXPECT_TRUE(may_tile(rows, 0, 3, {1, 2, 3}));
  EXPECT_FALSE(may_tile(rows, 1, 2, {2}));  // x is read by the sum
  EXPECT_FALSE(may_tile(rows, 2, 4, {}));   // the pool needs all columns
  EXPECT_FALSE(may_tile(rows, 4, 5, {}));
  EXPECT_FALSE(may_tile(rows, 3, 3, {2}));  // alone
  EXPECT_FALSE(may_tile(rows, 1, 3, {0}));
  EXPECT_FALSE(may_tile(rows, 1, 3, {4}));
  EXPECT_FALSE(may_tile(rows, 1, 3, {2, 2}));
}

// Columns of node `id` from the first tap of one column of a reader to the last.
void mark(const Graph& graph, NodeId reader, NodeId id, std::int32_t column, std::set<std::int32_t>& needed) {
  const auto window = std::visit(
      []<typename T>(const T& op) {
        if constexpr (requires { op.window; }) return op.window;
        return Window{};
      },
      graph.node(reader).op);
  for (std::int32_t tap = 0; tap <= (window.kernel_width - 1) * window.dilation_width; ++tap) {
    const std::int32_t at = column * window.stride_width - window.padding.left + tap;
    if (at >= 0 && at < graph.node(id).shape.width) needed.insert(at);
  }
}

// On random nets each tile makes the columns from the first to the last that its columns need, one by one.
TEST(GroupTiles, EachTileMakesTheColumnsThatItsTapsNeed) {
  MCUFIT_TRACE_SEED();
  Random random(testing::seed(), {1});
  int tiled = 0;
  for (int i = 0; i < 400; ++i) {
    const Graph graph = ColumnNet(random).build();
    const RowGraph rows(graph);
    const auto group = testing::random_tiled_group(random, rows);
    if (!group) continue;
    ++tiled;
    const GroupTiles tiles(rows, group->first, group->last, group->cuts);
    for (std::int32_t tile = 0; tile < tiles.tiles(); ++tile) {
      for (NodeId id = group->first; id < group->last; ++id) {
        std::set<std::int32_t> needed;
        for (const RowGraph::Edge& reader : rows.readers(id)) {
          const ColumnRange made = tiles.made(reader.node, tile);
          for (std::int32_t c = made.begin; c < made.end; ++c) mark(graph, reader.node, id, c, needed);
        }
        ASSERT_FALSE(needed.empty()) << to_json(graph).dump();
        ASSERT_EQ(tiles.made(id, tile), (ColumnRange{*needed.begin(), *needed.rbegin() + 1}))
            << to_json(graph).dump();
      }
    }
  }
  EXPECT_GT(tiled, 50);
}

}  // namespace
}  // namespace mcufit
