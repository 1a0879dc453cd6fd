// SPDX-License-Identifier: Apache-2.0
#include "exporters/tflite/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "blocks/foundation/error.h"
#include "exporters/tflite/model_file.h"
#include "exporters/tflite/operator_reader.h"

namespace mcufit {
namespace {

using tflite::ModelFile;
using tflite::OperatorReader;
using tflite::Tensor;
namespace schema = tflite::schema;

constexpr std::string_view kSupported =
    "ADD, AVERAGE_POOL_2D, CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, MAX_POOL_2D, RESHAPE, SOFTMAX";
// All filters together, since operators may share a file's buffers but have filters of their own here.
constexpr std::size_t kMostFilterBytes = std::size_t{64} << 20;

// A tensor that a node computes, in the shape that its readers see.
struct Value {
  NodeId node = 0;
  Shape shape;
};

class Importer {
 public:
  Importer(const ModelFile& file, std::string_view name) : file_(file), name_(name) {}

  QuantizedGraph run() {
    graph_.graph.name = name_;
    for (std::size_t i = 0; i < file_.operators.size(); ++i) {
      const OperatorReader source(file_, name_, i);
      if (i == 0) add_input(source);
      add(source);
    }
    check_use();
    verify(graph_);
    return std::move(graph_);
  }

 private:
  static QuantizedNode unweighted(const OperatorReader& source, const Tensor& output) {
    QuantizedNode node;
    node.output = source.quantization_of(output);
    return node;
  }

  void add_input(const OperatorReader& source) {
    const Tensor& tensor = file_.tensor(file_.input);
    if (!tensor.data.empty()) source.refuse("the model's input is constant; accepted: a tensor without data");
    const Shape shape = source.shape_of(tensor);
    graph_.graph.nodes.push_back({Input{shape}, {}, shape, "input"});
    graph_.nodes.push_back(unweighted(source, tensor));
    values_[file_.input] = {0, shape};
  }

  void add(const OperatorReader& source) {
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

  Value read(const OperatorReader& source, std::size_t input) const {
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
  Value read_shaped(const OperatorReader& source, std::size_t input) {
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

  void append(const OperatorReader& source, const Op& op, std::vector<NodeId> inputs,
              QuantizedNode quantized) {
    std::vector<Shape> shapes;
    shapes.reserve(inputs.size());
    for (const NodeId id : inputs) shapes.push_back(graph_.graph.node(id).shape);
    const Shape shape = infer_shape(op, shapes, fmt::format("{}: {}", name_, source.node_name()));
    const Shape declared = source.shape_of(source.output());
    if (shape != declared)
      source.refuse(fmt::format("its output is said to be {}; accepted: {}, as its inputs make it",
                                to_string(declared), to_string(shape)));
    define(source, {graph_.graph.size(), shape});
    graph_.graph.nodes.push_back({op, std::move(inputs), shape, source.node_name()});
    graph_.nodes.push_back(std::move(quantized));
  }

  void define(const OperatorReader& source, Value value) {
    if (!source.output().data.empty())
      source.refuse("its output is constant; accepted: a tensor without data");
    if (!values_.emplace(source.op().output, value).second)
      source.refuse("its output is computed twice; accepted: once");
  }

  std::vector<std::int8_t> take_filter(const OperatorReader& source, const Tensor& filter) {
    filter_bytes_ += filter.data.size();
    if (filter_bytes_ > kMostFilterBytes)
      source.refuse(
          fmt::format("found more than {} bytes of filters; accepted: up to this", kMostFilterBytes));
    std::vector<std::int8_t> values(filter.data.size());
    std::memcpy(values.data(), filter.data.data(), values.size());
    return values;
  }

  // Everything that a convolution or fully-connected layer has besides its shape.
  QuantizedNode weighted(const OperatorReader& source, const Tensor& filter, NodeId input,
                         std::int32_t channels, std::int32_t dimension) {
    QuantizedNode node;
    node.output = source.quantization_of(source.output());
    source.read_scales(filter, channels, dimension, node);
    source.read_bias(graph_.node(input).output, channels, node);
    node.filter = take_filter(source, filter);
    return node;
  }

  template <typename Options>
  Window convolution_window(const OperatorReader& source, const Options& o, const Tensor& filter,
                            const Shape& in) {
    if (o.dilation_w_factor() != 1 || o.dilation_h_factor() != 1)
      source.refuse(
          fmt::format("found dilation {}x{}; supported: 1x1", o.dilation_h_factor(), o.dilation_w_factor()));
    return source.window({o.padding(), filter.extents[1], filter.extents[2], o.stride_h(), o.stride_w()}, in);
  }

  void add_conv2d(const OperatorReader& source) {
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

  void add_depthwise(const OperatorReader& source) {
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

  void add_fully_connected(const OperatorReader& source) {
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

  void add_sum(const OperatorReader& source) {
    source.check_operands(2, 2);
    const auto& o = source.options<schema::AddOptions>();
    const Value a = read_shaped(source, 0);
    const Value b = read_shaped(source, 1);
    append(source, Add{source.activation(o.fused_activation_function())}, {a.node, b.node},
           unweighted(source, source.output()));
  }

  template <typename Pool>
  void add_pool(const OperatorReader& source) {
    source.check_operands(1, 1);
    const auto& o = source.options<schema::Pool2DOptions>();
    if (source.activation(o.fused_activation_function()) != Activation::none)
      source.refuse("found a fused activation; supported for pooling: NONE");
    const Value in = read_shaped(source, 0);
    const Window window = source.window(
        {o.padding(), o.filter_height(), o.filter_width(), o.stride_h(), o.stride_w()}, in.shape);
    append(source, Pool{window}, {in.node}, unweighted(source, source.output()));
  }

  void add_softmax(const OperatorReader& source) {
    source.check_operands(1, 1);
    const auto& o = source.options<schema::SoftmaxOptions>();
    const Value in = read_shaped(source, 0);
    append(source, Softmax{o.beta()}, {in.node}, unweighted(source, source.output()));
  }

  // Bytes stay where they are: the output is the input's node in another shape.
  void add_reshape(const OperatorReader& source) {
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
