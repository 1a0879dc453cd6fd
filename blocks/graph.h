// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace mcufit {

// Height x width x channels of one sample, channels innermost (NHWC with N = 1). Every extent is at least 1.
struct Shape {
  std::int32_t height = 1;
  std::int32_t width = 1;
  std::int32_t channels = 1;

  std::int64_t pixels() const { return std::int64_t{height} * width; }
  std::int64_t elements() const { return pixels() * channels; }
  bool operator==(const Shape&) const = default;
};

std::string to_string(Shape shape);  // "28x28x1"

// Element-wise nonlinearities. hard_swish and hard_sigmoid are MobileNetV3's: relu6(x + 3) / 6.
enum class Activation { none, relu, relu6, hard_swish, sigmoid, hard_sigmoid };

std::string_view to_string(Activation activation);

// Zero padding in pixels. It is always explicit: "same" and "valid" are resolved by whoever builds the graph.
struct Padding {
  std::int32_t top = 0;
  std::int32_t bottom = 0;
  std::int32_t left = 0;
  std::int32_t right = 0;
  bool operator==(const Padding&) const = default;
};

// How a kernel slides over an image.
struct Window {
  std::int32_t kernel_height = 1;
  std::int32_t kernel_width = 1;
  std::int32_t stride_height = 1;
  std::int32_t stride_width = 1;
  Padding padding = {};
  std::int32_t dilation_height = 1;  // rows from one tap to the next
  std::int32_t dilation_width = 1;

  // Rows and columns from the first tap to the last.
  std::int64_t span_height() const { return std::int64_t{kernel_height - 1} * dilation_height + 1; }
  std::int64_t span_width() const { return std::int64_t{kernel_width - 1} * dilation_width + 1; }
  std::int64_t taps() const { return std::int64_t{kernel_height} * kernel_width; }
  bool operator==(const Window&) const = default;
};

Window square_window(std::int32_t kernel, std::int32_t stride, std::int32_t padding);

// The ops: a closed set. `std::visit` over it has no default, so a new op does not compile until every stage
// knows it. `bias` and `activation` of an op are set by lower(), which folds batch-norm and fuses
// activations; builders leave activations as nodes of their own.
struct Input {
  Shape shape;
  bool operator==(const Input&) const = default;
};
struct Conv2d {
  std::int32_t output_channels = 1;
  Window window;
  bool bias = false;
  Activation activation = Activation::none;
  bool operator==(const Conv2d&) const = default;
};
struct DepthwiseConv2d {  // output channel c reads input channel c / multiplier
  Window window;
  bool bias = false;
  Activation activation = Activation::none;
  std::int32_t multiplier = 1;
  bool operator==(const DepthwiseConv2d&) const = default;
};
struct FullyConnected {  // over the flattened input
  std::int32_t output_channels = 1;
  bool bias = true;
  Activation activation = Activation::none;
  bool operator==(const FullyConnected&) const = default;
};
struct BatchNorm {
  float epsilon = 1e-5F;
  bool operator==(const BatchNorm&) const = default;
};
struct Activate {  // `none` only changes the int8 scale
  Activation activation = Activation::relu;
  bool operator==(const Activate&) const = default;
};
struct Add {  // two inputs of one shape
  Activation activation = Activation::none;
  bool operator==(const Add&) const = default;
};
struct Mul {  // the second input may be 1x1xC, then it scales every pixel's channels
  Activation activation = Activation::none;
  bool operator==(const Mul&) const = default;
};
struct AveragePool2d {  // padding is not averaged; a global average is a window of the input's size
  Window window;
  Activation activation = Activation::none;
  bool operator==(const AveragePool2d&) const = default;
};
struct MaxPool2d {
  Window window;
  Activation activation = Activation::none;
  bool operator==(const MaxPool2d&) const = default;
};
struct Softmax {  // over each pixel's channels: exp(beta * x) / sum of exp(beta * x)
  float beta = 1.0F;
  bool operator==(const Softmax&) const = default;
};
struct Mean {  // over whole columns, whole rows, or both; unlike a pooling it may change the int8 scale
  bool over_height = true;
  bool over_width = true;
  bool operator==(const Mean&) const = default;
};
enum class Axis { height, width, channels };
struct Concatenation {  // one input or more, equal but along the axis
  Axis axis = Axis::channels;
  bool operator==(const Concatenation&) const = default;
};
struct Pad {  // a border of one value
  Padding padding = {};
  std::int32_t channels_before = 0;
  std::int32_t channels_after = 0;
  float value = 0.0F;
  bool operator==(const Pad&) const = default;
};
struct Reshape {  // the same elements in the same order
  Shape shape;
  bool operator==(const Reshape&) const = default;
};
struct ResizeNearestNeighbor {  // TensorFlow's two options say which input pixel is nearest
  std::int32_t height = 1;
  std::int32_t width = 1;
  bool align_corners = false;
  bool half_pixel_centers = false;
  bool operator==(const ResizeNearestNeighbor&) const = default;
};

using Op =
    std::variant<Input, Conv2d, DepthwiseConv2d, FullyConnected, BatchNorm, Activate, Add, Mul, AveragePool2d,
                 MaxPool2d, Softmax, Mean, Concatenation, Pad, Reshape, ResizeNearestNeighbor>;

template <typename T, typename... Ts>
concept AnyOf = (std::is_same_v<T, Ts> || ...);

// Ops without weights. Stages that treat these alike visit them together; a new op compiles nowhere before it
// is in a list.
template <typename T>
concept Weightless = AnyOf<T, Input, Activate, Add, Mul, AveragePool2d, MaxPool2d, Softmax, Mean,
                           Concatenation, Pad, Reshape, ResizeNearestNeighbor>;

std::string_view op_name(const Op& op);  // TFLite's lower-case name: "depthwise_conv2d"

std::string_view to_string(Axis axis);

// For each output row (or column) the input row that a resize copies, in TensorFlow's float arithmetic.
std::vector<std::int32_t> nearest_sources(const ResizeNearestNeighbor& op, std::int32_t input_extent,
                                          std::int32_t output_extent);

// True for ops that may write each output element over the input element in the same place.
bool works_in_place(const Op& op);

using NodeId = std::int32_t;

// One op applied to the outputs of earlier nodes. Its one output has the node's id and shape.
struct Node {
  Op op;
  std::vector<NodeId> inputs;
  Shape shape;
  std::string name;  // unique in its graph: "block3/expand"

  bool operator==(const Node&) const = default;
};

// A feed-forward network: nodes in an order in which they can be executed, node 0 the only input, the last
// node the output, every other node used by a later one. verify() checks it.
struct Graph {
  std::string name;
  std::vector<Node> nodes;

  const Node& node(NodeId id) const { return nodes[static_cast<std::size_t>(id)]; }
  const Shape& input_shape() const { return nodes.front().shape; }
  const Shape& output_shape() const { return nodes.back().shape; }
  NodeId size() const { return static_cast<NodeId>(nodes.size()); }
  bool operator==(const Graph&) const = default;
};

// The shape that an op gives to its inputs. Throws Error(input) where they do not agree or an extent would be
// below 1 or above 32,767 (the runtime's 16-bit extents) or the tensor above 2^30 elements.
Shape infer_shape(const Op& op, const std::vector<Shape>& inputs, std::string_view name);

// Throws Error(internal) naming the node when an invariant of Graph does not hold.
void verify(const Graph& graph);

// For each node, the id of the last node that reads it; the output's own id for the output.
std::vector<NodeId> last_uses(const Graph& graph);

nlohmann::json to_json(const Graph& graph);

template <typename... F>
struct overloaded : F... {
  using F::operator()...;
};
template <typename... F>
overloaded(F...) -> overloaded<F...>;

}  // namespace mcufit
