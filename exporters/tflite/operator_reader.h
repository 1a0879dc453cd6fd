// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "blocks/quantized_graph.h"
#include "exporters/tflite/model_file.h"

namespace mcufit::tflite {

// How a convolution or pooling slides, as the file says it.
struct Sliding {
  schema::Padding padding;
  std::int32_t kernel_height, kernel_width, stride_height, stride_width;
  std::int32_t dilation_height = 1, dilation_width = 1;
};

// TensorFlow's SAME padding.
Padding same_padding(const Window& window, const Shape& in);

// The format's name of a fused activation; verify() lets no other be fused than those that have one.
schema::ActivationFunctionType fused_word(Activation activation);

std::string extents_text(const Tensor& tensor);  // "1x5x6x2"

// One operator of a file: its operands as a graph has them, each checked. Every function throws Error(input)
// naming model and operator where the file says something that is not supported.
class OperatorReader {
 public:
  OperatorReader(const ModelFile& file, std::string_view model, std::size_t index)
      : file_(file), model_(model), index_(index) {}

  const Operator& op() const { return file_.operators[index_]; }
  std::string node_name() const;  // "conv_2d_0", or the output's name in files that we wrote
  const Tensor& output() const { return file_.tensor(op().output); }

  [[noreturn]] void refuse(const std::string& message) const;

  void check_operands(std::size_t least, std::size_t most) const;
  std::int32_t input(std::size_t i) const;  // a tensor's index

  // The operator's options, which must be of its own kind.
  template <typename Options>
  const Options& options() const {
    const auto* options = op().table->builtin_options_as<Options>();
    if (options == nullptr) refuse("has no options of its kind; try to convert the model again");
    return *options;
  }

  Activation activation(schema::ActivationFunctionType type) const;
  Shape shape_of(const Tensor& tensor) const;

  // Of a tensor that is computed: one scale and zero point.
  Quantization quantization_of(const Tensor& tensor) const;

  const Tensor& filter(std::size_t rank) const;

  // The values of a constant int32 or int64 input.
  std::vector<std::int64_t> integers(std::size_t input) const;

  // The axis of 1xHxWxC, 1xWxC or 1xC that dimension `axis` of input 0 is; negative ones count from the end.
  Axis axis(std::int64_t axis) const;

  // Filter scales into `node`, one per output channel; where the file has several they are along `dimension`.
  void read_scales(const Tensor& filter, std::int32_t channels, std::int32_t dimension,
                   QuantizedNode& node) const;

  // Biases into `node`, whose output and filter scales are set; zeros where they are left out, none in files
  // of ours.
  void read_bias(Quantization input, std::int32_t channels, QuantizedNode& node) const;

  Window window(const Sliding& s, const Shape& in) const;

 private:
  const ModelFile& file_;
  std::string_view model_;
  std::size_t index_;
};

}  // namespace mcufit::tflite
