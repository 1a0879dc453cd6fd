// SPDX-License-Identifier: Apache-2.0
#include "exporters/onnx/export.h"

#include <fmt/format.h>

#include "blocks/foundation/error.h"
#include "blocks/foundation/version.h"
#include "exporters/onnx/value.h"

namespace mcufit {
namespace {

using onnx_file::Dims;
namespace proto = onnx_file::proto;
using Names = std::vector<std::string>;

constexpr std::int64_t kOperatorSet = 14;  // the first with HardSwish
constexpr std::int64_t kFormatVersion = 7;
constexpr std::array<Axis, 3> kChannelsFirst{Axis::channels, Axis::height, Axis::width};

Dims dims_of(const Shape& s) { return {1, s.channels, s.height, s.width}; }

// Where [kh][kw][channel] and [out][kh][kw][in] have what ONNX has as [out][in][kh][kw].
std::vector<std::int8_t> channels_first(const std::vector<std::int8_t>& filter, std::size_t out,
                                        std::size_t in, std::size_t taps, bool depthwise) {
  std::vector<std::int8_t> result;
  result.reserve(filter.size());
  for (std::size_t o = 0; o < out; ++o)
    for (std::size_t i = 0; i < in; ++i)
      for (std::size_t t = 0; t < taps; ++t)
        result.push_back(filter[depthwise ? t * out + o : (o * taps + t) * in + i]);
  return result;
}

// Attributes of a node, written one after another.
struct Attributes {
  proto::NodeProto& node;

  proto::AttributeProto& add(const char* name, proto::AttributeProto::AttributeType type) {
    auto* attribute = node.add_attribute();
    attribute->set_name(name);
    attribute->set_type(type);
    return *attribute;
  }
  Attributes& set(const char* name, std::int64_t value) {
    add(name, proto::AttributeProto::INT).set_i(value);
    return *this;
  }
  Attributes& set(const char* name, const char* value) {
    add(name, proto::AttributeProto::STRING).set_s(value);
    return *this;
  }
  Attributes& set(const char* name, const Dims& values) {
    auto& attribute = add(name, proto::AttributeProto::INTS);
    for (const std::int64_t value : values) attribute.add_ints(value);
    return *this;
  }
  Attributes& window(const Window& w) {
    set("kernel_shape", Dims{w.kernel_height, w.kernel_width});
    set("strides", Dims{w.stride_height, w.stride_width});
    return set("pads", Dims{w.padding.top, w.padding.left, w.padding.bottom, w.padding.right});
  }
};

class Exporter {
 public:
  explicit Exporter(const QuantizedGraph& graph) : graph_(graph), file_(*model_.mutable_graph()) {}

  std::string run() {
    describe();
    add_value(*file_.add_input(), graph_.graph.nodes.front());
    for (NodeId id = 1; id < graph_.graph.size(); ++id) {
      id_ = id;
      const Node& node = this->node();
      std::visit([&](const auto& op) { add(op); }, node.op);
    }
    add_value(*file_.add_output(), graph_.graph.nodes.back());
    return model_.SerializeAsString();
  }

 private:
  const Node& node() const { return graph_.graph.node(id_); }
  const QuantizedNode& quantized() const { return graph_.node(id_); }
  const Node& input(std::size_t i) const { return graph_.graph.node(node().inputs[i]); }
  std::string part(std::string_view what) const { return fmt::format("{}:{}", node().name, what); }

  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ExitCode::input, fmt::format("{}: {} ({}): {} has no form in ONNX", graph_.graph.name,
                                             node().name, op_name(node().op), what));
  }

  void describe() {
    model_.set_ir_version(kFormatVersion);
    model_.set_producer_name("mcufit");
    model_.set_producer_version(std::string(version()));
    model_.add_opset_import()->set_version(kOperatorSet);
    const auto note = [&](const char* key, std::string value) {
      auto* entry = model_.add_metadata_props();
      entry->set_key(key);
      entry->set_value(std::move(value));
    };
    note("mcufit_version", std::string(version()));
    note("mcufit_commit", std::string(commit()));
    note("layout", "NCHW int8 in and out; the microcontroller's bytes are NHWC");
    file_.set_name(graph_.graph.name.empty() ? "graph" : graph_.graph.name);
  }

  static void add_value(proto::ValueInfoProto& value, const Node& of) {
    value.set_name(of.name);
    auto* type = value.mutable_type()->mutable_tensor_type();
    type->set_elem_type(proto::TensorProto::INT8);
    for (const std::int64_t extent : dims_of(of.shape))
      type->mutable_shape()->add_dim()->set_dim_value(extent);
  }

  template <typename T>
  std::string constant(const std::string& name, proto::TensorProto::DataType type, const Dims& dims,
                       const std::vector<T>& values) {
    auto* tensor = file_.add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(type);
    for (const std::int64_t extent : dims) tensor->add_dims(extent);
    tensor->set_raw_data(values.data(), values.size() * sizeof(T));
    return name;
  }
  std::string integers(const std::string& name, const Dims& values) {
    return constant(name, proto::TensorProto::INT64, {static_cast<std::int64_t>(values.size())}, values);
  }
  std::string number(const std::string& name, float value) {
    return constant(name, proto::TensorProto::FLOAT, {}, std::vector<float>{value});
  }

  Attributes add_node(const char* type, const std::string& name, const Names& inputs,
                      const std::string& output) {
    auto* added = file_.add_node();
    added->set_op_type(type);
    added->set_name(name);
    for (const std::string& from : inputs) added->add_input(from);
    added->add_output(output);
    return {*added};
  }

  // A node's output as reals, for this node alone: runtimes fuse the pairs around one operator.
  std::string real_input(std::size_t i, const std::string& bytes) {
    std::string real = part(fmt::format("input{}", i));
    const Quantization& q = graph_.node(node().inputs[i]).output;
    add_node("DequantizeLinear", real, pair(bytes, real, q), real);
    return real;
  }
  std::string real_input(std::size_t i) { return real_input(i, input(i).name); }

  Names pair(const std::string& tensor, const std::string& name, const Quantization& q) {
    const auto zero = static_cast<std::int8_t>(q.zero_point);
    return {tensor, number(name + ":scale", q.scale),
            constant(name + ":zero", proto::TensorProto::INT8, {}, std::vector<std::int8_t>{zero})};
  }

  // From the operator's output through its activation to bytes named `bytes`.
  void finish(Activation activation, const std::string& bytes) {
    std::string real = part("real");
    if (activation == Activation::relu) add_node("Relu", part("relu"), {real}, part("activated"));
    if (activation == Activation::relu6)
      add_node("Clip", part("relu6"), {real, number(part("least"), 0), number(part("most"), 6)},
               part("activated"));
    if (activation != Activation::none) real = part("activated");
    const std::string name = part("output");
    add_node("QuantizeLinear", name, pair(real, name, quantized().output), bytes);
  }

  // An operator without attributes.
  void simple(const char* type, const Names& inputs, Activation activation = Activation::none) {
    add_node(type, node().name, inputs, part("real"));
    finish(activation, node().name);
  }

  std::string filter(const std::vector<std::int8_t>& values, const Dims& dims) {
    const QuantizedNode& q = quantized();
    const std::string name = part("filter");
    const auto count = static_cast<std::int64_t>(q.filter_scales.size());
    const bool one = q.one_filter_scale;
    const std::vector<float> scales(q.filter_scales.begin(),
                                    one ? q.filter_scales.begin() + 1 : q.filter_scales.end());
    const std::vector<std::int8_t> zeros(scales.size(), 0);
    const Dims per = one ? Dims{} : Dims{count};
    add_node("DequantizeLinear", part("filter_real"),
             {constant(name, proto::TensorProto::INT8, dims, values),
              constant(name + ":scale", proto::TensorProto::FLOAT, per, scales),
              constant(name + ":zero", proto::TensorProto::INT8, per, zeros)},
             part("filter_real"))
        .set("axis", std::int64_t{0});
    return part("filter_real");
  }

  std::string bias() {
    const QuantizedNode& q = quantized();
    const float input_scale = graph_.node(node().inputs[0]).output.scale;
    const auto count = static_cast<std::int64_t>(q.bias.size());
    std::vector<float> scales;
    for (const float scale : q.filter_scales) scales.push_back(input_scale * scale);
    add_node("DequantizeLinear", part("bias_real"),
             {constant(part("bias"), proto::TensorProto::INT32, {count}, q.bias),
              constant(part("bias:scale"), proto::TensorProto::FLOAT, {count}, scales)},
             part("bias_real"))
        .set("axis", std::int64_t{0});
    return part("bias_real");
  }

  void convolution(const Window& w, std::int64_t groups, Activation activation) {
    const auto out = static_cast<std::size_t>(node().shape.channels);
    const std::size_t in = groups == 1 ? static_cast<std::size_t>(input(0).shape.channels) : 1;
    const bool depthwise = std::holds_alternative<DepthwiseConv2d>(node().op);
    const auto values =
        channels_first(quantized().filter, out, in, static_cast<std::size_t>(w.taps()), depthwise);
    const std::string real = real_input(0);
    const std::string weights = filter(values, {static_cast<std::int64_t>(out), static_cast<std::int64_t>(in),
                                                w.kernel_height, w.kernel_width});
    Names inputs{real, weights};
    if (!quantized().bias.empty()) inputs.push_back(bias());
    add_node("Conv", node().name, inputs, part("real"))
        .window(w)
        .set("dilations", Dims{w.dilation_height, w.dilation_width})
        .set("group", groups);
    finish(activation, node().name);
  }

  void add(const Conv2d& c) { convolution(c.window, 1, c.activation); }
  void add(const DepthwiseConv2d& d) { convolution(d.window, input(0).shape.channels, d.activation); }

  void add(const FullyConnected& f) {
    const Shape& in = input(0).shape;
    const auto columns = static_cast<std::size_t>(in.elements());
    const auto places = onnx_file::places_in_file(in, kChannelsFirst);
    std::vector<std::int8_t> values(quantized().filter.size());
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i / columns * columns + places[i % columns]] = quantized().filter[i];
    add_node("Flatten", part("flat"), {input(0).name}, part("flat"));
    const std::string real = real_input(0, part("flat"));
    Names inputs{real, filter(values, {f.output_channels, in.elements()})};
    if (!quantized().bias.empty()) inputs.push_back(bias());
    add_node("Gemm", node().name, inputs, part("real")).set("transB", std::int64_t{1});
    finish(f.activation, part("row"));
    add_node("Reshape", part("image"), {part("row"), integers(part("shape"), dims_of(node().shape))},
             node().name);
  }

  void add(const Activate& a) {
    const char* type = "Identity";
    if (a.activation == Activation::relu) type = "Relu";
    if (a.activation == Activation::sigmoid) type = "Sigmoid";
    if (a.activation == Activation::hard_swish) type = "HardSwish";
    if (a.activation == Activation::hard_sigmoid) refuse("hard_sigmoid in int8");
    Names inputs{real_input(0)};
    if (a.activation == Activation::relu6) {
      type = "Clip";
      inputs.push_back(number(part("least"), 0));
      inputs.push_back(number(part("most"), 6));
    }
    simple(type, inputs);
  }
  void add(const Add& a) { two("Add", a.activation); }
  void add(const Mul& m) { two("Mul", m.activation); }
  void two(const char* type, Activation activation) {
    const std::string first = real_input(0);
    simple(type, {first, real_input(1)}, activation);
  }
  void add(const AveragePool2d& p) {
    add_node("AveragePool", node().name, {real_input(0)}, part("real"))
        .window(p.window)
        .set("count_include_pad", std::int64_t{0});
    finish(p.activation, node().name);
  }
  void add(const MaxPool2d& p) {
    add_node("MaxPool", node().name, {real_input(0)}, part("real")).window(p.window);
    finish(p.activation, node().name);
  }
  void add(const Softmax& s) {
    if (s.beta != 1) refuse(fmt::format("beta {}", s.beta));
    add_node("Softmax", node().name, {real_input(0)}, part("real")).set("axis", std::int64_t{1});
    finish(Activation::none, node().name);
  }
  void add(const Mean& m) {
    Dims axes;
    if (m.over_height) axes.push_back(2);
    if (m.over_width) axes.push_back(3);
    if (axes.empty()) refuse("a mean over nothing");
    add_node("ReduceMean", node().name, {real_input(0)}, part("real")).set("axes", axes);
    finish(Activation::none, node().name);
  }
  void add(const Concatenation& c) {
    Names inputs;
    for (std::size_t i = 0; i < node().inputs.size(); ++i) inputs.push_back(real_input(i));
    const std::int64_t axis = c.axis == Axis::channels ? 1 : c.axis == Axis::height ? 2 : 3;
    add_node("Concat", node().name, inputs, part("real")).set("axis", axis);
    finish(Activation::none, node().name);
  }
  void add(const Pad& p) {
    const Padding& b = p.padding;
    const Dims pads{0, p.channels_before, b.top, b.left, 0, p.channels_after, b.bottom, b.right};
    const std::string real = real_input(0);
    simple("Pad", {real, integers(part("pads"), pads), number(part("value"), p.value)});
  }
  void add(const Reshape& r) {
    const Shape& s = r.shape;
    add_node("Transpose", part("nhwc"), {real_input(0)}, part("nhwc")).set("perm", Dims{0, 2, 3, 1});
    add_node("Reshape", node().name,
             {part("nhwc"), integers(part("shape"), {1, s.height, s.width, s.channels})}, part("reshaped"));
    add_node("Transpose", part("nchw"), {part("reshaped")}, part("real")).set("perm", Dims{0, 3, 1, 2});
    finish(Activation::none, node().name);
  }
  // TensorFlow rounds half up at aligned corners, and floors otherwise; from half a pixel earlier, rounding
  // half up is that.
  void add(const ResizeNearestNeighbor& r) {
    if (r.align_corners && r.half_pixel_centers) refuse("align_corners with half_pixel_centers");
    const char* mode = r.align_corners ? "align_corners" : r.half_pixel_centers ? "half_pixel" : "asymmetric";
    const bool floors = !r.align_corners && !r.half_pixel_centers;
    const std::string real = real_input(0);
    add_node("Resize", node().name, {real, "", "", integers(part("sizes"), dims_of(node().shape))},
             part("real"))
        .set("mode", "nearest")
        .set("coordinate_transformation_mode", mode)
        .set("nearest_mode", floors ? "floor" : "round_prefer_ceil");
    finish(Activation::none, node().name);
  }
  void add(const Input&) const { refuse("a second input"); }
  void add(const BatchNorm&) const { refuse("batch_norm in int8"); }

  const QuantizedGraph& graph_;
  proto::ModelProto model_;
  proto::GraphProto& file_;
  NodeId id_ = 0;
};

}  // namespace

std::string export_onnx(const QuantizedGraph& graph) { return Exporter(graph).run(); }

}  // namespace mcufit
