// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "blocks/quantized_graph.h"
#include "exporters/tflite/import.h"
#include "exporters/tflite/model_file.h"
#include "exporters/tflite/operator_reader.h"

namespace mcufit::tflite {

// Builds the graph of an int8 file, operator by operator; import.cpp has the frame and the table of
// operators, import_*.cpp what each of them becomes.
class Importer {
 public:
  Importer(const ModelFile& file, std::string_view name) : file_(file), name_(name) {}

  TfliteModel run();

  // One operator of the format: what it becomes, under which conditions, and who reads it.
  struct Entry {
    schema::BuiltinOperator code;
    std::string_view op, limits;
    void (Importer::*read)(const OperatorReader&);
  };
  static std::span<const Entry> entries();

 private:
  void add_conv2d(const OperatorReader& source);
  void add_depthwise(const OperatorReader& source);
  void add_fully_connected(const OperatorReader& source);
  void add_average_pool(const OperatorReader& source);
  void add_max_pool(const OperatorReader& source);
  void add_sum(const OperatorReader& source);
  void add_product(const OperatorReader& source);
  void add_relu(const OperatorReader& source);
  void add_relu6(const OperatorReader& source);
  void add_logistic(const OperatorReader& source);
  void add_hard_swish(const OperatorReader& source);
  void add_quantize(const OperatorReader& source);
  void add_dequantize(const OperatorReader& source);
  void add_softmax(const OperatorReader& source);
  void add_mean(const OperatorReader& source);
  void add_concatenation(const OperatorReader& source);
  void add_pad(const OperatorReader& source);
  void add_reshape(const OperatorReader& source);
  void add_transpose(const OperatorReader& source);
  void add_resize(const OperatorReader& source);

  template <typename Pool>
  void add_pool(const OperatorReader& source);
  void add_activate(const OperatorReader& source, Activation activation);

  void add_input();
  void check_use() const;
  [[noreturn]] void refuse(const std::string& message) const;

  // The node that computes an input.
  NodeId read(const OperatorReader& source, std::size_t input) const;
  const Shape& shape(NodeId id) const { return graph_.graph.node(id).shape; }

  // A node of the operator; its shape must be what the file says. An operator that is dropping dimensions may
  // say another with as many elements, which a reshape behind it then gives.
  void append(const OperatorReader& source, const Op& op, std::vector<NodeId> inputs, QuantizedNode quantized,
              bool dropping = false);
  // The operator's output is what a node holds already.
  void define(const OperatorReader& source, NodeId node);

  QuantizedNode unweighted(const OperatorReader& source) const;
  // Everything that a convolution or fully-connected layer has besides its shape.
  QuantizedNode weighted(const OperatorReader& source, const Tensor& filter, NodeId input,
                         std::int32_t channels, std::int32_t dimension);
  std::vector<std::int8_t> take_filter(const OperatorReader& source, const Tensor& filter);

  // In files that we wrote, explicit padding stands in front of the op as a pad of its own: takes it away
  // again and returns the input and the padding. `border` is the value that the op's own padding reads.
  struct Padded {
    NodeId input;
    Padding padding;
  };
  Padded absorb_padding(const OperatorReader& source, std::int32_t border);

  const ModelFile& file_;
  std::string name_;
  TfliteModel model_;
  QuantizedGraph& graph_ = model_.graph;
  std::map<std::int32_t, NodeId> nodes_;  // by tensor
  std::int32_t input_ = 0, output_ = 0;   // the int8 tensors at the model's ends
  std::size_t filter_bytes_ = 0;
};

}  // namespace mcufit::tflite
