// SPDX-License-Identifier: Apache-2.0
#include "exporters/onnx/model_proto.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "blocks/foundation/error.h"

namespace mcufit::onnx_file {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

constexpr int kMostBytes = 256 << 20;
constexpr int kMostDepth = 32;  // of messages in messages; those of a model without subgraphs need 6
constexpr std::int64_t kLeastOperatorSet = 7;
constexpr std::int64_t kMostOperatorSet = 21;
constexpr std::int64_t kMostElements = std::int64_t{1} << 28;
constexpr std::size_t kMostNameLength = 80;

[[noreturn]] void refuse(std::string_view where, const std::string& message) {
  throw Error(ExitCode::input, fmt::format("{}: {}", where, message));
}

// Values of raw_data, or of the repeated field that the type has.
template <typename T, typename Field, typename Value>
void take(const proto::TensorProto& tensor, const Field& field, std::int64_t count, const std::string& where,
          std::vector<Value>& values) {
  const std::string& raw = tensor.raw_data();
  const bool fits = tensor.has_raw_data()
                        ? std::cmp_equal(raw.size(), count * static_cast<std::int64_t>(sizeof(T)))
                        : std::cmp_equal(field.size(), count);
  if (!fits)
    refuse(where, fmt::format("found {} bytes or {} values for {}; accepted: {} values", raw.size(),
                              field.size(), dims_text({tensor.dims().begin(), tensor.dims().end()}), count));
  values.reserve(static_cast<std::size_t>(count));
  if (!tensor.has_raw_data()) {
    for (const auto value : field) values.push_back(static_cast<Value>(value));
    return;
  }
  for (std::size_t i = 0; i < raw.size(); i += sizeof(T)) {
    T value;
    std::memcpy(&value, raw.data() + i, sizeof(T));
    values.push_back(static_cast<Value>(value));
  }
}

}  // namespace

std::string dims_text(const Dims& dims) {
  return dims.empty() ? "a scalar" : fmt::format("{}", fmt::join(dims, "x"));
}

std::int64_t element_count(const Dims& dims) {
  std::int64_t count = 1;
  for (const std::int64_t extent : dims) {
    if (extent < 0 || (extent > 0 && count > kMostElements / extent))
      throw Error(ExitCode::input,
                  fmt::format("found the shape {}; accepted: extents from 0 with a product of "
                              "at most {}",
                              dims_text(dims), kMostElements));
    count *= extent;
  }
  return count;
}

std::string printable(const std::string& text) {
  std::string clean = text.substr(0, kMostNameLength);
  std::replace_if(
      clean.begin(), clean.end(), [](char c) { return c < ' ' || c > '~' || c == '\''; }, '?');
  return clean;
}

std::int64_t operator_set(const proto::ModelProto& model) {
  for (const auto& set : model.opset_import())
    if (set.domain().empty() || set.domain() == "ai.onnx") return set.version();
  return 0;
}

proto::ModelProto parse_model(std::string_view content, std::string_view name) {
  if (std::cmp_greater(content.size(), kMostBytes))
    refuse(name, fmt::format("found {} bytes; accepted: up to {}", content.size(), kMostBytes));
  google::protobuf::io::ArrayInputStream bytes(content.data(), static_cast<int>(content.size()));
  google::protobuf::io::CodedInputStream coded(&bytes);
  coded.SetTotalBytesLimit(kMostBytes);
  coded.SetRecursionLimit(kMostDepth);
  proto::ModelProto model;
  const bool parsed = model.ParsePartialFromCodedStream(&coded) && coded.ConsumedEntireMessage();
  if (!parsed || !model.has_graph() || model.graph().node_size() == 0)
    refuse(name, fmt::format("found {} bytes that are damaged or no model; accepted: an ONNX model; try to "
                             "download or export it again",
                             content.size()));
  const std::int64_t version = operator_set(model);
  if (version < kLeastOperatorSet || version > kMostOperatorSet)
    refuse(name, fmt::format("found operator set {}; accepted: {} to {}; try to export it with opset 13",
                             version, kLeastOperatorSet, kMostOperatorSet));
  return model;
}

Constant read_tensor(const proto::TensorProto& tensor, const std::string& where) {
  if (tensor.data_location() == proto::TensorProto::EXTERNAL)
    refuse(where,
           "its data are in another file; accepted: one file; try to save the model without external "
           "data");
  Constant constant;
  constant.dims.assign(tensor.dims().begin(), tensor.dims().end());
  const std::int64_t count = element_count(constant.dims);
  constant.is_float = tensor.data_type() == proto::TensorProto::FLOAT;
  switch (tensor.data_type()) {
    case proto::TensorProto::FLOAT:
      take<float>(tensor, tensor.float_data(), count, where, constant.floats);
      break;
    case proto::TensorProto::INT64:
      take<std::int64_t>(tensor, tensor.int64_data(), count, where, constant.integers);
      break;
    case proto::TensorProto::INT32:
      take<std::int32_t>(tensor, tensor.int32_data(), count, where, constant.integers);
      break;
    case proto::TensorProto::INT8:
      take<std::int8_t>(tensor, tensor.int32_data(), count, where, constant.integers);
      break;
    case proto::TensorProto::UINT8:
      take<std::uint8_t>(tensor, tensor.int32_data(), count, where, constant.integers);
      break;
    default:
      refuse(where, fmt::format("found data type {}; supported: float32, and integers where shapes or "
                                "quantized values are meant",
                                tensor.data_type()));
  }
  for (const float value : constant.floats)
    if (!std::isfinite(value)) refuse(where, "found a NaN or infinity; accepted: finite numbers");
  return constant;
}

}  // namespace mcufit::onnx_file
