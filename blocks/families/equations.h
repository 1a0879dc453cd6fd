// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "blocks/footprint.h"
#include "blocks/graph.h"

namespace mcufit {

// The nearest multiple of `divisor` to `value`, at least one divisor, moved up where that would lose more
// than 10 % (MobileNet's channel rounding); the identity for divisor 1.
inline std::int32_t make_divisible(std::int32_t value, std::int32_t divisor) {
  const std::int32_t nearest = std::max(divisor, (value + divisor / 2) / divisor * divisor);
  return 10 * nearest < 9 * value ? nearest + divisor : nearest;
}

// Whether a max-pool of 2x2 leaves something to look at.
inline bool can_halve(Shape shape) { return shape.height >= 2 && shape.width >= 2; }

// TensorFlow's SAME: as many outputs as input / stride, rounded up; an odd row or column of padding goes to
// the end.
inline Window same_window(Shape input, std::int32_t kernel_height, std::int32_t kernel_width,
                          std::int32_t stride) {
  const auto missing = [&](std::int32_t extent, std::int32_t kernel) {
    return std::max(((extent + stride - 1) / stride - 1) * stride + kernel - extent, 0);
  };
  const std::int32_t rows = missing(input.height, kernel_height);
  const std::int32_t columns = missing(input.width, kernel_width);
  return {.kernel_height = kernel_height,
          .kernel_width = kernel_width,
          .stride_height = stride,
          .stride_width = stride,
          .padding = {rows / 2, rows - rows / 2, columns / 2, columns - columns / 2}};
}
inline Window same_window(Shape input, std::int32_t kernel, std::int32_t stride) {
  return same_window(input, kernel, kernel, stride);
}

// Sums a family's closed-form equations layer by layer, without a graph: params with batch-norm behind every
// convolution, MACs, and the activation peak. Follows one tensor; `skip` bytes are live beside it.
class Equations {
 public:
  explicit Equations(Shape input) : shape_(input) {}

  const Shape& shape() const { return shape_; }
  void hold_skip(std::int64_t bytes) { skip_ = bytes; }

  // A convolution with `groups_of` input channels per output channel: all of them, or 1 for a depthwise one.
  void conv(const Window& window, std::int32_t output_channels, bool norm = true) {
    slide(window, output_channels, shape_.channels, norm);
  }
  void pointwise(std::int32_t output_channels, bool norm = true) {
    conv(square_window(1, 1, 0), output_channels, norm);
  }
  void depthwise(const Window& window, bool norm = true) { slide(window, shape_.channels, 1, norm); }

  // A fully-connected layer over everything; with batch-norm or else a bias.
  void dense(std::int32_t outputs, bool norm) {
    const std::int64_t weights = shape_.elements() * outputs;
    sum_.params += weights + (norm ? 2 : 1) * std::int64_t{outputs};
    sum_.macs += weights;
    store(weights, outputs);
    live(shape_.elements() + outputs);
    shape_ = {1, 1, outputs};
  }

  // Pooling without weights.
  void pool(const Window& w) {
    const Shape out = slid(w, shape_.channels);
    live(shape_.elements() + out.elements());
    shape_ = out;
  }

  // Goes on from another tensor than the last, whose bytes are among the held ones.
  void continue_from(Shape shape) { shape_ = shape; }

  // Global average, squeeze to `squeezed` channels, back, and scaling in place; no biases.
  void squeeze_excite(std::int32_t squeezed) {
    const std::int64_t weights = std::int64_t{2} * shape_.channels * squeezed;
    sum_.params += weights;
    sum_.macs += weights;
    store(weights, std::int64_t{shape_.channels} + squeezed);
    live(shape_.elements() + shape_.channels + squeezed);
  }

  // Global average pool and a fully-connected layer with bias.
  void classifier(std::int32_t classes) {
    live(shape_.elements() + shape_.channels);
    live(std::int64_t{shape_.channels} + classes);
    sum_.params += (std::int64_t{shape_.channels} + 1) * classes;
    sum_.macs += std::int64_t{shape_.channels} * classes;
    store(std::int64_t{shape_.channels} * classes, classes);
    shape_ = {1, 1, classes};
  }

  Footprint footprint() const { return sum_; }

 private:
  static std::int32_t extent(std::int32_t input, std::int32_t kernel, std::int32_t stride,
                             std::int32_t padding) {
    return (input + padding - kernel) / stride + 1;
  }

  Shape slid(const Window& w, std::int32_t output_channels) const {
    return {extent(shape_.height, w.kernel_height, w.stride_height, w.padding.top + w.padding.bottom),
            extent(shape_.width, w.kernel_width, w.stride_width, w.padding.left + w.padding.right),
            output_channels};
  }

  void slide(const Window& w, std::int32_t output_channels, std::int32_t inputs_per_output, bool norm) {
    const Shape out = slid(w, output_channels);
    const std::int64_t filter =
        std::int64_t{w.kernel_height} * w.kernel_width * inputs_per_output * output_channels;
    sum_.params += filter + (norm ? 2 * std::int64_t{output_channels} : 0);
    sum_.macs += filter * out.pixels();
    store(filter, output_channels);
    live(shape_.elements() + out.elements());
    shape_ = out;
  }

  void store(std::int64_t elements, std::int64_t channels) {
    sum_.filter_elements += elements;
    sum_.filter_channels += channels;
  }

  void live(std::int64_t bytes) {
    sum_.peak_activation_bytes = std::max(sum_.peak_activation_bytes, bytes + skip_);
  }

  Shape shape_;
  std::int64_t skip_ = 0;
  Footprint sum_;
};

}  // namespace mcufit
