// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tflite_schema_generated.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mcufit::tflite {

// The metadata entry of files that we wrote.
inline constexpr std::string_view kMetadataName = "mcufit";

// In such files: behind a node's name, tensors that stand for no node. Padding that the node has of its own,
// and the 1x1xC of what TensorFlow Lite keeps as 1xC.
inline constexpr std::string_view kPaddingSuffix = "/padding";
inline constexpr std::string_view kUnflattenedSuffix = "/1x1";
// Of the filter of a convolution that stands for a fully_connected node.
inline constexpr std::string_view kLayerSuffix = "/layer";

struct Tensor {
  std::string name;  // printable
  schema::TensorType type = schema::TensorType::FLOAT32;
  std::vector<std::int32_t> extents;  // each at least 1, their product at most 2^30
  std::span<const float> scales;
  const flatbuffers::Vector<std::int64_t>* zero_points = nullptr;  // may be absent
  std::int32_t quantized_dimension = 0;
  std::span<const std::uint8_t> data;  // empty where the tensor is computed

  std::int64_t elements() const;
  std::size_t zero_point_count() const { return zero_points == nullptr ? 0 : zero_points->size(); }
  std::int64_t zero_point(std::size_t i) const;  // i below zero_point_count()
};

struct Operator {
  schema::BuiltinOperator code = schema::BuiltinOperator::CUSTOM;
  std::string name;                  // "CONV_2D"
  std::vector<std::int32_t> inputs;  // tensors; -1 where an optional one is left out
  std::size_t outputs = 0;           // how many
  std::int32_t output = 0;           // the last of them
  const schema::Operator* table = nullptr;
};

// The tables of a .tflite file, each index and length of them checked. Spans and tables lie in `storage`.
struct ModelFile {
  std::vector<std::uint8_t> storage;
  std::vector<Tensor> tensors;
  std::vector<Operator> operators;
  std::int32_t input = 0, output = 0;
  std::string name;      // the subgraph's, printable
  bool is_ours = false;  // written by export_tflite(), so that tensor names are node names

  const Tensor& tensor(std::int32_t index) const { return tensors[static_cast<std::size_t>(index)]; }
};

// Throws Error(input) naming `name` when the content is no TensorFlow Lite model of one subgraph with one
// input and one output, or an index, extent or length in it is wrong.
ModelFile read_model_file(std::string_view content, std::string_view name);

}  // namespace mcufit::tflite
