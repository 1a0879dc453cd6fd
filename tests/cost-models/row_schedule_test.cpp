// SPDX-License-Identifier: Apache-2.0
#include "cost-models/row_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks/builder.h"
#include "blocks/foundation/error.h"
#include "blocks/lower.h"

namespace mcufit {
namespace {

// Two 3x3 convolutions and a residual around the second.
Graph residual() {
  GraphBuilder b("residual", {4, 5, 2});
  const NodeId x = b.conv2d("x", b.input(), 2, square_window(3, 1, 1));
  const NodeId y = b.conv2d("y", x, 2, square_window(3, 1, 1));
  b.add("sum", x, y);
  return lower(b.finish());
}

std::vector<NodeId> calls_of(const std::vector<RowCall>& schedule) {
  std::vector<NodeId> nodes;
  for (const RowCall& call : schedule) nodes.push_back(call.node);
  return nodes;
}

TEST(RowSchedule, AsksForRowsWhenTheyAreNeeded) {
  const Graph graph = residual();
  // The first output row needs row 0 of x, then row 0 of y and so rows 0 and 1 of x.
  EXPECT_THAT(calls_of(row_schedule({1, 2, 3}, graph)),
              testing::ElementsAre(1, 1, 2, 3, 1, 2, 3, 1, 2, 3, 2, 3));
  EXPECT_THAT(calls_of(row_schedule({0, 1}, graph)), testing::ElementsAre(0, 0, 1, 0, 1, 0, 1, 1));
}

TEST(RowSchedule, ResidualsAreKeptForTheRowsOfTheirDelay) {
  const Graph graph = residual();
  const RowGraph rows(graph);
  EXPECT_THAT(ring_rows(rows, 1, 3, row_schedule(rows, 1, 3)), testing::ElementsAre(3, 1, 4));
  EXPECT_THAT(ring_rows(rows, 0, 3, row_schedule(rows, 0, 3)), testing::ElementsAre(3, 3, 1, 4));
}

TEST(RowSchedule, RowsThatNobodyNeedsAreNotMade) {
  GraphBuilder b("strided", {6, 4, 2});
  const NodeId x = b.pointwise("x", b.input(), 2);
  b.conv2d("y", x, 2, square_window(1, 4, 0));  // reads rows 0 and 4
  const Graph graph = lower(b.finish());
  const RowGraph rows(graph);
  const auto schedule = row_schedule(rows, 1, 2);
  EXPECT_THAT(calls_of(schedule), testing::ElementsAre(1, 2, 1, 1, 1, 1, 2));
  EXPECT_THAT(ring_rows(rows, 1, 2, schedule), testing::ElementsAre(1, 2));
}

TEST(RowSchedule, AGlobalPoolingSumsRowsAsTheyArrive) {
  GraphBuilder b("pooled", {3, 4, 8});
  b.global_average_pool("pool", b.pointwise("x", b.input(), 5));
  const Graph graph = lower(b.finish());
  const RowGraph rows(graph);
  const auto schedule = row_schedule(rows, 1, 2);
  const std::vector<RowCall> expected{{1, 0, 1}, {2, 0, 1}, {1, 1, 2}, {2, 1, 2}, {1, 2, 3}, {2, 2, 3}};
  EXPECT_EQ(schedule, expected);
  EXPECT_THAT(ring_rows(rows, 1, 2, schedule), testing::ElementsAre(1, 1));
  EXPECT_EQ(rows.sum_bytes(2, 1), 4 * 5);
  EXPECT_EQ(rows.sum_bytes(2, 2), 0);  // over its whole input at once
}

TEST(RowSchedule, DistanceIsThatOfTheDelay) {
  GraphBuilder b("chain", {8, 4, 2});
  b.depthwise_conv2d("x", b.input(), square_window(3, 1, 1));
  const Graph graph = lower(b.finish());
  const RowGraph rows(graph);
  // Row r of the output follows row r - 1 of the input, and may not touch it.
  EXPECT_EQ(diagonal_distance(rows, 1, 1, row_schedule(rows, 1, 1), {.from = 0, .to = 1, .ring = 8}), 2 * 8);
}

TEST(RowSchedule, GroupsAreConsecutiveAndConnected) {
  const Graph graph = residual();
  EXPECT_THROW(row_schedule({1, 3}, graph), Error);
  GraphBuilder b("fork", {4, 4, 2});
  const NodeId x = b.pointwise("x", b.input(), 2);
  const NodeId y = b.pointwise("y", b.input(), 2);
  b.add("sum", x, y);
  const RowGraph rows(lower(b.finish()));
  EXPECT_FALSE(may_group(rows, 1, 2));
  EXPECT_TRUE(may_group(rows, 1, 3));
}

}  // namespace
}  // namespace mcufit
