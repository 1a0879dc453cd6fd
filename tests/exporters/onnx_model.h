// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mcufit::testing {

// Writes an ONNX model node by node with ONNX's own protobuf API. The input is named "x".
class OnnxModel {
 public:
  using Dims = std::vector<std::int64_t>;

  explicit OnnxModel(const Dims& input, std::int64_t operator_set = 13);

  std::string floats(const std::string& name, const Dims& dims, const std::vector<float>& values);
  std::string integers(const std::string& name, const std::vector<std::int64_t>& values);

  // A node with one output, which is returned.
  std::string node(const std::string& type, const std::vector<std::string>& inputs);

  // Attributes of the last node.
  OnnxModel& set(const std::string& name, std::int64_t value);
  OnnxModel& set(const std::string& name, float value);
  OnnxModel& set(const std::string& name, const char* value);
  OnnxModel& set(const std::string& name, const Dims& values);

  std::string bytes(const std::string& output);  // the file
  ::onnx::ModelProto& proto() { return model_; }

 private:
  ::onnx::AttributeProto& attribute(const std::string& name);
  ::onnx::ModelProto model_;
  int outputs_ = 0;
};

// Values -1 to 1 in a fixed pattern without symmetries; another one per `salt`.
std::vector<float> pattern(std::size_t count, int salt = 0);

// A network with most operators: 1x2x5x6 in, 1x3 out; with or without a hard_swish.
std::string small_onnx_model(bool hard_swish = true);

}  // namespace mcufit::testing
