// SPDX-License-Identifier: Apache-2.0
#include "exporters/tflite/float_import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
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

// All weights together, since operators may share a file's buffers but have weights of their own here.
constexpr std::size_t kMostWeights = std::size_t{64} << 20;

// IEEE 754 half precision: 1 sign, 5 exponent and 10 fraction bits.
float from_half(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const auto fraction = static_cast<float>(bits & 0x3ff);
  float value = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25);
  if (exponent == 0x1f) value = NAN;  // or infinity; neither is a weight
  return (bits & 0x8000) != 0 ? -value : value;
}

// Bytes of one value of a constant; 0 where it is no float or has not the scales that make it one.
std::size_t constant_width(const Tensor& tensor) {
  if (tensor.type == schema::TensorType::FLOAT32) return sizeof(float);
  if (tensor.type == schema::TensorType::FLOAT16) return 2;
  if (tensor.type != schema::TensorType::INT8) return 0;
  const std::size_t count = tensor.scales.size();
  if (tensor.zero_point_count() != count) return 0;
  for (std::size_t i = 0; i < count; ++i)
    if (tensor.zero_point(i) != 0) return 0;
  const auto dimension = static_cast<std::size_t>(tensor.quantized_dimension);
  const bool per_channel =
      dimension < tensor.extents.size() && std::cmp_equal(tensor.extents[dimension], count);
  return count == 1 || (count > 1 && per_channel) ? 1 : 0;
}

// Symmetric int8 weights, with one scale or one along a dimension.
std::vector<float> from_bytes(const Tensor& tensor) {
  std::size_t inner = tensor.data.size();
  if (tensor.scales.size() > 1) {
    inner = 1;
    for (auto i = static_cast<std::size_t>(tensor.quantized_dimension) + 1; i < tensor.extents.size(); ++i)
      inner *= static_cast<std::size_t>(tensor.extents[i]);
  }
  std::vector<float> values;
  values.reserve(tensor.data.size());
  for (std::size_t i = 0; i < tensor.data.size(); ++i)
    values.push_back(static_cast<float>(static_cast<std::int8_t>(tensor.data[i])) *
                     tensor.scales[i / inner % tensor.scales.size()]);
  return values;
}

class FloatImporter {
 public:
  FloatImporter(const ModelFile& file, std::string_view name) : file_(file), name_(name) {}

  using Method = void (FloatImporter::*)(const OperatorReader&);

  static const std::map<schema::BuiltinOperator, Method>& methods() {
    using B = schema::BuiltinOperator;
    static const std::map<B, Method> kMethods = {
        {B::ADD, &FloatImporter::add_sum},
        {B::AVERAGE_POOL_2D, &FloatImporter::add_pool<AveragePool2d>},
        {B::CONCATENATION, &FloatImporter::add_concatenation},
        {B::CONV_2D, &FloatImporter::add_conv2d},
        {B::DEPTHWISE_CONV_2D, &FloatImporter::add_depthwise},
        {B::DEQUANTIZE, &FloatImporter::add_dequantize},
        {B::EXPAND_DIMS, &FloatImporter::add_reshape},
        {B::FULLY_CONNECTED, &FloatImporter::add_fully_connected},
        {B::LOGISTIC, &FloatImporter::add_function<Activation::sigmoid>},
        {B::MAX_POOL_2D, &FloatImporter::add_pool<MaxPool2d>},
        {B::MUL, &FloatImporter::add_product},
        {B::RELU, &FloatImporter::add_function<Activation::relu>},
        {B::RELU6, &FloatImporter::add_function<Activation::relu6>},
        {B::RESHAPE, &FloatImporter::add_reshape},
        {B::RESIZE_NEAREST_NEIGHBOR, &FloatImporter::add_resize},
        {B::SOFTMAX, &FloatImporter::add_softmax},
        {B::SQUEEZE, &FloatImporter::add_reshape},
        {B::PAD, &FloatImporter::add_pad},
        {B::MEAN, &FloatImporter::add_mean},
        {B::HARD_SWISH, &FloatImporter::add_function<Activation::hard_swish>}};
    return kMethods;
  }

  FloatModel run() {
    model_.graph.name = name_;
    for (std::size_t i = 0; i < file_.operators.size(); ++i) {
      const OperatorReader source(file_, name_, i);
      if (i == 0) add_input(source);
      add(source);
    }
    check_use();
    verify(model_.graph);
    verify(model_.weights, model_.graph);
    return std::move(model_);
  }

 private:
  void add(const OperatorReader& source) {
    const auto found = methods().find(source.op().code);
    if (found == methods().end()) {
      std::string names;
      for (const std::string& name : float_tflite_operators()) names += (names.empty() ? "" : ", ") + name;
      source.refuse(fmt::format("is not supported in float models; supported: {}", names));
    }
    (this->*found->second)(source);
  }

  void check_float(const OperatorReader& source, const Tensor& tensor) const {
    if (tensor.type != schema::TensorType::FLOAT32)
      source.refuse(fmt::format("tensor '{}' is not float32; accepted: float32 models", tensor.name));
  }

  void add_input(const OperatorReader& source) {
    const Tensor& tensor = file_.tensor(file_.input);
    check_float(source, tensor);
    if (!tensor.data.empty()) source.refuse("the model's input is constant; accepted: a tensor without data");
    const Shape shape = source.shape_of(tensor);
    append({Input{shape}, {}, shape, "input"}, {});
    nodes_[file_.input] = 0;
  }

  NodeId read(const OperatorReader& source, std::size_t input) const {
    const auto found = nodes_.find(source.input(input));
    if (found == nodes_.end())
      source.refuse(
          fmt::format("input {} ('{}') is computed by no operator before; accepted: the model's "
                      "input or what operators in front compute",
                      input, file_.tensor(source.input(input)).name));
    return found->second;
  }

  Shape shape(NodeId id) const { return model_.graph.node(id).shape; }

  void append(Node node, NodeWeights weights) {
    model_.graph.nodes.push_back(std::move(node));
    model_.weights.nodes.push_back(std::move(weights));
  }

  // A node of the operator, and one of its activation where it has one fused.
  void append(const OperatorReader& source, const Op& op, std::vector<NodeId> inputs, NodeWeights weights,
              Activation fused = Activation::none) {
    std::vector<Shape> shapes;
    shapes.reserve(inputs.size());
    for (const NodeId id : inputs) shapes.push_back(shape(id));
    const Shape result = infer_shape(op, shapes, fmt::format("{}: {}", name_, source.node_name()));
    const Tensor& output = source.output();
    check_float(source, output);
    const Shape declared = source.shape_of(output);
    if (result != declared || !output.data.empty())
      source.refuse(
          fmt::format("its output is said to be {}{}; accepted: {} and computed, as its inputs make it",
                      output.data.empty() ? "" : "constant and ", to_string(declared), to_string(result)));
    append({op, std::move(inputs), result, source.node_name()}, std::move(weights));
    if (fused != Activation::none) {
      const NodeId before = model_.graph.size() - 1;
      append({Activate{fused}, {before}, result, fmt::format("{}/{}", source.node_name(), to_string(fused))},
             {});
    }
    if (!nodes_.emplace(source.op().output, model_.graph.size() - 1).second)
      source.refuse("its output is computed twice; accepted: once");
  }

  // A constant's values; files may have halves or bytes for them.
  std::vector<float> constant(const OperatorReader& source, std::size_t input, std::string_view what) {
    std::int32_t index = source.input(input);
    if (const auto wide = dequantized_.find(index); wide != dequantized_.end()) index = wide->second;
    const Tensor& tensor = file_.tensor(index);
    const std::size_t width = constant_width(tensor);
    const bool whole =
        width != 0 && !tensor.data.empty() &&
        std::cmp_equal(tensor.data.size(), tensor.elements() * static_cast<std::int64_t>(width));
    if (!whole)
      source.refuse(
          fmt::format("its {} '{}' is no float constant of {}; accepted: float32 constants, int8 "
                      "ones with scales, float16 ones behind DEQUANTIZE",
                      what, tensor.name, extents_text(tensor)));
    weight_count_ += tensor.data.size() / width;
    if (weight_count_ > kMostWeights)
      source.refuse(fmt::format("found more than {} weights; accepted: up to this", kMostWeights));
    if (tensor.type == schema::TensorType::INT8) return from_bytes(tensor);
    std::vector<float> values(tensor.data.size() / width);
    if (tensor.type == schema::TensorType::FLOAT32) {
      std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
      return values;
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, tensor.data.data() + 2 * i, sizeof bits);
      values[i] = from_half(bits);
    }
    return values;
  }

  const Tensor& filter(const OperatorReader& source, std::size_t rank) const {
    const Tensor& found = file_.tensor(source.input(1));
    if (found.extents.size() != rank)
      source.refuse(fmt::format("the filter '{}' is {}; accepted: {} dimensions", found.name,
                                extents_text(found), rank));
    return found;
  }

  NodeWeights weights(const OperatorReader& source) {
    NodeWeights w;
    w.filter = constant(source, 1, "filter");
    if (has_bias(source)) w.bias = constant(source, 2, "bias");
    return w;
  }

  static bool has_bias(const OperatorReader& source) {
    return source.op().inputs.size() > 2 && source.op().inputs[2] >= 0;
  }

  void add_conv2d(const OperatorReader& source) {
    source.check_operands(2, 3);
    const auto& o = source.options<schema::Conv2DOptions>();
    const NodeId in = read(source, 0);
    const auto& e = filter(source, 4).extents;
    if (e[3] != shape(in).channels)
      source.refuse(fmt::format("a filter over {} channels reads {}; supported: all channels in one group",
                                e[3], shape(in).channels));
    const Window w = source.window(
        {o.padding(), e[1], e[2], o.stride_h(), o.stride_w(), o.dilation_h_factor(), o.dilation_w_factor()},
        shape(in));
    append(source, Conv2d{e[0], w, has_bias(source)}, {in}, weights(source),
           source.activation(o.fused_activation_function()));
  }

  void add_depthwise(const OperatorReader& source) {
    source.check_operands(2, 3);
    const auto& o = source.options<schema::DepthwiseConv2DOptions>();
    const NodeId in = read(source, 0);
    const auto& e = filter(source, 4).extents;
    if (e[0] != 1 || e[3] % shape(in).channels != 0)
      source.refuse(fmt::format("a filter {} reads {} channels; supported: a multiple of them",
                                extents_text(filter(source, 4)), shape(in).channels));
    DepthwiseConv2d op;
    op.window = source.window(
        {o.padding(), e[1], e[2], o.stride_h(), o.stride_w(), o.dilation_h_factor(), o.dilation_w_factor()},
        shape(in));
    op.bias = has_bias(source);
    op.multiplier = e[3] / shape(in).channels;
    append(source, op, {in}, weights(source), source.activation(o.fused_activation_function()));
  }

  void add_fully_connected(const OperatorReader& source) {
    source.check_operands(2, 3);
    const auto& o = source.options<schema::FullyConnectedOptions>();
    if (o.weights_format() != schema::FullyConnectedOptionsWeightsFormat::DEFAULT)
      source.refuse("found shuffled weights; supported: the default format");
    const NodeId in = read(source, 0);
    const auto& e = filter(source, 2).extents;
    if (e[1] != shape(in).elements())
      source.refuse(
          fmt::format("a filter over {} inputs reads {}; accepted: equal numbers, one sample at a time", e[1],
                      shape(in).elements()));
    append(source, FullyConnected{e[0], has_bias(source)}, {in}, weights(source),
           source.activation(o.fused_activation_function()));
  }

  void add_sum(const OperatorReader& source) {
    source.check_operands(2, 2);
    const auto& o = source.options<schema::AddOptions>();
    append(source, Add{}, {read(source, 0), read(source, 1)}, {},
           source.activation(o.fused_activation_function()));
  }

  void add_product(const OperatorReader& source) {
    source.check_operands(2, 2);
    const auto& o = source.options<schema::MulOptions>();
    NodeId a = read(source, 0), b = read(source, 1);
    if (shape(a).pixels() == 1 && shape(b).pixels() != 1) std::swap(a, b);  // the repeated one is ours second
    append(source, Mul{}, {a, b}, {}, source.activation(o.fused_activation_function()));
  }

  void add_concatenation(const OperatorReader& source) {
    source.check_operands(1, 16);
    const auto& o = source.options<schema::ConcatenationOptions>();
    std::vector<NodeId> inputs;
    for (std::size_t i = 0; i < source.op().inputs.size(); ++i) inputs.push_back(read(source, i));
    append(source, Concatenation{source.axis(o.axis())}, std::move(inputs), {},
           source.activation(o.fused_activation_function()));
  }

  void add_resize(const OperatorReader& source) {
    source.check_operands(2, 2);
    const auto& o = source.options<schema::ResizeNearestNeighborOptions>();
    const Shape size = source.shape_of(source.output());  // append() compares it with what is computed
    append(source, ResizeNearestNeighbor{size.height, size.width, o.align_corners(), o.half_pixel_centers()},
           {read(source, 0)}, {});
  }

  template <typename Pool>
  void add_pool(const OperatorReader& source) {
    source.check_operands(1, 1);
    const auto& o = source.options<schema::Pool2DOptions>();
    const NodeId in = read(source, 0);
    const Window w = source.window(
        {o.padding(), o.filter_height(), o.filter_width(), o.stride_h(), o.stride_w()}, shape(in));
    append(source, Pool{w}, {in}, {}, source.activation(o.fused_activation_function()));
  }

  template <Activation kFunction>
  void add_function(const OperatorReader& source) {
    source.check_operands(1, 1);
    append(source, Activate{kFunction}, {read(source, 0)}, {});
  }

  void add_softmax(const OperatorReader& source) {
    source.check_operands(1, 1);
    append(source, Softmax{source.options<schema::SoftmaxOptions>().beta()}, {read(source, 0)}, {});
  }

  void add_reshape(const OperatorReader& source) {
    source.check_operands(1, 2);
    append(source, Reshape{source.shape_of(source.output())}, {read(source, 0)}, {});
  }

  void add_dequantize(const OperatorReader& source) {
    source.check_operands(1, 1);
    const Tensor& half = file_.tensor(source.input(0));
    if (half.type != schema::TensorType::FLOAT16 || half.data.empty() ||
        half.extents != source.output().extents)
      source.refuse("is not of a float16 constant; supported: float16 weights");
    dequantized_[source.op().output] = source.input(0);
  }

  void add_pad(const OperatorReader& source) {
    source.check_operands(2, 2);
    const auto p = source.integers(1);  // before and after of each dimension
    const Tensor& in = file_.tensor(source.input(0));
    if (in.extents.size() != 4 || p.size() != 8 || p[0] != 0 || p[1] != 0)
      source.refuse(fmt::format("found {} borders of {}; supported: of height, width and channels of 1xHxWxC",
                                p.size(), extents_text(in)));
    Pad op;
    const auto border = [&](std::size_t i) {
      if (p[i] < 0 || p[i] > 32767)
        source.refuse(fmt::format("found a border of {}; accepted: [0, 32767]", p[i]));
      return static_cast<std::int32_t>(p[i]);
    };
    op.padding = {border(2), border(3), border(4), border(5)};
    op.channels_before = border(6);
    op.channels_after = border(7);
    append(source, op, {read(source, 0)}, {});
  }

  void add_mean(const OperatorReader& source) {
    source.check_operands(2, 2);
    Mean op{false, false};
    for (const std::int64_t dimension : source.integers(1)) {
      const Axis axis = source.axis(dimension);
      if (axis == Axis::channels) source.refuse("averages over channels; supported: height, width or both");
      (axis == Axis::height ? op.over_height : op.over_width) = true;
    }
    append(source, op, {read(source, 0)}, {});
  }

  void check_use() const {
    const auto output = nodes_.find(file_.output);
    const Graph& graph = model_.graph;
    std::vector<bool> used(graph.nodes.size(), false);
    if (output != nodes_.end()) used[static_cast<std::size_t>(output->second)] = true;
    for (const Node& node : graph.nodes)
      for (const NodeId from : node.inputs) used[static_cast<std::size_t>(from)] = true;
    const bool all = std::find(used.begin(), used.end(), false) == used.end();
    if (output == nodes_.end() || output->second != graph.size() - 1 || !all || graph.size() < 2)
      throw Error(
          ExitCode::input,
          fmt::format("{}: an operator does not lead to the output '{}'; accepted: models in which all "
                      "do, the last one to compute it",
                      name_, file_.tensor(file_.output).name));
  }

  const ModelFile& file_;
  std::string name_;
  FloatModel model_;
  std::map<std::int32_t, NodeId> nodes_;              // by tensor
  std::map<std::int32_t, std::int32_t> dequantized_;  // float32 tensor -> float16 constant
  std::size_t weight_count_ = 0;
};

}  // namespace

bool is_float_tflite(std::string_view content, std::string_view name) {
  const ModelFile file = tflite::read_model_file(content, name);
  constexpr int kQuantize = 114;
  const bool quantizes = std::any_of(file.operators.begin(), file.operators.end(),
                                     [](const auto& op) { return static_cast<int>(op.code) == kQuantize; });
  return !quantizes && file.tensor(file.input).type == schema::TensorType::FLOAT32;
}

std::vector<std::string> float_tflite_operators() {
  std::vector<std::string> names;
  for (const auto& [code, method] : FloatImporter::methods())
    names.emplace_back(schema::EnumNameBuiltinOperator(code));
  std::sort(names.begin(), names.end());
  return names;
}

FloatModel import_float_tflite(std::string_view content, std::string_view name) {
  const ModelFile file = tflite::read_model_file(content, name);
  return FloatImporter(file, name).run();
}

}  // namespace mcufit
