// SPDX-License-Identifier: Apache-2.0
#include "exporters/tflite/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "blocks/foundation/error.h"
#include "exporters/tflite/importer.h"

namespace mcufit {
namespace tflite {
namespace {

bool is_int8(const Tensor& tensor) { return tensor.type == schema::TensorType::INT8; }

std::string supported_names() {
  std::string names;
  for (const Importer::Entry& e : Importer::entries())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", schema::EnumNameBuiltinOperator(e.code));
  return names;
}

}  // namespace

std::span<const Importer::Entry> Importer::entries() {
  using B = schema::BuiltinOperator;
  static const Entry kEntries[] = {
      {B::ADD, "add", "two computed inputs of one shape", &Importer::add_sum},
      {B::AVERAGE_POOL_2D, "average_pool2d", "", &Importer::add_average_pool},
      {B::CONCATENATION, "concatenation", "along height, width or channels", &Importer::add_concatenation},
      {B::CONV_2D, "conv2d", "one group", &Importer::add_conv2d},
      {B::DEPTHWISE_CONV_2D, "depthwise_conv2d", "any channel multiplier", &Importer::add_depthwise},
      {B::DEQUANTIZE, "", "at the model's end", &Importer::add_dequantize},
      {B::EXPAND_DIMS, "reshape", "", &Importer::add_reshape},
      {B::FULLY_CONNECTED, "fully_connected", "default weights format", &Importer::add_fully_connected},
      {B::HARD_SWISH, "hard_swish", "", &Importer::add_hard_swish},
      {B::LOGISTIC, "sigmoid", "", &Importer::add_logistic},
      {B::MAX_POOL_2D, "max_pool2d", "", &Importer::add_max_pool},
      {B::MEAN, "mean", "over height, width or both", &Importer::add_mean},
      {B::MUL, "mul", "two computed inputs of one shape, or one of them 1x1xC", &Importer::add_product},
      {B::PAD, "pad", "constant borders", &Importer::add_pad},
      {B::PADV2, "pad", "constant borders and value", &Importer::add_pad},
      {B::QUANTIZE, "quantize", "int8 to int8, or at the model's ends", &Importer::add_quantize},
      {B::RELU, "relu", "", &Importer::add_relu},
      {B::RELU6, "relu6", "", &Importer::add_relu6},
      {B::RESHAPE, "reshape", "", &Importer::add_reshape},
      {B::RESIZE_NEAREST_NEIGHBOR, "resize_nearest_neighbor", "constant size", &Importer::add_resize},
      {B::SOFTMAX, "softmax", "over channels", &Importer::add_softmax},
      {B::SQUEEZE, "reshape", "", &Importer::add_reshape},
      {B::TRANSPOSE, "reshape", "where only extents of 1 move", &Importer::add_transpose}};
  return kEntries;
}

TfliteModel Importer::run() {
  graph_.graph.name = file_.is_ours && !file_.name.empty() ? file_.name : name_;
  input_ = file_.input;
  output_ = file_.output;
  add_input();
  for (std::size_t i = 0; i < file_.operators.size(); ++i) {
    const OperatorReader source(file_, name_, i);
    const auto all = entries();
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Entry& e) { return e.code == source.op().code; });
    if (found == all.end()) source.refuse(fmt::format("is not supported; supported: {}", supported_names()));
    (this->*found->read)(source);
  }
  check_use();
  verify(graph_);
  return std::move(model_);
}

// Where the file's input is no int8, the operator that quantizes it gives ours.
void Importer::add_input() {
  const OperatorReader first(file_, name_, 0);
  if (!is_int8(file_.tensor(input_)) && first.op().code == schema::BuiltinOperator::QUANTIZE &&
      first.op().inputs == std::vector{input_}) {
    model_.notes.push_back(fmt::format("input: {} in the file, int8 here",
                                       schema::EnumNameTensorType(file_.tensor(input_).type)));
    input_ = first.op().output;
  }
  const Tensor& tensor = file_.tensor(input_);
  if (!tensor.data.empty()) first.refuse("the model's input is constant; accepted: a tensor without data");
  const Shape shape = first.shape_of(tensor);
  QuantizedNode node;
  node.output = first.quantization_of(tensor);
  graph_.graph.nodes.push_back({Input{shape}, {}, shape, file_.is_ours ? tensor.name : "input"});
  graph_.nodes.push_back(std::move(node));
  nodes_[input_] = 0;
}

NodeId Importer::read(const OperatorReader& source, std::size_t input) const {
  const std::int32_t tensor = source.input(input);
  const auto found = nodes_.find(tensor);
  if (found == nodes_.end())
    source.refuse(
        fmt::format("input {} ('{}') is {}; accepted: the model's input or what operators in front compute",
                    input, file_.tensor(tensor).name,
                    file_.tensor(tensor).data.empty() ? "computed by no operator before" : "constant"));
  return found->second;
}

void Importer::append(const OperatorReader& source, const Op& op, std::vector<NodeId> inputs,
                      QuantizedNode quantized, bool dropping) {
  std::vector<Shape> shapes;
  shapes.reserve(inputs.size());
  for (const NodeId id : inputs) shapes.push_back(shape(id));
  const Shape result = infer_shape(op, shapes, fmt::format("{}: {}", name_, source.node_name()));
  const Shape declared = source.shape_of(source.output());
  const bool reshaped = dropping && result != declared && result.elements() == declared.elements();
  if (result != declared && !reshaped)
    source.refuse(fmt::format("its output is said to be {}; accepted: {}, as its inputs make it",
                              to_string(declared), to_string(result)));
  define(source, graph_.graph.size() + (reshaped ? 1 : 0));
  graph_.graph.nodes.push_back({op, std::move(inputs), result, source.node_name()});
  graph_.nodes.push_back(std::move(quantized));
  if (!reshaped) return;
  graph_.graph.nodes.push_back(
      {Reshape{declared}, {graph_.graph.size() - 1}, declared, source.node_name() + "_reshape"});
  graph_.nodes.push_back(unweighted(source));
}

void Importer::define(const OperatorReader& source, NodeId node) {
  if (!source.output().data.empty()) source.refuse("its output is constant; accepted: a tensor without data");
  if (!nodes_.emplace(source.op().output, node).second)
    source.refuse("its output is computed twice; accepted: once");
}

QuantizedNode Importer::unweighted(const OperatorReader& source) const {
  QuantizedNode node;
  node.output = source.quantization_of(source.output());
  return node;
}

void Importer::refuse(const std::string& message) const {
  throw Error(ExitCode::input, fmt::format("{}: {}", name_, message));
}

void Importer::check_use() const {
  const auto output = nodes_.find(output_);
  if (output == nodes_.end())
    refuse(fmt::format("the output '{}' is computed by no operator; accepted: an operator's output",
                       file_.tensor(output_).name));
  const Graph& graph = graph_.graph;
  std::vector<bool> used(graph.nodes.size(), false);
  used[static_cast<std::size_t>(output->second)] = true;
  std::set<std::string_view> names;
  for (const Node& node : graph.nodes) {
    for (const NodeId from : node.inputs) used[static_cast<std::size_t>(from)] = true;
    if (!names.insert(node.name).second)
      refuse(fmt::format("another tensor is named '{}' too; accepted: names as `mcufit export` writes them",
                         node.name));
  }
  const auto unused = static_cast<std::size_t>(std::find(used.begin(), used.end(), false) - used.begin());
  if (unused < used.size() || output->second != graph.size() - 1 || graph.size() < 2)
    refuse(
        fmt::format("the output of {} is of no use; accepted: models in which every operator leads to the "
                    "output, the last one to compute it",
                    graph.nodes[unused < used.size() ? unused : used.size() - 1].name));
}

}  // namespace tflite

TfliteModel read_tflite(std::string_view content, std::string_view name) {
  const tflite::ModelFile file = tflite::read_model_file(content, name);
  return tflite::Importer(file, name).run();
}

QuantizedGraph import_tflite(std::string_view content, std::string_view name) {
  return read_tflite(content, name).graph;
}

std::vector<TfliteOperatorInfo> tflite_operators() {
  std::vector<TfliteOperatorInfo> all;
  for (const tflite::Importer::Entry& e : tflite::Importer::entries())
    all.push_back({tflite::schema::EnumNameBuiltinOperator(e.code), e.op, e.limits});
  return all;
}

}  // namespace mcufit
