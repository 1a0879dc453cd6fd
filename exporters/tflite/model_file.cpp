// SPDX-License-Identifier: Apache-2.0
#include "exporters/tflite/model_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "blocks/foundation/error.h"

namespace mcufit::tflite {
namespace {

// The tables are read where they lie.
static_assert(std::endian::native == std::endian::little);

constexpr std::uint32_t kFormatVersion = 3;
constexpr std::size_t kMostTensors = 65536;
constexpr std::size_t kMostOperators = 4096;
constexpr std::size_t kMostOperands = 64;
constexpr std::size_t kMostRank = 8;
constexpr std::int64_t kMostElements = std::int64_t{1} << 30;
constexpr std::size_t kMostNameLength = 80;

// Bytes of an element; 0 for types that we know nothing of.
std::size_t width_of(schema::TensorType type) {
  switch (type) {
    case schema::TensorType::INT8:
    case schema::TensorType::UINT8:
      return 1;
    case schema::TensorType::FLOAT16:
    case schema::TensorType::INT16:
      return 2;
    case schema::TensorType::FLOAT32:
    case schema::TensorType::INT32:
      return 4;
    case schema::TensorType::INT64:
      return 8;
  }
  return 0;
}

std::string printable(const flatbuffers::String* text) {
  std::string clean = text == nullptr ? "" : text->str().substr(0, kMostNameLength);
  std::replace_if(
      clean.begin(), clean.end(), [](char c) { return c < ' ' || c > '~' || c == '\''; }, '?');
  return clean;
}

template <typename T>
std::size_t size_of(const flatbuffers::Vector<T>* vector) {
  return vector == nullptr ? 0 : vector->size();
}

template <typename T>
std::span<const T> span_of(const flatbuffers::Vector<T>* vector) {
  if (size_of(vector) == 0) return {};
  return {vector->data(), vector->size()};
}

class Reader {
 public:
  explicit Reader(std::string_view name) : name_(name) {}

  ModelFile read(std::string_view content) const {
    ModelFile file;
    file.storage.assign(content.begin(), content.end());  // aligned as the tables need it
    const schema::Model& model = verified(file.storage);
    check_count("subgraphs", size_of(model.subgraphs()), 1, 1);
    const schema::SubGraph& graph = *model.subgraphs()->Get(0);
    check_count("tensors", size_of(graph.tensors()), 1, kMostTensors);
    check_count("operators", size_of(graph.operators()), 1, kMostOperators);
    check_count("inputs", size_of(graph.inputs()), 1, 1);
    check_count("outputs", size_of(graph.outputs()), 1, 1);
    for (const schema::Tensor* tensor : *graph.tensors()) file.tensors.push_back(read_tensor(model, *tensor));
    for (const schema::Operator* op : *graph.operators())
      file.operators.push_back(read_operator(model, *op, file.tensors.size()));
    file.input = index("the input", graph.inputs()->Get(0), file.tensors.size());
    file.output = index("the output", graph.outputs()->Get(0), file.tensors.size());
    file.is_ours = has_our_metadata(model);
    file.name = printable(graph.name());
    return file;
  }

 private:
  [[noreturn]] void refuse(const std::string& message) const {
    throw Error(ExitCode::input, fmt::format("{}: {}", name_, message));
  }

  const schema::Model& verified(const std::vector<std::uint8_t>& storage) const {
    constexpr const char* kAccepted = "accepted: a TensorFlow Lite model (file identifier TFL3, version 3)";
    flatbuffers::Verifier verifier(storage.data(), storage.size());
    if (!schema::VerifyModelBuffer(verifier)) {
      refuse(
          fmt::format("found {} bytes that are damaged or no model; {}; try to download or convert it again",
                      storage.size(), kAccepted));
    }
    const schema::Model& model = *schema::GetModel(storage.data());
    if (model.version() != kFormatVersion)
      refuse(fmt::format("found version {}; {}", model.version(), kAccepted));
    return model;
  }

  void check_count(std::string_view what, std::size_t found, std::size_t least, std::size_t most) const {
    if (found >= least && found <= most) return;
    refuse(fmt::format("found {} {}; accepted: {} to {}; try a network with one input and one output", found,
                       what, least, most));
  }

  static bool has_our_metadata(const schema::Model& model) {
    if (model.metadata() == nullptr) return false;
    return std::any_of(model.metadata()->begin(), model.metadata()->end(), [](const schema::Metadata* entry) {
      return entry->name() != nullptr && entry->name()->string_view() == kMetadataName;
    });
  }

  std::int32_t index(std::string_view what, std::int64_t found, std::size_t count) const {
    if (found < 0 || static_cast<std::uint64_t>(found) >= count)
      refuse(fmt::format("{} has the index {}; accepted: 0 to {}", what, found,
                         static_cast<std::int64_t>(count) - 1));
    return static_cast<std::int32_t>(found);
  }

  std::vector<std::int32_t> extents_of(const schema::Tensor& table, const std::string& tensor) const {
    check_count(tensor + "'s dimensions", size_of(table.shape()), 0, kMostRank);
    const auto shape = span_of(table.shape());
    std::int64_t elements = 1;
    for (const std::int32_t extent : shape) {
      if (extent < 1 || extent > kMostElements / elements)
        refuse(
            fmt::format("{} has an extent of {}; accepted: at least 1, with a product of at most {}; try "
                        "to convert the model with fixed shapes",
                        tensor, extent, kMostElements));
      elements *= extent;
    }
    return {shape.begin(), shape.end()};
  }

  Tensor read_tensor(const schema::Model& model, const schema::Tensor& table) const {
    Tensor tensor;
    tensor.name = printable(table.name());
    tensor.type = table.type();
    const std::string where = fmt::format("tensor '{}'", tensor.name);
    tensor.extents = extents_of(table, where);
    if (const schema::QuantizationParameters* q = table.quantization()) {
      tensor.scales = span_of(q->scale());
      tensor.zero_points = q->zero_point();
      tensor.quantized_dimension = q->quantized_dimension();
    }
    const auto buffer = index(where + "'s buffer", table.buffer(), size_of(model.buffers()));
    tensor.data = span_of(model.buffers()->Get(static_cast<flatbuffers::uoffset_t>(buffer))->data());
    check_data(tensor, where);
    return tensor;
  }

  void check_data(const Tensor& tensor, const std::string& where) const {
    const auto expected = tensor.elements() * static_cast<std::int64_t>(width_of(tensor.type));
    if (tensor.data.empty() || expected == 0 || std::cmp_equal(tensor.data.size(), expected)) return;
    refuse(fmt::format("{} has {} bytes of data; accepted: {}", where, tensor.data.size(), expected));
  }

  Operator read_operator(const schema::Model& model, const schema::Operator& table,
                         std::size_t tensors) const {
    Operator op;
    op.table = &table;
    const auto code_index =
        index("an operator's code", table.opcode_index(), size_of(model.operator_codes()));
    const schema::OperatorCode& code =
        *model.operator_codes()->Get(static_cast<flatbuffers::uoffset_t>(code_index));
    // Files of before 2020 have the code in a byte, later ones in both places as far as it fits.
    const int number = std::max<int>(code.deprecated_builtin_code(), static_cast<int>(code.builtin_code()));
    op.code = static_cast<schema::BuiltinOperator>(number);
    op.name = schema::EnumNameBuiltinOperator(op.code);
    if (op.name.empty()) op.name = fmt::format("builtin {}", number);
    if (op.code == schema::BuiltinOperator::CUSTOM)
      op.name = fmt::format("CUSTOM '{}'", printable(code.custom_code()));
    check_count(op.name + " inputs", size_of(table.inputs()), 0, kMostOperands);
    check_count(op.name + " outputs", size_of(table.outputs()), 0, kMostOperands);
    for (const std::int32_t input : span_of(table.inputs()))
      op.inputs.push_back(input == -1 ? -1 : index(op.name + "'s input", input, tensors));
    for (const std::int32_t output : span_of(table.outputs()))
      op.output = index(op.name + "'s output", output, tensors);
    op.outputs = size_of(table.outputs());
    return op;
  }

  std::string_view name_;
};

}  // namespace

std::int64_t Tensor::elements() const {
  std::int64_t product = 1;
  for (const std::int32_t extent : extents) product *= extent;
  return product;
}

// Byte by byte: the verifier lets 64-bit elements stand at any multiple of 4.
std::int64_t Tensor::zero_point(std::size_t i) const {
  std::int64_t value = 0;
  std::memcpy(&value, zero_points->Data() + i * sizeof(value), sizeof(value));
  return value;
}

ModelFile read_model_file(std::string_view content, std::string_view name) {
  return Reader(name).read(content);
}

}  // namespace mcufit::tflite
