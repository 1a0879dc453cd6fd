// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tflite_schema_generated.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace mcufit::testing {

namespace schema = tflite::schema;

// The parts of a .tflite file, to be written sound or with something wrong.
struct TfliteTensor {
  std::vector<std::int32_t> shape;
  schema::TensorType type = schema::TensorType::INT8;
  std::vector<float> scales;
  std::vector<std::int64_t> zero_points;
  std::int32_t dimension = 0;
  std::vector<std::uint8_t> data;
};

using Builder = flatbuffers::FlatBufferBuilder;

struct TfliteOperator {
  int code = 0;
  std::vector<std::int32_t> inputs, outputs;
  schema::BuiltinOptions kind = schema::BuiltinOptions::NONE;
  std::function<flatbuffers::Offset<void>(Builder&)> options;
};

struct TfliteModel {
  std::vector<TfliteTensor> tensors;
  std::vector<TfliteOperator> operators;
  std::vector<std::int32_t> inputs, outputs;
  std::uint32_t version = 3;
};

// The file's bytes; equal models give equal bytes.
std::string serialized(const TfliteModel& model);

TfliteTensor computed(std::vector<std::int32_t> shape, float scale, std::int64_t zero_point);

// A filter with some values of both signs, `channels` scales along `dimension`.
TfliteTensor filter(std::vector<std::int32_t> shape, std::size_t channels, std::int32_t dimension);

TfliteTensor bias(std::int32_t channels);

// Constant int32: paddings, axes, sizes.
TfliteTensor integers(std::vector<std::int32_t> shape, const std::vector<std::int32_t>& values);

template <typename Create>
std::function<flatbuffers::Offset<void>(Builder&)> written(Create create) {
  return [create](Builder& b) { return create(b).Union(); };
}

// input -> the operator -> output; the operator's other operands are constants.
struct OneOperator {
  int code = 0;
  TfliteTensor input, output;
  std::vector<TfliteTensor> constants = {};
  schema::BuiltinOptions kind = schema::BuiltinOptions::NONE;
  std::function<flatbuffers::Offset<void>(Builder&)> options = {};
};
TfliteModel one_operator_model(const OneOperator& one);

// A sound model with operators as most networks have them operator: 1x5x6x2 -> conv 3x3 to 4 channels, stride
// 2, SAME -> depthwise 3x3 SAME -> add -> max pool 2x2 -> average pool -> reshape -> fully connected to 3 ->
// softmax. Tensor i + 1 is the output of operator i; filters and biases follow.
TfliteModel small_tflite_model();

}  // namespace mcufit::testing
