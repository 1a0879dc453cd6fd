// SPDX-License-Identifier: Apache-2.0
#include "exporters/onnx/value.h"

#include <algorithm>
#include <limits>

namespace mcufit::onnx_file {
namespace {

constexpr std::array<Axis, 3> kNodeOrder{Axis::height, Axis::width, Axis::channels};

}  // namespace

std::int32_t extent(const Shape& shape, Axis axis) {
  if (axis == Axis::height) return shape.height;
  return axis == Axis::width ? shape.width : shape.channels;
}

std::optional<Shape> labelled_shape(const Dims& dims, const Labels& labels) {
  if (dims.size() != labels.size() + 1 || dims[0] != 1) return std::nullopt;
  Shape shape;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::int64_t value = dims[i + 1];
    if (value < 1 || value > std::numeric_limits<std::int16_t>::max()) return std::nullopt;
    const auto small = static_cast<std::int32_t>(value);
    if (labels[i] == Axis::height) shape.height = small;
    if (labels[i] == Axis::width) shape.width = small;
    if (labels[i] == Axis::channels) shape.channels = small;
  }
  return shape;
}

std::array<Axis, 3> order_of(const Labels& labels) {
  std::array<Axis, 3> order{};
  std::size_t next = 0;
  for (const Axis axis : kNodeOrder)
    if (std::find(labels.begin(), labels.end(), axis) == labels.end()) order[next++] = axis;
  for (const Axis axis : labels) order[next++] = axis;
  return order;
}

std::vector<Axis> long_axes(const Shape& shape, const std::array<Axis, 3>& order) {
  std::vector<Axis> axes;
  std::copy_if(order.begin(), order.end(), std::back_inserter(axes),
               [&](Axis axis) { return extent(shape, axis) > 1; });
  return axes;
}

bool same_order(const Shape& shape, const std::array<Axis, 3>& a, const std::array<Axis, 3>& b) {
  return long_axes(shape, a) == long_axes(shape, b);
}

bool is_natural(const Shape& shape, const std::array<Axis, 3>& order) {
  return same_order(shape, order, kNodeOrder);
}

std::vector<std::size_t> places_in_file(const Shape& shape, const std::array<Axis, 3>& order) {
  std::array<std::size_t, 3> strides{};  // of each axis in the file
  std::size_t stride = 1;
  for (std::size_t i = order.size(); i-- > 0;) {
    strides[static_cast<std::size_t>(order[i])] = stride;
    stride *= static_cast<std::size_t>(extent(shape, order[i]));
  }
  std::vector<std::size_t> places;
  places.reserve(static_cast<std::size_t>(shape.elements()));
  for (std::size_t y = 0; y < static_cast<std::size_t>(shape.height); ++y)
    for (std::size_t x = 0; x < static_cast<std::size_t>(shape.width); ++x)
      for (std::size_t c = 0; c < static_cast<std::size_t>(shape.channels); ++c)
        places.push_back(y * strides[static_cast<std::size_t>(Axis::height)] +
                         x * strides[static_cast<std::size_t>(Axis::width)] +
                         c * strides[static_cast<std::size_t>(Axis::channels)]);
  return places;
}

}  // namespace mcufit::onnx_file
