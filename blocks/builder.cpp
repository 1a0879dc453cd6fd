// SPDX-License-Identifier: Apache-2.0
#include "blocks/builder.h"

#include <utility>

namespace mcufit {

GraphBuilder::GraphBuilder(std::string name, Shape input) {
  graph_.name = std::move(name);
  append("input", Input{input}, {});
}

NodeId GraphBuilder::append(std::string_view name, const Op& op, std::vector<NodeId> inputs) {
  Node node{op, std::move(inputs), {}, {}};
  node.name.reserve(scope_.size() + 1 + name.size());
  if (!scope_.empty()) node.name.append(scope_).append("/");
  node.name.append(name);
  std::vector<Shape> shapes;
  shapes.reserve(node.inputs.size());
  for (const NodeId id : node.inputs) shapes.push_back(shape(id));
  node.shape = infer_shape(node.op, shapes, node.name);
  graph_.nodes.push_back(std::move(node));
  return graph_.size() - 1;
}

NodeId GraphBuilder::conv2d(std::string_view name, NodeId from, std::int32_t output_channels, Window window) {
  return append(name, Conv2d{.output_channels = output_channels, .window = window}, {from});
}

NodeId GraphBuilder::pointwise(std::string_view name, NodeId from, std::int32_t output_channels) {
  return conv2d(name, from, output_channels, square_window(1, 1, 0));
}

NodeId GraphBuilder::depthwise_conv2d(std::string_view name, NodeId from, Window window) {
  return append(name, DepthwiseConv2d{.window = window}, {from});
}

NodeId GraphBuilder::fully_connected(std::string_view name, NodeId from, std::int32_t output_channels,
                                     bool bias) {
  return append(name, FullyConnected{.output_channels = output_channels, .bias = bias}, {from});
}

NodeId GraphBuilder::batch_norm(std::string_view name, NodeId from) {
  return append(name, BatchNorm{}, {from});
}

NodeId GraphBuilder::activate(std::string_view name, NodeId from, Activation activation) {
  return append(name, Activate{activation}, {from});
}

NodeId GraphBuilder::add(std::string_view name, NodeId a, NodeId b) { return append(name, Add{}, {a, b}); }

NodeId GraphBuilder::mul(std::string_view name, NodeId a, NodeId b) { return append(name, Mul{}, {a, b}); }

NodeId GraphBuilder::max_pool2d(std::string_view name, NodeId from, Window window) {
  return append(name, MaxPool2d{window}, {from});
}

NodeId GraphBuilder::average_pool2d(std::string_view name, NodeId from, Window window) {
  return append(name, AveragePool2d{window}, {from});
}

NodeId GraphBuilder::global_average_pool(std::string_view name, NodeId from) {
  const Shape in = shape(from);
  return append(name, AveragePool2d{.window = {.kernel_height = in.height, .kernel_width = in.width}},
                {from});
}

NodeId GraphBuilder::mean(std::string_view name, NodeId from) { return append(name, Mean{}, {from}); }

NodeId GraphBuilder::concatenation(std::string_view name, std::vector<NodeId> from, Axis axis) {
  return append(name, Concatenation{axis}, std::move(from));
}

NodeId GraphBuilder::pad(std::string_view name, NodeId from, Padding padding) {
  return append(name, Pad{.padding = padding}, {from});
}

NodeId GraphBuilder::reshape(std::string_view name, NodeId from, Shape shape) {
  return append(name, Reshape{shape}, {from});
}

NodeId GraphBuilder::resize_nearest_neighbor(std::string_view name, NodeId from, std::int32_t height,
                                             std::int32_t width) {
  return append(name, ResizeNearestNeighbor{height, width}, {from});
}

NodeId GraphBuilder::softmax(std::string_view name, NodeId from) { return append(name, Softmax{}, {from}); }

NodeId GraphBuilder::norm_act(std::string_view name, NodeId from, Activation activation) {
  const NodeId normed = batch_norm(std::string(name) + "_bn", from);
  if (activation == Activation::none) return normed;
  return activate(std::string(name) + "_act", normed, activation);
}

Graph GraphBuilder::finish() {
  verify(graph_);
  return std::move(graph_);
}

}  // namespace mcufit
