// SPDX-License-Identifier: Apache-2.0
#include "exporters/tflite/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "blocks/foundation/error.h"
#include "blocks/foundation/version.h"
#include "exporters/tflite/model_file.h"
#include "exporters/tflite/operator_reader.h"
#include "exporters/tflite/versions.h"

namespace mcufit {
namespace {

namespace schema = tflite::schema;
using schema::BuiltinOperator;
using schema::BuiltinOptions;
using schema::TensorType;

constexpr std::uint32_t kFormatVersion = 3;
// Readers map files into memory and expect constants aligned.
constexpr std::size_t kBufferAlignment = 16;
constexpr std::size_t kRuntimeVersionBytes = 16;  // zeros behind the text

// A constant's or computed tensor's scales and zero points; `dimension` is where several run along.
struct Scales {
  std::vector<float> scales;
  std::int64_t zero_point = 0;
  std::int32_t dimension = 0;
};

Scales scales_of(const Quantization& q) { return {{q.scale}, q.zero_point, 0}; }

class Exporter {
 public:
  explicit Exporter(const QuantizedGraph& graph) : graph_(graph) { verify(graph); }

  std::string run() {
    buffers_.push_back(schema::CreateBuffer(builder_));  // number 0 is the empty one
    for (id_ = 0; id_ < graph_.graph.size(); ++id_) std::visit(*this, node().op);
    return finished();
  }

  void operator()(const Input&) { tensors_of_nodes_.push_back(computed(node().name)); }

  void operator()(const Conv2d& c) {
    const auto [input, padding] = padded_input(c.window, zero_point());
    const Window& w = c.window;
    const auto options =
        schema::CreateConv2DOptions(builder_, padding, w.stride_width, w.stride_height,
                                    tflite::fused_word(c.activation), w.dilation_width, w.dilation_height);
    const std::int32_t filter =
        filter_tensor({c.output_channels, w.kernel_height, w.kernel_width, in_shape().channels}, 0);
    add({BuiltinOperator::CONV_2D, 3}, {input, filter, bias_tensor()}, BuiltinOptions::Conv2DOptions,
        options.Union());
  }

  void operator()(const DepthwiseConv2d& d) {
    const auto [input, padding] = padded_input(d.window, zero_point());
    const Window& w = d.window;
    const auto options = schema::CreateDepthwiseConv2DOptions(
        builder_, padding, w.stride_width, w.stride_height, d.multiplier, tflite::fused_word(d.activation),
        w.dilation_width, w.dilation_height);
    const std::int32_t filter = filter_tensor({1, w.kernel_height, w.kernel_width, node().shape.channels}, 3);
    add({BuiltinOperator::DEPTHWISE_CONV_2D, 3}, {input, filter, bias_tensor()},
        BuiltinOptions::DepthwiseConv2DOptions, options.Union());
  }

  void operator()(const FullyConnected& f) {
    if (!graph_.node(id_).one_filter_scale) return layer_as_convolution(f);
    const auto options = schema::CreateFullyConnectedOptions(builder_, tflite::fused_word(f.activation));
    const auto elements = static_cast<std::int32_t>(in_shape().elements());
    const std::int32_t filter = filter_tensor({f.output_channels, elements}, 0);
    const std::int32_t bias = bias_tensor();
    add({BuiltinOperator::FULLY_CONNECTED, bias < 0 ? 6 : 4}, {input(0), filter, bias},
        BuiltinOptions::FullyConnectedOptions, options.Union());
  }

  void operator()(const Add& a) {
    const auto options = schema::CreateAddOptions(builder_, tflite::fused_word(a.activation));
    add({BuiltinOperator::ADD, 2}, {input(0), input(1)}, BuiltinOptions::AddOptions, options.Union());
  }

  void operator()(const Mul& m) {
    const auto options = schema::CreateMulOptions(builder_, tflite::fused_word(m.activation));
    const int version = mul_multiplier(graph_, id_).shift > 0 ? 3 : 2;  // for one and more
    add({BuiltinOperator::MUL, version}, {input(0), input(1)}, BuiltinOptions::MulOptions, options.Union());
  }

  void operator()(const AveragePool2d& p) {
    const auto padding = padding_of(p.window);
    if (!padding) refuse("has padding that is not averaged and not TensorFlow's SAME");
    pool(BuiltinOperator::AVERAGE_POOL_2D, p.window, p.activation, input(0), *padding);
  }

  // The least int8 never is a maximum.
  void operator()(const MaxPool2d& p) {
    const auto [input, padding] = padded_input(p.window, -128);
    pool(BuiltinOperator::MAX_POOL_2D, p.window, p.activation, input, padding);
  }

  void operator()(const Activate& a) {
    switch (a.activation) {
      case Activation::none:
        return add({BuiltinOperator::QUANTIZE, 1}, {input(0)}, BuiltinOptions::QuantizeOptions,
                   schema::CreateQuantizeOptions(builder_).Union());
      case Activation::relu:
        return add({BuiltinOperator::RELU, 2}, {input(0)});
      case Activation::relu6:
        return add({BuiltinOperator::RELU6, 2}, {input(0)});
      case Activation::sigmoid:
        return add({BuiltinOperator::LOGISTIC, 2}, {input(0)});
      case Activation::hard_swish:
        return add({BuiltinOperator::HARD_SWISH, 1}, {input(0)}, BuiltinOptions::HardSwishOptions,
                   schema::CreateHardSwishOptions(builder_).Union());
      case Activation::hard_sigmoid:
        break;
    }
    refuse("is hard_sigmoid, which the format does not have");
  }

  void operator()(const Softmax& s) {
    add({BuiltinOperator::SOFTMAX, 2}, {input(0)}, BuiltinOptions::SoftmaxOptions,
        schema::CreateSoftmaxOptions(builder_, s.beta).Union());
  }

  void operator()(const Mean& m) {
    std::vector<std::int32_t> axes;
    if (m.over_height) axes.push_back(1);
    if (m.over_width) axes.push_back(2);
    if (axes.empty()) refuse("is a mean over neither height nor width");
    const std::int32_t constant = integers("axes", axes, {static_cast<std::int32_t>(axes.size())});
    add({BuiltinOperator::MEAN, 2}, {input(0), constant}, BuiltinOptions::ReducerOptions,
        schema::CreateReducerOptions(builder_, true).Union());
  }

  void operator()(const Concatenation& c) {
    std::vector<std::int32_t> inputs;
    for (std::size_t i = 0; i < node().inputs.size(); ++i) inputs.push_back(input(i));
    const int axis = c.axis == Axis::height ? 1 : (c.axis == Axis::width ? 2 : 3);
    add({BuiltinOperator::CONCATENATION, 2}, std::move(inputs), BuiltinOptions::ConcatenationOptions,
        schema::CreateConcatenationOptions(builder_, axis).Union());
  }

  void operator()(const Pad& p) {
    const std::int32_t output = computed(node().name);
    add_pad(input(0), p, pad_value(graph_, id_), output);
    tensors_of_nodes_.push_back(output);
  }

  void operator()(const Reshape& r) {
    const std::vector<std::int32_t> extents{1, r.shape.height, r.shape.width, r.shape.channels};
    const std::int32_t output = computed(node().name);
    add_reshape(input(0), extents, output);
    tensors_of_nodes_.push_back(output);
  }

  void operator()(const ResizeNearestNeighbor& r) {
    const std::int32_t size = integers("size", {r.height, r.width}, {2});
    const auto options =
        schema::CreateResizeNearestNeighborOptions(builder_, r.align_corners, r.half_pixel_centers);
    add({BuiltinOperator::RESIZE_NEAREST_NEIGHBOR, r.align_corners || r.half_pixel_centers ? 3 : 2},
        {input(0), size}, BuiltinOptions::ResizeNearestNeighborOptions, options.Union());
  }

  void operator()(const BatchNorm&) { refuse("has no int8 form"); }

 private:
  using Code = std::pair<BuiltinOperator, int>;  // and its version

  const Node& node() const { return graph_.graph.node(id_); }
  const Shape& in_shape() const { return graph_.graph.node(node().inputs[0]).shape; }
  std::int32_t zero_point() const { return graph_.node(node().inputs[0]).output.zero_point; }

  [[noreturn]] void refuse(std::string_view what) const {
    throw Error(ExitCode::input,
                fmt::format("{}: {} {}; accepted for .tflite: see `mcufit supported-ops`; try another format",
                            graph_.graph.name, node().name, what));
  }

  std::int32_t tensor(const std::string& name, const std::vector<std::int32_t>& extents, TensorType type,
                      const Scales& scales, std::uint32_t buffer) {
    const auto shape = builder_.CreateVector(extents);
    const auto text = builder_.CreateString(name);
    const auto scale = builder_.CreateVector(scales.scales);
    const auto zero =
        builder_.CreateVector(std::vector<std::int64_t>(scales.scales.size(), scales.zero_point));
    const auto quantization = schema::CreateQuantizationParameters(builder_, scale, zero, scales.dimension);
    tensors_.push_back(schema::CreateTensor(builder_, shape, type, buffer, text, quantization));
    return static_cast<std::int32_t>(tensors_.size()) - 1;
  }

  // With a scale per channel: TensorFlow Lite knew those for convolutions only until 2024, and may read them
  // as one scale of 0. A convolution that covers its input computes the same.
  void layer_as_convolution(const FullyConnected& f) {
    const auto options = schema::CreateConv2DOptions(builder_, schema::Padding::VALID, 1, 1,
                                                     tflite::fused_word(f.activation), 1, 1);
    const Shape& in = in_shape();
    const std::int32_t filter =
        filter_tensor({f.output_channels, in.height, in.width, in.channels}, 0, tflite::kLayerSuffix);
    add({BuiltinOperator::CONV_2D, 3}, {input(0), filter, bias_tensor()}, BuiltinOptions::Conv2DOptions,
        options.Union());
  }

  // The node's own output.
  std::int32_t computed(const std::string& name) {
    const Shape& s = node().shape;
    const std::vector<std::int32_t> extents =
        is_flat(id_) ? std::vector{1, s.channels} : std::vector{1, s.height, s.width, s.channels};
    return tensor(name, extents, TensorType::INT8, scales_of(graph_.node(id_).output), 0);
  }

  // TensorFlow Lite makes 1xC of a fully-connected layer's output, and what is element-wise behind it keeps
  // that.
  bool is_flat(NodeId id) const {
    const Node& n = graph_.graph.node(id);
    if (std::holds_alternative<FullyConnected>(n.op)) return graph_.node(id).one_filter_scale;
    const bool keeps = std::holds_alternative<Softmax>(n.op) || std::holds_alternative<Activate>(n.op);
    return keeps && is_flat(n.inputs[0]);
  }

  template <typename T>
  std::uint32_t buffer(const std::vector<T>& values) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
    const std::size_t count = values.size() * sizeof(T);
    builder_.ForceVectorAlignment(count, 1, kBufferAlignment);
    buffers_.push_back(schema::CreateBuffer(builder_, builder_.CreateVector(bytes, count)));
    return static_cast<std::uint32_t>(buffers_.size()) - 1;
  }

  std::int32_t integers(std::string_view what, const std::vector<std::int32_t>& values,
                        const std::vector<std::int32_t>& extents) {
    return tensor(fmt::format("{}/{}", node().name, what), extents, TensorType::INT32, {}, buffer(values));
  }

  std::int32_t filter_tensor(const std::vector<std::int32_t>& extents, std::int32_t dimension,
                             std::string_view suffix = "/filter") {
    const QuantizedNode& q = graph_.node(id_);
    Scales scales{q.filter_scales, 0, dimension};
    if (q.one_filter_scale) scales.scales.resize(1);
    return tensor(fmt::format("{}{}", node().name, suffix), extents, TensorType::INT8, scales,
                  buffer(q.filter));
  }

  std::int32_t bias_tensor() {
    const QuantizedNode& q = graph_.node(id_);
    if (q.bias.empty()) return -1;
    const float input_scale = graph_.node(node().inputs[0]).output.scale;
    Scales scales{q.filter_scales, 0, 0};
    if (q.one_filter_scale) scales.scales.resize(1);
    for (float& scale : scales.scales) scale *= input_scale;
    return tensor(node().name + "/bias", {node().shape.channels}, TensorType::INT32, scales, buffer(q.bias));
  }

  // An input's tensor; of a flat one a copy in four dimensions, where the operator is not content with 1xC.
  std::int32_t input(std::size_t i) {
    const NodeId from = node().inputs[i];
    const std::int32_t flat = tensors_of_nodes_[static_cast<std::size_t>(from)];
    if (!is_flat(from) || is_flat(id_)) return flat;
    const auto [known, is_new] = unflattened_.emplace(from, 0);
    if (!is_new) return known->second;
    const std::vector<std::int32_t> extents{1, 1, 1, graph_.graph.node(from).shape.channels};
    const std::int32_t output =
        tensor(fmt::format("{}{}", graph_.graph.node(from).name, tflite::kUnflattenedSuffix), extents,
               TensorType::INT8, scales_of(graph_.node(from).output), 0);
    add_reshape(flat, extents, output);
    known->second = output;
    return output;
  }

  // The padding mode that says a window's padding, where one does.
  std::optional<schema::Padding> padding_of(const Window& w) const {
    if (w.padding == Padding{}) return schema::Padding::VALID;
    if (w.padding == tflite::same_padding(w, in_shape())) return schema::Padding::SAME;
    return std::nullopt;
  }

  // The first input with the padding mode to use on it; a pad is put between where none does it alone.
  std::pair<std::int32_t, schema::Padding> padded_input(const Window& w, std::int32_t border) {
    if (const auto mode = padding_of(w)) return {input(0), *mode};
    const Shape& s = in_shape();
    const std::vector<std::int32_t> extents{1, s.height + w.padding.top + w.padding.bottom,
                                            s.width + w.padding.left + w.padding.right, s.channels};
    const std::int32_t from = input(0);
    const std::int32_t output = tensor(fmt::format("{}{}", node().name, tflite::kPaddingSuffix), extents,
                                       TensorType::INT8, scales_of(graph_.node(node().inputs[0]).output), 0);
    add_pad(from, {.padding = w.padding}, static_cast<std::int8_t>(border), output);
    return {output, schema::Padding::VALID};
  }

  void add_pad(std::int32_t from, const Pad& p, std::int8_t value, std::int32_t output) {
    const Padding& b = p.padding;
    const Quantization& q = graph_.node(node().inputs[0]).output;
    const std::int32_t borders = integers(
        "borders", {0, 0, b.top, b.bottom, b.left, b.right, p.channels_before, p.channels_after}, {4, 2});
    if (value == q.zero_point)
      return add_operator({BuiltinOperator::PAD, 2}, {from, borders}, output, BuiltinOptions::PadOptions,
                          schema::CreatePadOptions(builder_).Union());
    const std::int32_t constant = tensor(node().name + "/border", {1}, TensorType::INT8, scales_of(q),
                                         buffer(std::vector<std::int8_t>{value}));
    add_operator({BuiltinOperator::PADV2, 2}, {from, borders, constant}, output, BuiltinOptions::PadV2Options,
                 schema::CreatePadV2Options(builder_).Union());
  }

  void add_reshape(std::int32_t from, const std::vector<std::int32_t>& extents, std::int32_t output) {
    const std::int32_t shape = integers("shape", extents, {static_cast<std::int32_t>(extents.size())});
    const auto options = schema::CreateReshapeOptions(builder_, builder_.CreateVector(extents));
    add_operator({BuiltinOperator::RESHAPE, 1}, {from, shape}, output, BuiltinOptions::ReshapeOptions,
                 options.Union());
  }

  void pool(BuiltinOperator code, const Window& w, Activation activation, std::int32_t input,
            schema::Padding padding) {
    const auto options =
        schema::CreatePool2DOptions(builder_, padding, w.stride_width, w.stride_height, w.kernel_width,
                                    w.kernel_height, tflite::fused_word(activation));
    add({code, 2}, {input}, BuiltinOptions::Pool2DOptions, options.Union());
  }

  // The operator that computes the node.
  void add(Code code, std::vector<std::int32_t> inputs, BuiltinOptions kind = BuiltinOptions::NONE,
           flatbuffers::Offset<void> options = {}) {
    const std::int32_t output = computed(node().name);
    add_operator(code, std::move(inputs), output, kind, options);
    tensors_of_nodes_.push_back(output);
  }

  void add_operator(Code code, std::vector<std::int32_t> inputs, std::int32_t output, BuiltinOptions kind,
                    flatbuffers::Offset<void> options) {
    const auto [number, is_new] = codes_.emplace(code, static_cast<std::uint32_t>(codes_.size()));
    if (is_new) code_order_.push_back(code);
    least_runtime_ = std::max(least_runtime_, tflite::first_runtime(code.first, code.second));
    while (!inputs.empty() && inputs.back() < 0) inputs.pop_back();  // an optional bias
    const auto from = builder_.CreateVector(inputs);
    const auto to = builder_.CreateVector(std::vector{output});
    operators_.push_back(schema::CreateOperator(builder_, number->second, from, to, kind, options));
  }

  std::vector<flatbuffers::Offset<schema::OperatorCode>> operator_codes() {
    std::vector<flatbuffers::Offset<schema::OperatorCode>> all;
    for (const auto& [code, version] : code_order_) {
      const auto byte = static_cast<std::int8_t>(std::min(static_cast<int>(code), 127));
      all.push_back(schema::CreateOperatorCode(builder_, byte, 0, version, code));
    }
    return all;
  }

  flatbuffers::Offset<schema::Metadata> add_metadata(std::string_view name, const std::string& text) {
    const std::uint32_t content = buffer(std::vector<char>(text.begin(), text.end()));
    return schema::CreateMetadata(builder_, builder_.CreateString(name), content);
  }

  std::string finished() {
    const nlohmann::json about = {{"tool", "mcufit"}, {"version", version()}};
    const std::string text = about.dump();
    least_runtime_.resize(kRuntimeVersionBytes);
    const std::vector<flatbuffers::Offset<schema::Metadata>> metadata{
        add_metadata("min_runtime_version", least_runtime_), add_metadata(tflite::kMetadataName, text)};
    const auto tensors = builder_.CreateVector(tensors_);
    const auto inputs = builder_.CreateVector(std::vector{tensors_of_nodes_.front()});
    const auto outputs = builder_.CreateVector(std::vector{tensors_of_nodes_.back()});
    const auto operators = builder_.CreateVector(operators_);
    const auto name = builder_.CreateString(graph_.graph.name);
    const std::vector<flatbuffers::Offset<schema::SubGraph>> graphs{
        schema::CreateSubGraph(builder_, tensors, inputs, outputs, operators, name)};
    const auto codes = builder_.CreateVector(operator_codes());
    const auto graph_list = builder_.CreateVector(graphs);
    const auto description = builder_.CreateString(fmt::format("written by mcufit {}", version()));
    const auto buffers = builder_.CreateVector(buffers_);
    const auto metadata_list = builder_.CreateVector(metadata);
    schema::FinishModelBuffer(builder_, schema::CreateModel(builder_, kFormatVersion, codes, graph_list,
                                                            description, buffers, metadata_list));
    return {reinterpret_cast<const char*>(builder_.GetBufferPointer()), builder_.GetSize()};
  }

  const QuantizedGraph& graph_;
  NodeId id_ = 0;
  flatbuffers::FlatBufferBuilder builder_;
  std::vector<flatbuffers::Offset<schema::Buffer>> buffers_;
  std::vector<flatbuffers::Offset<schema::Tensor>> tensors_;
  std::vector<flatbuffers::Offset<schema::Operator>> operators_;
  std::map<Code, std::uint32_t> codes_;
  std::vector<Code> code_order_;
  std::string least_runtime_;
  std::vector<std::int32_t> tensors_of_nodes_;
  std::map<NodeId, std::int32_t> unflattened_;
};

}  // namespace

std::string export_tflite(const QuantizedGraph& graph) { return Exporter(graph).run(); }

}  // namespace mcufit
