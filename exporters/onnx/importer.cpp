// SPDX-License-Identifier: Apache-2.0
#include "exporters/onnx/importer.h"

#include <fmt/format.h>

#include <algorithm>

#include "blocks/foundation/error.h"
#include "exporters/onnx/import.h"

namespace mcufit::onnx_file {
namespace {

constexpr int kMostNodes = 4096;
constexpr std::int64_t kMostExtent = 32767;
constexpr std::array<Axis, 3> kNodeOrder{Axis::height, Axis::width, Axis::channels};

// What the dimensions of a tensor may mean, the usual one first.
std::vector<Labels> possible_labels(std::size_t rank) {
  constexpr Axis h = Axis::height, w = Axis::width, c = Axis::channels;
  if (rank == 4) return {{c, h, w}, {h, w, c}};
  if (rank == 3) return {{c, w}, {w, c}};
  if (rank == 2) return {{c}};
  return {};
}

// The Transpose that a converter writes where a model has channels last.
bool to_channels_first(const proto::NodeProto& node, std::size_t rank) {
  if (node.op_type() != "Transpose" || node.attribute_size() != 1) return false;
  const auto& perm = node.attribute(0).ints();
  const std::vector<std::int64_t> expected =
      rank == 4 ? std::vector<std::int64_t>{0, 3, 1, 2} : std::vector<std::int64_t>{0, 2, 1};
  return std::equal(perm.begin(), perm.end(), expected.begin(), expected.end());
}

// A reshape of ours is several nodes, "NAME:flat", ..., "NAME:nchw"; others are named by who reads them.
std::string reshape_name(const std::string& node) {
  const std::size_t part = node.find(":nchw");
  return part == std::string::npos ? node + "/reshape" : node.substr(0, part);
}

}  // namespace

std::size_t axis_index(const NodeReader& source, std::int64_t axis, std::size_t rank) {
  const auto size = static_cast<std::int64_t>(rank);
  if (axis < -size || axis >= size)
    source.refuse(fmt::format("found axis {} of a tensor with {} dimensions", axis, rank));
  return static_cast<std::size_t>(axis < 0 ? axis + size : axis);
}

std::int32_t small(const NodeReader& source, std::int64_t value, std::string_view what) {
  if (value < 0 || value > kMostExtent)
    source.refuse(fmt::format("found {} {}; accepted: 0 to {}", what, value, kMostExtent));
  return static_cast<std::int32_t>(value);
}

Labels channels_first(const NodeReader& source, std::size_t rank) {
  const auto labels = possible_labels(rank);
  if (labels.empty())
    source.refuse(
        fmt::format("reads a tensor of {} dimensions; supported: 2 to 4, the batch included", rank));
  return labels.front();
}

Importer::Importer(const proto::ModelProto& model, std::string_view name, bool quantized)
    : model_(model), name_(name), quantized_(quantized) {}

void Importer::refuse(const std::string& message) const {
  throw Error(ExitCode::input, fmt::format("{}: {}", name_, message));
}

FloatModel Importer::run() {
  const auto& file = model_.graph();
  graph_.name = name_;
  if (file.node_size() > kMostNodes)
    refuse(fmt::format("found {} nodes; accepted: up to {}", file.node_size(), kMostNodes));
  for (const auto& tensor : file.initializer()) initializers_[tensor.name()] = &tensor;
  find_needed();
  const proto::ValueInfoProto* input = nullptr;
  for (const auto& candidate : file.input()) {  // old files list constants among the inputs
    if (initializers_.contains(candidate.name())) continue;
    if (input != nullptr) refuse("found several inputs; accepted: 1");
    input = &candidate;
  }
  if (input == nullptr) refuse("found no input; accepted: 1");
  add_input(*input);
  for (int i = 0; i < file.node_size(); ++i) {
    if (needed_[static_cast<std::size_t>(i)])
      add({file.node(i), static_cast<std::size_t>(i), name_, operator_set(model_)});
  }
  finish();
  return {std::move(graph_), std::move(weights_)};
}

// Backwards from the output; files are sorted, so one pass does.
void Importer::find_needed() {
  const auto& file = model_.graph();
  if (file.output_size() != 1) refuse(fmt::format("found {} outputs; accepted: 1", file.output_size()));
  uses_[file.output(0).name()] = 1;
  needed_.assign(static_cast<std::size_t>(file.node_size()), false);
  for (int i = file.node_size() - 1; i >= 0; --i) {
    const auto& outputs = file.node(i).output();
    const bool needed = std::any_of(outputs.begin(), outputs.end(), [&](const std::string& name) {
      return !name.empty() && uses_.contains(name);
    });
    if (!needed) continue;
    needed_[static_cast<std::size_t>(i)] = true;
    for (const std::string& name : file.node(i).input()) ++uses_[name];
  }
}

// Channels last where every reader begins by putting them first.
Labels Importer::input_labels(const std::string& name, std::size_t rank) const {
  const auto labels = possible_labels(rank);
  if (labels.empty()) refuse(fmt::format("the input has {} dimensions; accepted: NxC, NxCxW, NxCxHxW", rank));
  if (labels.size() == 1) return labels[0];
  bool last = false;
  for (const auto& node : model_.graph().node()) {
    if (std::find(node.input().begin(), node.input().end(), name) == node.input().end()) continue;
    if (!to_channels_first(node, rank)) return labels[0];
    last = true;
  }
  return labels[last ? 1 : 0];
}

void Importer::add_input(const proto::ValueInfoProto& input) {
  if (!input.type().has_tensor_type() || !input.type().tensor_type().has_shape())
    refuse("the input has no shape; accepted: a tensor of known extents but for the batch");
  const auto& type = input.type().tensor_type();
  const int expected = quantized_ ? proto::TensorProto::INT8 : proto::TensorProto::FLOAT;
  if (type.elem_type() != expected)
    refuse(fmt::format("the input has data type {}; accepted: {}", type.elem_type(), expected));
  Value value;
  for (const auto& dim : type.shape().dim()) {
    const bool batch = value.dims.empty();
    value.dims.push_back(dim.has_dim_value() ? dim.dim_value() : batch ? 1 : 0);
    if (batch && value.dims[0] < 1) value.dims[0] = 1;
  }
  const Labels labels = input_labels(input.name(), value.dims.size());
  const auto shape = labelled_shape(value.dims, labels);
  if (!shape)
    refuse(
        fmt::format("the input is {} (0: unknown); accepted: a batch of 1 or of symbolic size, then known "
                    "extents from 1 to {}; try to export with a fixed input size",
                    dims_text(value.dims), kMostExtent));
  value.order = order_of(labels);
  append("input", Input{*shape}, {});
  values_[input.name()] = value;
}

void Importer::add(const NodeReader& source) {
  const auto found = methods().find(source.type());
  if (found != methods().end()) {
    (this->*found->second)(source);
    return;
  }
  std::string names;
  for (const auto& [name, method] : methods())
    if (quantized_ || !name.ends_with("antizeLinear")) names += (names.empty() ? "" : ", ") + name;
  source.refuse(fmt::format("is not supported; supported: {}", names));
}

// Drops what peepholes made needless, so that every node is read.
void Importer::finish() {
  const std::string& name = model_.graph().output(0).name();
  const auto output = values_.find(name);
  if (output == values_.end() || graph_.size() < 2)
    refuse(fmt::format("the output '{}' is computed by no node", printable(name)));
  const NodeReader last(model_.graph().node(model_.graph().node_size() - 1),
                        static_cast<std::size_t>(model_.graph().node_size() - 1), name_, 0);
  const NodeId end = as(last, output->second, labels_for(last, {output->second}));
  std::vector<bool> read(graph_.nodes.size(), false);
  read[static_cast<std::size_t>(end)] = read[0] = true;
  std::vector<NodeId> moved(graph_.nodes.size());
  for (std::size_t i = graph_.nodes.size(); i-- > 0;)
    for (const NodeId from : graph_.nodes[i].inputs)
      if (read[i]) read[static_cast<std::size_t>(from)] = true;
  std::size_t next = 0;
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
    if (!read[i]) continue;
    moved[i] = static_cast<NodeId>(next);
    for (NodeId& from : graph_.nodes[i].inputs) from = moved[static_cast<std::size_t>(from)];
    if (next != i) {
      graph_.nodes[next] = std::move(graph_.nodes[i]);
      weights_.nodes[next] = std::move(weights_.nodes[i]);
      quantization_[next] = std::move(quantization_[i]);
    }
    ++next;
  }
  graph_.nodes.resize(next);
  weights_.nodes.resize(next);
  quantization_.resize(next);
}

std::string Importer::unique(const std::string& name) {
  std::string candidate = name;
  for (int i = 2; !names_.insert(candidate).second; ++i) candidate = fmt::format("{}_{}", name, i);
  return candidate;
}

const Constant* Importer::constant(const std::string& name) {
  if (const auto found = constants_.find(name); found != constants_.end()) return &found->second;
  const auto tensor = initializers_.find(name);
  if (name.empty() || tensor == initializers_.end()) return nullptr;
  const std::string where = fmt::format("{}: tensor '{}'", name_, printable(name));
  return &constants_.emplace(name, read_tensor(*tensor->second, where)).first->second;
}

const Constant& Importer::required_constant(const NodeReader& source, std::size_t input,
                                            std::string_view what) {
  const Constant* found = source.has_input(input) ? constant(source.input(input)) : nullptr;
  if (found == nullptr || !found->is_float)
    source.refuse(fmt::format("its {} is not a float32 constant; supported: constants", what));
  return *found;
}

Dims Importer::required_integers(const NodeReader& source, std::size_t input, std::string_view what) {
  const Constant* found = source.has_input(input) ? constant(source.input(input)) : nullptr;
  if (found == nullptr || found->is_float || found->dims.size() > 1)
    source.refuse(
        fmt::format("its {} is not a constant list of integers; supported: constants; try to "
                    "simplify the model with fixed shapes",
                    what));
  return found->integers;
}

Dims Importer::integers_of(const NodeReader& source, std::string_view attribute, std::size_t input) {
  if (source.has_input(input)) return required_integers(source, input, attribute);
  return source.integers(attribute);
}

float Importer::scalar(const NodeReader& source, std::size_t input, float otherwise) {
  if (!source.has_input(input)) return otherwise;
  const Constant& found = required_constant(source, input, "operand");
  if (found.floats.size() != 1) source.refuse("found an operand of several numbers; accepted: one number");
  return found.floats[0];
}

void Importer::define(const NodeReader& source, Constant value) {
  if (values_.contains(source.output()) || !constants_.emplace(source.output(), std::move(value)).second)
    source.refuse("its output is computed twice; accepted: once");
}

void Importer::define(const NodeReader& source, Value value) {
  if (constant(source.output()) != nullptr || !values_.emplace(source.output(), std::move(value)).second)
    source.refuse("its output is computed twice; accepted: once");
}

void Importer::define(const NodeReader& source, NodeId node, const Labels& labels) {
  Value value{node, order_of(labels), {1}};
  for (const Axis axis : labels) value.dims.push_back(extent(shape(node), axis));
  define(source, std::move(value));
}

const Value& Importer::read(const NodeReader& source, std::size_t input) {
  const std::string name = source.has_input(input) ? source.input(input) : "";
  const auto found = values_.find(name);
  if (found != values_.end()) return found->second;
  source.refuse(fmt::format("input {} ('{}') is {}; accepted: the model's input or what nodes before compute",
                            input, printable(name),
                            constant(name) != nullptr ? "constant" : "computed by no node before"));
}

NodeId Importer::append(const std::string& name, const Op& op, std::vector<NodeId> inputs) {
  std::vector<Shape> shapes;
  shapes.reserve(inputs.size());
  for (const NodeId id : inputs) shapes.push_back(shape(id));
  const Shape result = infer_shape(op, shapes, fmt::format("{}: {}", name_, name));
  graph_.nodes.push_back({op, std::move(inputs), result, unique(name)});
  weights_.nodes.emplace_back();
  quantization_.emplace_back();
  return graph_.size() - 1;
}

bool Importer::is_read(NodeId id) const {
  return std::any_of(graph_.nodes.begin(), graph_.nodes.end(), [&](const Node& node) {
    return std::find(node.inputs.begin(), node.inputs.end(), id) != node.inputs.end();
  });
}

Importer::Fit Importer::fit(const Value& value, const Labels& labels) const {
  const auto wanted = labelled_shape(value.dims, labels);
  const Shape there = shape(value.node);
  if (!wanted || wanted->elements() != there.elements()) return Fit::no;
  const auto order = order_of(labels);
  if (*wanted == there && same_order(there, value.order, order)) return Fit::exact;
  return is_natural(there, value.order) && is_natural(*wanted, order) ? Fit::reshaped : Fit::no;
}

// The input takes the shape in which it is first read; what is computed gets a reshape behind it.
NodeId Importer::as(const NodeReader& source, const Value& value, const Labels& labels) {
  const Fit found = fit(value, labels);
  if (found == Fit::no) refuse_order(source, value);
  if (found == Fit::exact) return value.node;
  const Shape wanted = *labelled_shape(value.dims, labels);
  if (quantized_ || value.node != 0 || is_read(0))
    return append(reshape_name(source.node_name()), Reshape{wanted}, {value.node});
  graph_.nodes[0].shape = wanted;
  graph_.nodes[0].op = Input{wanted};
  for (auto& [name, other] : values_)
    if (other.node == 0) other.order = kNodeOrder;
  return 0;
}

Labels Importer::labels_for(const NodeReader& source, const std::vector<Value>& values) {
  for (const Fit least : {Fit::exact, Fit::reshaped}) {
    for (const Labels& labels : possible_labels(values[0].dims.size())) {
      if (std::all_of(values.begin(), values.end(),
                      [&](const Value& value) { return fit(value, labels) >= least; }))
        return labels;
    }
  }
  refuse_order(source, values[0]);
}

Labels Importer::labels_with(const NodeReader& source, const Value& value, std::size_t dim, Axis axis) {
  for (const Fit least : {Fit::exact, Fit::reshaped}) {
    for (const Labels& labels : possible_labels(value.dims.size()))
      if (dim >= 1 && labels[dim - 1] == axis && fit(value, labels) >= least) return labels;
  }
  refuse_order(source, value);
}

void Importer::refuse_order(const NodeReader& source, const Value& value) const {
  source.refuse(fmt::format(
      "reads a tensor of shape {} that is our {} in another order; supported: NCHW, NHWC behind a "
      "Transpose, and flattened ones before Gemm and MatMul",
      dims_text(value.dims), to_string(shape(value.node))));
}

}  // namespace mcufit::onnx_file

namespace mcufit {

std::vector<std::string> onnx_operators() {
  std::vector<std::string> names;
  for (const auto& [name, method] : onnx_file::Importer::methods()) names.push_back(name);
  return names;
}

FloatModel import_onnx(std::string_view content, std::string_view name) {
  const auto model = onnx_file::parse_model(content, name);
  FloatModel result = onnx_file::Importer(model, name, false).run();
  verify(result.graph);
  verify(result.weights, result.graph);
  return result;
}

}  // namespace mcufit
