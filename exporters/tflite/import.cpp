// SPDX-License-Identifier: Apache-2.0
#include "exporters/tflite/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>

#include "blocks/foundation/error.h"
#include "exporters/tflite/model_file.h"

namespace mcufit {
namespace {

using tflite::ModelFile;
using tflite::Operator;
using tflite::Tensor;
namespace schema = tflite::schema;

constexpr std::string_view kSupported =
    "ADD, AVERAGE_POOL_2D, CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, MAX_POOL_2D, RESHAPE, SOFTMAX";
constexpr std::int32_t kMostExtent = 32767;
// All filters together, since operators may share a file's buffers but have filters of their own here.
constexpr std::size_t kMostFilterBytes = std::size_t{64} << 20;
// TensorFlow Lite's: how far a bias's scale may be from input scale * filter scale, in steps of the output.
constexpr double kBiasScaleTolerance = 0.02;

// A tensor that a node computes, in the shape that its readers see.
struct Value {
  NodeId node = 0;
  Shape shape;
};

// How a convolution or pooling slides, as the file says it.
struct Sliding {
  schema::Padding padding;
  std::int32_t kernel_height, kernel_width, stride_height, stride_width;
};

std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string extents_text(const Tensor& tensor) { return fmt::format("{}", fmt::join(tensor.extents, "x")); }

// One operator: what it is called in messages, its operands, checked.
class Source {
 public:
  Source(const ModelFile& file, std::string_view model, std::size_t index)
      : file_(file), model_(model), index_(index) {}

  const Operator& op() const { return file_.operators[index_]; }
  std::string node_name() const { return fmt::format("{}_{}", lower_case(op().name), index_); }
  const Tensor& output() const { return file_.tensor(op().output); }

  [[noreturn]] void refuse(const std::string& message) const {
    throw Error(ExitCode::input, fmt::format("{}: operator {} ({}, '{}'): {}", model_, index_, op().name,
                                             output().name, message));
  }

  void check_operands(std::size_t least, std::size_t most) const {
    if (op().outputs != 1) refuse(fmt::format("found {} outputs; accepted: 1", op().outputs));
    if (op().inputs.size() < least || op().inputs.size() > most)
      refuse(fmt::format("found {} inputs; accepted: {} to {}", op().inputs.size(), least, most));
  }

  std::int32_t input(std::size_t i) const {
    if (op().inputs[i] < 0) refuse(fmt::format("input {} is left out; accepted: a tensor", i));
    return op().inputs[i];
  }

  // The operator's options, which must be of its own kind.
  template <typename Options>
  const Options& options() const {
    const auto* options = op().table->builtin_options_as<Options>();
    if (options == nullptr) refuse("has no options of its kind; try to convert the model again");
    return *options;
  }

  Activation activation(schema::ActivationFunctionType type) const {
    switch (type) {
      case schema::ActivationFunctionType::NONE:
        return Activation::none;
      case schema::ActivationFunctionType::RELU:
        return Activation::relu;
      case schema::ActivationFunctionType::RELU6:
        return Activation::relu6;
    }
    refuse(
        fmt::format("found the fused activation {}; supported: NONE, RELU, RELU6", static_cast<int>(type)));
  }

  Shape shape_of(const Tensor& tensor) const {
    const auto& e = tensor.extents;
    const bool one_sample = e.size() >= 2 && e.size() <= 4 && e[0] == 1 &&
                            std::all_of(e.begin(), e.end(), [](std::int32_t x) { return x <= kMostExtent; });
    if (!one_sample)
      refuse(
          fmt::format("tensor '{}' is {}; accepted: 1xC, 1xWxC or 1xHxWxC, extents up to {}; try a model "
                      "for one sample at a time",
                      tensor.name, extents_text(tensor), kMostExtent));
    return {e.size() == 4 ? e[1] : 1, e.size() >= 3 ? e[e.size() - 2] : 1, e.back()};
  }

  // Of a tensor that is computed: one scale and zero point.
  Quantization quantization_of(const Tensor& tensor) const {
    const bool quantized = tensor.type == schema::TensorType::INT8 && tensor.scales.size() == 1 &&
                           tensor.zero_points.size() == 1 && std::isfinite(tensor.scales[0]) &&
                           tensor.scales[0] > 0 && tensor.zero_points[0] >= -128 &&
                           tensor.zero_points[0] <= 127;
    if (!quantized)
      refuse(
          fmt::format("tensor '{}' is not int8 with one scale above 0 and one zero point in [-128, 127]; "
                      "accepted: full int8 models; try to convert with int8 inputs and outputs",
                      tensor.name));
    return {tensor.scales[0], static_cast<std::int32_t>(tensor.zero_points[0])};
  }

  const Tensor& filter(std::size_t rank) const {
    const Tensor& filter = file_.tensor(input(1));
    if (filter.type != schema::TensorType::INT8 || filter.data.empty() || filter.extents.size() != rank)
      refuse(fmt::format("the filter '{}' is {}; accepted: constant int8 with {} dimensions", filter.name,
                         extents_text(filter), rank));
    return filter;
  }

  // Filter scales, one per output channel, and biases into `node`, whose filter is set.
  void read_scales(const Tensor& filter, std::int32_t channels, std::int32_t dimension,
                   QuantizedNode& node) const {
    const auto count = filter.scales.size();
    const bool per_channel = count > 1;
    if ((per_channel && !std::cmp_equal(count, channels)) || count == 0 || filter.zero_points.size() != count)
      refuse(fmt::format("the filter has {} scales and {} zero points; accepted: 1 or {} of each", count,
                         filter.zero_points.size(), channels));
    if (per_channel && filter.quantized_dimension != dimension)
      refuse(fmt::format("the filter's scales are along dimension {}; accepted: {}",
                         filter.quantized_dimension, dimension));
    if (std::any_of(filter.zero_points.begin(), filter.zero_points.end(), [](auto z) { return z != 0; }))
      refuse("the filter has a zero point other than 0; accepted: symmetric filters");
    node.filter_scales.assign(static_cast<std::size_t>(channels), filter.scales[0]);
    if (per_channel) std::copy(filter.scales.begin(), filter.scales.end(), node.filter_scales.begin());
  }

  void read_bias(Quantization input, std::int32_t channels, QuantizedNode& node) const {
    node.bias.assign(static_cast<std::size_t>(channels), 0);
    if (op().inputs.size() < 3 || op().inputs[2] < 0) return;
    const Tensor& bias = file_.tensor(op().inputs[2]);
    if (bias.type != schema::TensorType::INT32 || bias.data.empty() || bias.elements() != channels)
      refuse(fmt::format("the bias '{}' is {}; accepted: constant int32 with {} elements", bias.name,
                         extents_text(bias), channels));
    std::memcpy(node.bias.data(), bias.data.data(), bias.data.size());
    for (std::size_t i = 0; i < bias.scales.size() && i < node.filter_scales.size(); ++i) {
      const double product = double{input.scale} * double{node.filter_scales[i]};
      const double off = std::abs(product - double{bias.scales[i]}) / double{node.output.scale};
      if (!(off <= kBiasScaleTolerance))
        refuse(fmt::format("the bias's scale of channel {} is {}; accepted: input scale * filter scale, {}",
                           i, bias.scales[i], product));
    }
  }

  Window window(const Sliding& s, const Shape& in) const {
    for (const std::int32_t extent : {s.kernel_height, s.kernel_width, s.stride_height, s.stride_width}) {
      if (extent < 1 || extent > kMostExtent)
        refuse(fmt::format("found a kernel {}x{} with strides {}x{}; accepted: 1 to {}", s.kernel_height,
                           s.kernel_width, s.stride_height, s.stride_width, kMostExtent));
    }
    Window w{s.kernel_height, s.kernel_width, s.stride_height, s.stride_width, {}};
    if (s.padding == schema::Padding::VALID) return w;
    if (s.padding != schema::Padding::SAME)
      refuse(fmt::format("found padding {}; supported: SAME, VALID", static_cast<int>(s.padding)));
    // As many outputs as input / stride, rounded up; an odd row or column goes to the end.
    const auto missing = [](std::int32_t input, std::int32_t kernel, std::int32_t stride) {
      return std::max((input + stride - 1) / stride * stride - stride + kernel - input, 0);
    };
    const std::int32_t rows = missing(in.height, w.kernel_height, w.stride_height);
    const std::int32_t columns = missing(in.width, w.kernel_width, w.stride_width);
    w.padding = {rows / 2, rows - rows / 2, columns / 2, columns - columns / 2};
    return w;
  }

 private:
  const ModelFile& file_;
  std::string_view model_;
  std::size_t index_;
};

class Importer {
 public:
  Importer(const ModelFile& file, std::string_view name) : file_(file), name_(name) {}

  QuantizedGraph run() {
    graph_.graph.name = name_;
    for (std::size_t i = 0; i < file_.operators.size(); ++i) {
      const Source source(file_, name_, i);
      if (i == 0) add_input(source);
      add(source);
    }
    check_use();
    verify(graph_);
    return std::move(graph_);
  }

 private:
  static QuantizedNode unweighted(const Source& source, const Tensor& output) {
    QuantizedNode node;
    node.output = source.quantization_of(output);
    return node;
  }

  void add_input(const Source& source) {
    const Tensor& tensor = file_.tensor(file_.input);
    if (!tensor.data.empty()) source.refuse("the model's input is constant; accepted: a tensor without data");
    const Shape shape = source.shape_of(tensor);
    graph_.graph.nodes.push_back({Input{shape}, {}, shape, "input"});
    graph_.nodes.push_back(unweighted(source, tensor));
    values_[file_.input] = {0, shape};
  }

  void add(const Source& source) {
    switch (source.op().code) {
      case schema::BuiltinOperator::ADD:
        return add_sum(source);
      case schema::BuiltinOperator::AVERAGE_POOL_2D:
        return add_pool<AveragePool2d>(source);
      case schema::BuiltinOperator::CONV_2D:
        return add_conv2d(source);
      case schema::BuiltinOperator::DEPTHWISE_CONV_2D:
        return add_depthwise(source);
      case schema::BuiltinOperator::FULLY_CONNECTED:
        return add_fully_connected(source);
      case schema::BuiltinOperator::MAX_POOL_2D:
        return add_pool<MaxPool2d>(source);
      case schema::BuiltinOperator::RESHAPE:
        return add_reshape(source);
      case schema::BuiltinOperator::SOFTMAX:
        return add_softmax(source);
      case schema::BuiltinOperator::CUSTOM:
        break;
    }
    source.refuse(fmt::format("is not supported; supported: {}", kSupported));
  }

  Value read(const Source& source, std::size_t input) const {
    const std::int32_t tensor = source.input(input);
    const auto found = values_.find(tensor);
    if (found == values_.end())
      source.refuse(
          fmt::format("input {} ('{}') is computed by no operator before; accepted: the model's "
                      "input or what operators in front compute",
                      input, file_.tensor(tensor).name));
    return found->second;
  }

  // The same for operators that see the tensor's shape: a reshape before them must not have changed it,
  // unless it is of the model's input, which can have the other shape from the start.
  Value read_shaped(const Source& source, std::size_t input) {
    const Value value = read(source, input);
    Node& node = graph_.graph.nodes[static_cast<std::size_t>(value.node)];
    if (value.shape == node.shape) return value;
    const auto& nodes = graph_.graph.nodes;
    const bool read_before = std::any_of(nodes.begin(), nodes.end(), [&](const Node& reader) {
      return std::find(reader.inputs.begin(), reader.inputs.end(), value.node) != reader.inputs.end();
    });
    if (value.node != 0 || read_before)
      source.refuse(
          fmt::format("a RESHAPE from {} to {} stands before it; supported: before FULLY_CONNECTED, "
                      "at the end, and of the model's input",
                      to_string(node.shape), to_string(value.shape)));
    node.shape = value.shape;
    node.op = Input{value.shape};
    return value;
  }

  void append(const Source& source, Op op, std::vector<NodeId> inputs, QuantizedNode quantized) {
    std::vector<Shape> shapes;
    for (const NodeId id : inputs) shapes.push_back(graph_.graph.node(id).shape);
    const Shape shape = infer_shape(op, shapes, fmt::format("{}: {}", name_, source.node_name()));
    const Shape declared = source.shape_of(source.output());
    if (shape != declared)
      source.refuse(fmt::format("its output is said to be {}; accepted: {}, as its inputs make it",
                                to_string(declared), to_string(shape)));
    define(source, {graph_.graph.size(), shape});
    graph_.graph.nodes.push_back({std::move(op), std::move(inputs), shape, source.node_name()});
    graph_.nodes.push_back(std::move(quantized));
  }

  void define(const Source& source, Value value) {
    if (!source.output().data.empty())
      source.refuse("its output is constant; accepted: a tensor without data");
    if (!values_.emplace(source.op().output, value).second)
      source.refuse("its output is computed twice; accepted: once");
  }

  std::vector<std::int8_t> take_filter(const Source& source, const Tensor& filter) {
    filter_bytes_ += filter.data.size();
    if (filter_bytes_ > kMostFilterBytes)
      source.refuse(
          fmt::format("found more than {} bytes of filters; accepted: up to this", kMostFilterBytes));
    std::vector<std::int8_t> values(filter.data.size());
    std::memcpy(values.data(), filter.data.data(), values.size());
    return values;
  }

  // Everything that a convolution or fully-connected layer has besides its shape.
  QuantizedNode weighted(const Source& source, const Tensor& filter, NodeId input, std::int32_t channels,
                         std::int32_t dimension) {
    QuantizedNode node;
    node.output = source.quantization_of(source.output());
    source.read_scales(filter, channels, dimension, node);
    source.read_bias(graph_.node(input).output, channels, node);
    node.filter = take_filter(source, filter);
    return node;
  }

  template <typename Options>
  Window convolution_window(const Source& source, const Options& o, const Tensor& filter, const Shape& in) {
    if (o.dilation_w_factor() != 1 || o.dilation_h_factor() != 1)
      source.refuse(
          fmt::format("found dilation {}x{}; supported: 1x1", o.dilation_h_factor(), o.dilation_w_factor()));
    return source.window({o.padding(), filter.extents[1], filter.extents[2], o.stride_h(), o.stride_w()}, in);
  }

  void add_conv2d(const Source& source) {
    source.check_operands(2, 3);
    const auto& o = source.options<schema::Conv2DOptions>();
    const Value in = read_shaped(source, 0);
    const Tensor& filter = source.filter(4);
    if (filter.extents[3] != in.shape.channels)
      source.refuse(fmt::format("a filter over {} channels reads {}; supported: all channels in one group",
                                filter.extents[3], in.shape.channels));
    const std::int32_t channels = filter.extents[0];
    append(source,
           Conv2d{channels, convolution_window(source, o, filter, in.shape), true,
                  source.activation(o.fused_activation_function())},
           {in.node}, weighted(source, filter, in.node, channels, 0));
  }

  void add_depthwise(const Source& source) {
    source.check_operands(2, 3);
    const auto& o = source.options<schema::DepthwiseConv2DOptions>();
    const Value in = read_shaped(source, 0);
    const Tensor& filter = source.filter(4);
    const std::int32_t channels = filter.extents[3];
    if (filter.extents[0] != 1 || channels != in.shape.channels || o.depth_multiplier() > 1)
      source.refuse(
          fmt::format("a filter {} with channel multiplier {} reads {} channels; supported: channel "
                      "multiplier 1",
                      extents_text(filter), o.depth_multiplier(), in.shape.channels));
    append(source,
           DepthwiseConv2d{convolution_window(source, o, filter, in.shape), true,
                           source.activation(o.fused_activation_function())},
           {in.node}, weighted(source, filter, in.node, channels, 3));
  }

  void add_fully_connected(const Source& source) {
    source.check_operands(2, 3);
    const auto& o = source.options<schema::FullyConnectedOptions>();
    if (o.weights_format() != schema::FullyConnectedOptionsWeightsFormat::DEFAULT)
      source.refuse("found shuffled weights; supported: the default format");
    const Value in = read(source, 0);
    const Tensor& filter = source.filter(2);
    if (filter.extents[1] != in.shape.elements())
      source.refuse(
          fmt::format("a filter over {} inputs reads {}; accepted: equal numbers, one sample at a time",
                      filter.extents[1], in.shape.elements()));
    const std::int32_t channels = filter.extents[0];
    QuantizedNode node = weighted(source, filter, in.node, channels, 0);
    node.one_filter_scale = filter.scales.size() == 1;
    append(source, FullyConnected{channels, true, source.activation(o.fused_activation_function())},
           {in.node}, std::move(node));
  }

  void add_sum(const Source& source) {
    source.check_operands(2, 2);
    const auto& o = source.options<schema::AddOptions>();
    const Value a = read_shaped(source, 0);
    const Value b = read_shaped(source, 1);
    append(source, Add{source.activation(o.fused_activation_function())}, {a.node, b.node},
           unweighted(source, source.output()));
  }

  template <typename Pool>
  void add_pool(const Source& source) {
    source.check_operands(1, 1);
    const auto& o = source.options<schema::Pool2DOptions>();
    if (source.activation(o.fused_activation_function()) != Activation::none)
      source.refuse("found a fused activation; supported for pooling: NONE");
    const Value in = read_shaped(source, 0);
    const Window window = source.window(
        {o.padding(), o.filter_height(), o.filter_width(), o.stride_h(), o.stride_w()}, in.shape);
    append(source, Pool{window}, {in.node}, unweighted(source, source.output()));
  }

  void add_softmax(const Source& source) {
    source.check_operands(1, 1);
    const auto& o = source.options<schema::SoftmaxOptions>();
    const Value in = read_shaped(source, 0);
    append(source, Softmax{o.beta()}, {in.node}, unweighted(source, source.output()));
  }

  // Bytes stay where they are: the output is the input's node in another shape.
  void add_reshape(const Source& source) {
    source.check_operands(1, 2);
    const Value in = read(source, 0);
    const Shape shape = source.shape_of(source.output());
    if (shape.elements() != in.shape.elements())
      source.refuse(fmt::format("reshapes {} to {}; accepted: as many elements", to_string(in.shape),
                                to_string(shape)));
    if (source.quantization_of(source.output()) != graph_.node(in.node).output)
      source.refuse("changes scale or zero point; supported: the input's");
    define(source, {in.node, shape});
  }

  [[noreturn]] void refuse(const std::string& message) const {
    throw Error(ExitCode::input, fmt::format("{}: {}", name_, message));
  }

  void check_use() const {
    const auto output = values_.find(file_.output);
    if (output == values_.end())
      refuse(fmt::format("the output '{}' is computed by no operator; accepted: an operator's output",
                         file_.tensor(file_.output).name));
    const Graph& graph = graph_.graph;
    std::vector<bool> used(graph.nodes.size(), false);
    used[static_cast<std::size_t>(output->second.node)] = true;
    for (const Node& node : graph.nodes)
      for (const NodeId from : node.inputs) used[static_cast<std::size_t>(from)] = true;
    const auto unused = static_cast<std::size_t>(std::find(used.begin(), used.end(), false) - used.begin());
    if (unused < used.size() || output->second.node != graph.size() - 1 || graph.size() < 2)
      refuse(
          fmt::format("the output of {} is of no use; accepted: models in which every operator leads to the "
                      "output, the last one to compute it",
                      graph.nodes[unused < used.size() ? unused : used.size() - 1].name));
  }

  const ModelFile& file_;
  std::string name_;
  QuantizedGraph graph_;
  std::map<std::int32_t, Value> values_;  // by tensor
  std::size_t filter_bytes_ = 0;
};

}  // namespace

QuantizedGraph import_tflite(std::string_view content, std::string_view name) {
  const ModelFile file = tflite::read_model_file(content, name);
  return Importer(file, name).run();
}

}  // namespace mcufit
