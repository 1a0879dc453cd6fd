// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exporters/onnx/model_proto.h"

namespace mcufit::onnx_file {

// One node of a file: its operands and attributes, each checked. Every function throws Error(input) naming
// model, node and operator where the file says something that is not accepted.
class NodeReader {
 public:
  NodeReader(const proto::NodeProto& node, std::size_t index, std::string_view model,
             std::int64_t operator_set)
      : node_(node), index_(index), model_(model), operator_set_(operator_set) {}

  const std::string& type() const { return node_.op_type(); }
  std::int64_t operator_set() const { return operator_set_; }
  std::string node_name() const;  // the file's, or "conv_2"

  [[noreturn]] void refuse(const std::string& message) const;

  // Refuses operators of other sets than the standard one, other numbers of operands and attributes that are
  // not in the list: what we do not know may change what the node computes.
  void check(std::size_t least_inputs, std::size_t most_inputs,
             std::initializer_list<std::string_view> attributes) const;

  bool has_input(std::size_t i) const;
  const std::string& input(std::size_t i) const;  // its name; "" where it is left out
  std::size_t inputs() const { return static_cast<std::size_t>(node_.input_size()); }
  const std::string& output() const { return node_.output(0); }

  bool has(std::string_view attribute) const { return find(attribute) != nullptr; }
  std::int64_t integer(std::string_view attribute, std::int64_t otherwise) const;
  float number(std::string_view attribute, float otherwise) const;
  std::string text(std::string_view attribute, const std::string& otherwise) const;
  // Empty where the attribute is absent.
  Dims integers(std::string_view attribute) const;
  std::vector<float> numbers(std::string_view attribute) const;
  const proto::TensorProto& tensor(std::string_view attribute) const;

 private:
  const proto::AttributeProto* find(std::string_view attribute) const;
  const proto::AttributeProto* find(std::string_view attribute,
                                    proto::AttributeProto::AttributeType type) const;

  const proto::NodeProto& node_;
  std::size_t index_;
  std::string_view model_;
  std::int64_t operator_set_;
};

}  // namespace mcufit::onnx_file
