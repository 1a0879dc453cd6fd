// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mcufit::onnx_file {

namespace proto = ::onnx;

using Dims = std::vector<std::int64_t>;

// A constant tensor. `dims` is empty for a scalar and may have extents of 0; either `floats` or `integers`
// has as many values as their product.
struct Constant {
  Dims dims;
  bool is_float = true;
  std::vector<float> floats;           // float32, finite
  std::vector<std::int64_t> integers;  // int64, int32, int8, uint8

  // Of a constant that a DequantizeLinear made: what it was made of. One scale for all where it is a scalar,
  // else one per index of dimension `axis`.
  std::vector<float> scales;
  bool one_scale = false;
  std::int64_t axis = 0;
};

std::string dims_text(const Dims& dims);  // "1x3x32x32"

// The number of elements. Extents must not be negative; the product is at most 2^28.
std::int64_t element_count(const Dims& dims);

// Parses with limits on depth and bytes. Throws Error(input) naming `name` when the content is no ONNX model
// or not of operator set 7 to 21.
proto::ModelProto parse_model(std::string_view content, std::string_view name);

// The version of the standard operator set.
std::int64_t operator_set(const proto::ModelProto& model);

// Throws Error(input) beginning with `where` when type, extents or the amount of data are not as described.
Constant read_tensor(const proto::TensorProto& tensor, const std::string& where);

// At most 80 printable characters of a name.
std::string printable(const std::string& text);

}  // namespace mcufit::onnx_file
