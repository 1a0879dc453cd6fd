// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "blocks/quantized_graph.h"
#include "exporters/float_model.h"
#include "exporters/onnx/node_reader.h"
#include "exporters/onnx/value.h"

namespace mcufit::onnx_file {

// What a file says about quantization, parallel to the nodes of its graph; `quantized` where a node's output
// went through a QuantizeLinear.
struct FileQuantization {
  QuantizedNode node;
  bool quantized = false;
};

// Builds a graph node by node from a file's nodes. With `quantized`, QuantizeLinear and DequantizeLinear are
// read too, and what they say is kept beside the graph.
class Importer {
 public:
  using Method = void (Importer::*)(const NodeReader&);
  static const std::map<std::string, Method, std::less<>>& methods();  // by operator

  Importer(const proto::ModelProto& model, std::string_view name, bool quantized);

  FloatModel run();
  const std::vector<FileQuantization>& quantization() const { return quantization_; }  // after run()

 private:
  // importer.cpp: names, constants and values
  [[noreturn]] void refuse(const std::string& message) const;
  void find_needed();
  void add_input(const proto::ValueInfoProto& input);
  Labels input_labels(const std::string& name, std::size_t rank) const;
  void add(const NodeReader& source);
  void finish();
  std::string unique(const std::string& name);
  const Constant* constant(const std::string& name);  // null where it is computed
  const Constant& required_constant(const NodeReader& source, std::size_t input, std::string_view what);
  Dims required_integers(const NodeReader& source, std::size_t input, std::string_view what);
  Dims integers_of(const NodeReader& source, std::string_view attribute, std::size_t input);
  float scalar(const NodeReader& source, std::size_t input, float otherwise);
  void define(const NodeReader& source, Constant value);
  void define(const NodeReader& source, Value value);
  void define(const NodeReader& source, NodeId node, const Labels& labels);
  const Value& read(const NodeReader& source, std::size_t input);
  NodeId append(const std::string& name, const Op& op, std::vector<NodeId> inputs);
  Shape shape(NodeId id) const { return graph_.node(id).shape; }
  bool is_read(NodeId id) const;

  // importer.cpp: tensors as a node has them
  enum class Fit { no, reshaped, exact };
  Fit fit(const Value& value, const Labels& labels) const;
  NodeId as(const NodeReader& source, const Value& value, const Labels& labels);
  Labels labels_for(const NodeReader& source, const std::vector<Value>& values);
  Labels labels_with(const NodeReader& source, const Value& value, std::size_t dim, Axis axis);
  [[noreturn]] void refuse_order(const NodeReader& source, const Value& value) const;

  // import_layers.cpp: what has weights
  void conv(const NodeReader& source);
  void gemm(const NodeReader& source);
  void matmul(const NodeReader& source);
  void batch_normalization(const NodeReader& source);
  void dense(const NodeReader& source, Constant filter, bool transposed, const Constant* bias);
  Window window(const NodeReader& source, const Dims& kernel, Shape in);
  NodeId layer(const NodeReader& source, const Op& op, NodeId from, const Constant& filter,
               const std::vector<std::size_t>& places, const Constant* bias);
  void set_bias(const NodeReader& source, NodeId id, const Constant& bias);
  bool becomes_bias(const NodeReader& source, std::size_t value, const Constant& bias);
  void affine(const NodeReader& source, std::size_t value, const Constant& by, Method kind);
  void count_weights(const NodeReader& source, std::size_t values);

  // import_elementwise.cpp
  void activation(const NodeReader& source);
  void clip(const NodeReader& source);
  void hard_sigmoid(const NodeReader& source);
  void add_sum(const NodeReader& source);
  void multiply(const NodeReader& source);
  void subtract(const NodeReader& source);
  void divide(const NodeReader& source);
  void softmax(const NodeReader& source);
  void unary(const NodeReader& source, const Op& op);
  bool is_hard_swish(const NodeReader& source, const Value& a, const Value& b);
  std::pair<Labels, std::vector<float>> per_channel(const NodeReader& source, const Value& value,
                                                    const Constant& by);

  // import_spatial.cpp
  Window pool_window(const NodeReader& source, Shape in);
  void average_pool(const NodeReader& source);
  void max_pool(const NodeReader& source);
  void global_average_pool(const NodeReader& source);
  void reduce_mean(const NodeReader& source);
  void concat(const NodeReader& source);
  void pad(const NodeReader& source);
  void resize(const NodeReader& source);
  void upsample(const NodeReader& source);
  void resize_to(const NodeReader& source, const Dims& sizes, const std::vector<float>& scales,
                 const std::string& mode, const std::string& nearest);

  // import_shape.cpp: what moves no element, or only Transpose
  void constant_node(const NodeReader& source);
  void identity(const NodeReader& source);
  void reshape(const NodeReader& source);
  void flatten(const NodeReader& source);
  void squeeze(const NodeReader& source);
  void unsqueeze(const NodeReader& source);
  void transpose(const NodeReader& source);
  void give_dims(const NodeReader& source, const Dims& dims);
  Dims dims_of(const NodeReader& source, std::size_t input);

  // import_quantized.cpp
  void quantize_linear(const NodeReader& source);
  void dequantize_linear(const NodeReader& source);
  Quantization quantization_of(const NodeReader& source);
  void note_quantization(const NodeReader& source, NodeId id, Quantization q);

  const proto::ModelProto& model_;
  std::string name_;
  bool quantized_;
  Graph graph_;
  Weights weights_;
  std::vector<FileQuantization> quantization_;
  std::set<std::string> names_;  // of nodes
  std::map<std::string, const proto::TensorProto*> initializers_;
  std::map<std::string, Constant> constants_;
  std::map<std::string, Value> values_;
  std::map<std::string, int> uses_;  // of a tensor by needed nodes and as the output
  std::vector<bool> needed_;         // nodes of the file that lead to the output
  std::size_t weight_count_ = 0;
};

// A 64-bit axis as an index below `rank`; negative ones count from the end.
std::size_t axis_index(const NodeReader& source, std::int64_t axis, std::size_t rank);

// As an extent, stride or padding.
std::int32_t small(const NodeReader& source, std::int64_t value, std::string_view what);

// {channels, height, width} as far as a tensor of `rank` has them; refuses other ranks than 2 to 4.
Labels channels_first(const NodeReader& source, std::size_t rank);

}  // namespace mcufit::onnx_file
