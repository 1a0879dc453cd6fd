// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "blocks/graph.h"
#include "exporters/onnx/model_proto.h"

namespace mcufit::onnx_file {

// What a file's tensor is to us: `node`'s output, whose elements stand in the file's row-major tensor of
// shape `dims` with the axes in `order`, outermost first. A node's own order is height, width, channels; an
// ONNX image has channels, height, width. Axes of extent 1 may stand anywhere.
struct Value {
  NodeId node = 0;
  std::array<Axis, 3> order{Axis::channels, Axis::height, Axis::width};
  Dims dims;
};

// Which axis each dimension behind the batch is: {channels, height, width} of an image.
using Labels = std::vector<Axis>;

std::int32_t extent(const Shape& shape, Axis axis);

// The shape that `dims` (a batch of 1 first) have under labels; absent axes are 1. Nothing where the number
// of dimensions differs, the batch is not 1 or an extent does not fit.
std::optional<Shape> labelled_shape(const Dims& dims, const Labels& labels);

// The labels' order with the absent axes in front.
std::array<Axis, 3> order_of(const Labels& labels);

// True when a tensor of `shape` in `order` has its elements as a node has them.
bool is_natural(const Shape& shape, const std::array<Axis, 3>& order);

// True when two orders differ in axes of extent 1 alone.
bool same_order(const Shape& shape, const std::array<Axis, 3>& a, const std::array<Axis, 3>& b);

// The axes of extent above 1, outermost first.
std::vector<Axis> long_axes(const Shape& shape, const std::array<Axis, 3>& order);

// For each element of the node's output its place in the file's tensor.
std::vector<std::size_t> places_in_file(const Shape& shape, const std::array<Axis, 3>& order);

}  // namespace mcufit::onnx_file
