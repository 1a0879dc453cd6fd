// SPDX-License-Identifier: Apache-2.0
#include "exporters/fast_steps.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "exporters/fast_loops.h"
#include "exporters/interpreter.h"
#include "exporters/lookup.h"
#include "exporters/runtime/mcufit_rounding.h"

namespace mcufit {
namespace {

using Tensor = std::vector<std::int8_t>;

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

std::size_t rounded_up(std::size_t n, std::size_t step) { return (n + step - 1) / step * step; }

// The multipliers, shifts and clamp of a node with filters; fills up to whole steps of filters.
struct Requantization {
  std::vector<std::int32_t> multipliers, shifts;
  ChannelScales scales;

  Requantization(const QuantizedGraph& graph, NodeId id, Activation activation) {
    for (const FixedPoint& f : channel_multipliers(graph, id)) {
      multipliers.push_back(f.multiplier);
      shifts.push_back(f.shift);
    }
    const Quantization output = graph.node(id).output;
    const ClampRange range = clamp_range(activation, output);
    scales = {multipliers.data(), shifts.data(), multipliers.size(),
              output.zero_point,  range.minimum, range.maximum};
  }
  Requantization(const Requantization&) = delete;  // scales points into it
  Requantization& operator=(const Requantization&) = delete;
};

// The input of a windowed op with its border, 16 bits a value: every tap of every output lies inside.
struct PaddedImage {
  Shape input;
  Padding padding;
  std::int16_t border = 0;

  std::int32_t width() const { return input.width + padding.left + padding.right; }
  std::int32_t height() const { return input.height + padding.top + padding.bottom; }
  std::size_t at(std::int64_t y, std::int64_t x) const { return size((y * width() + x) * input.channels); }

  void fill(const Tensor& values, std::vector<std::int16_t>& image) const {
    image.assign(at(height(), 0), border);
    const std::size_t row = size(std::int64_t{input.width} * input.channels);
    for (std::int32_t y = 0; y < input.height; ++y)
      widen(values.data() + size(y) * row, row, image.data() + at(y + padding.top, padding.left));
  }
};

PaddedImage padded_image(const QuantizedGraph& graph, NodeId from, const Padding& padding) {
  return {graph.graph.node(from).shape, padding,
          static_cast<std::int16_t>(graph.node(from).output.zero_point)};
}

// bias - zero point of the input * sum of the filter, so that dot products need no offsets.
std::int32_t folded_bias(const QuantizedGraph& graph, NodeId id, std::size_t channel, std::int64_t weights) {
  const std::vector<std::int32_t>& bias = graph.node(id).bias;
  const std::int32_t zero_point = graph.node(graph.graph.node(id).inputs[0]).output.zero_point;
  return static_cast<std::int32_t>((bias.empty() ? 0 : bias[channel]) - zero_point * weights);
}

// A convolution as a product of two matrices, one row of output pixels at a time. A fully-connected layer is
// one over a single pixel.
class MatrixProduct {
 public:
  MatrixProduct(const QuantizedGraph& graph, NodeId id, const Shape& input, const Window& window,
                Activation activation)
      : id_(size(id)),
        from_(size(graph.graph.node(id).inputs[0])),
        output_(graph.graph.node(id).shape),
        image_(padded_image(graph, graph.graph.node(id).inputs[0], window.padding)),
        window_(window),
        requantization_(graph, id, activation) {
    image_.input = input;
    const auto channels = size(output_.channels);
    values_ = size(window.taps() * input.channels);
    depth_ = rounded_up(values_, kDepthStep);
    filters_ = rounded_up(channels, kFilterStep);
    weights_.resize(filters_ * depth_);
    bias_.resize(filters_);
    for (std::size_t c = 0; c < channels; ++c) {
      const std::int8_t* filter = graph.node(id).filter.data() + c * values_;
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < values_; ++i) {
        weights_[c * depth_ + i] = std::int16_t{filter[i]};
        sum += filter[i];
      }
      bias_[c] = folded_bias(graph, id, c, sum);
    }
  }

  void operator()(Workspace& space) const {
    image_.fill(space.values[from_], space.image);
    const auto columns = size(output_.width);
    space.patches.assign(columns * depth_, 0);
    space.sums.resize(columns * filters_);
    std::int8_t* out = space.values[id_].data();
    for (std::int32_t y = 0; y < output_.height; ++y) {
      for (std::int32_t x = 0; x < output_.width; ++x)
        gather(space.image.data(), y, x, space.patches.data() + size(x) * depth_);
      multiply({space.patches.data(), weights_.data(), bias_.data(), columns, filters_, depth_},
               space.sums.data());
      for (std::size_t x = 0; x < columns; ++x, out += requantization_.scales.channels)
        requantize(space.sums.data() + x * filters_, requantization_.scales, out);
    }
  }

 private:
  // The values under the window at output (y, x), in the order of a filter's.
  void gather(const std::int16_t* image, std::int32_t y, std::int32_t x, std::int16_t* patch) const {
    const bool whole_rows = window_.dilation_width == 1;
    const std::int32_t runs = whole_rows ? 1 : window_.kernel_width;
    const std::size_t run = values_ / size(std::int64_t{window_.kernel_height} * runs);
    for (std::int32_t ky = 0; ky < window_.kernel_height; ++ky) {
      const std::int64_t row =
          std::int64_t{y} * window_.stride_height + std::int64_t{ky} * window_.dilation_height;
      for (std::int32_t k = 0; k < runs; ++k, patch += run) {
        const std::int64_t column =
            std::int64_t{x} * window_.stride_width + std::int64_t{k} * window_.dilation_width;
        std::copy_n(image + image_.at(row, column), run, patch);
      }
    }
  }

  std::size_t id_, from_;
  Shape output_;
  PaddedImage image_;
  Window window_;
  Requantization requantization_;
  std::size_t values_ = 0, depth_ = 0, filters_ = 0;  // of a filter; padded; filters, padded
  std::vector<std::int16_t> weights_;                 // [filter][depth]
  std::vector<std::int32_t> bias_;                    // [filter]
};

// All channels of a pixel at once. With a channel multiplier each input channel is repeated in the image.
class DepthwiseProduct {
 public:
  DepthwiseProduct(const QuantizedGraph& graph, NodeId id, const DepthwiseConv2d& op)
      : id_(size(id)),
        from_(size(graph.graph.node(id).inputs[0])),
        output_(graph.graph.node(id).shape),
        image_(padded_image(graph, graph.graph.node(id).inputs[0], op.window.padding)),
        op_(op),
        requantization_(graph, id, op.activation),
        weights_(graph.node(id).filter.begin(), graph.node(id).filter.end()) {
    image_.input.channels = output_.channels;
    const auto channels = size(output_.channels);
    for (std::size_t c = 0; c < channels; ++c) {
      std::int64_t sum = 0;
      for (std::size_t i = c; i < weights_.size(); i += channels) sum += weights_[i];
      bias_.push_back(folded_bias(graph, id, c, sum));
    }
  }

  void operator()(Workspace& space) const {
    image_.fill(op_.multiplier == 1 ? space.values[from_] : repeated(space.values[from_]), space.image);
    std::int8_t* out = space.values[id_].data();
    for (std::int32_t y = 0; y < output_.height; ++y)
      for (std::int32_t x = 0; x < output_.width; ++x, out += bias_.size()) {
        space.sums.assign(bias_.begin(), bias_.end());
        add_taps(space.image.data(), y, x, space.sums.data());
        requantize(space.sums.data(), requantization_.scales, out);
      }
  }

 private:
  Tensor repeated(const Tensor& values) const {
    Tensor all;
    all.reserve(values.size() * size(op_.multiplier));
    for (const std::int8_t value : values) all.insert(all.end(), size(op_.multiplier), value);
    return all;
  }

  void add_taps(const std::int16_t* image, std::int32_t y, std::int32_t x, std::int32_t* sums) const {
    const Window& w = op_.window;
    const std::int16_t* weights = weights_.data();
    for (std::int32_t ky = 0; ky < w.kernel_height; ++ky)
      for (std::int32_t kx = 0; kx < w.kernel_width; ++kx, weights += bias_.size()) {
        const std::int64_t row = std::int64_t{y} * w.stride_height + std::int64_t{ky} * w.dilation_height;
        const std::int64_t column = std::int64_t{x} * w.stride_width + std::int64_t{kx} * w.dilation_width;
        accumulate(image + image_.at(row, column), weights, bias_.size(), sums);
      }
  }

  std::size_t id_, from_;
  Shape output_;
  PaddedImage image_;
  DepthwiseConv2d op_;
  Requantization requantization_;
  std::vector<std::int16_t> weights_;  // [tap][channel]
  std::vector<std::int32_t> bias_;     // [channel]
};

// Requantization does not copy, std::function wants it to.
template <typename Step>
FastStep shared(std::shared_ptr<const Step> step) {
  return [step = std::move(step)](Workspace& space) { (*step)(space); };
}

// What an op gives for each pair of bytes, computed by the judge over an input that holds every pair.
FastStep pair_step(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  const Shape pairs{256, 256, 1};
  QuantizedGraph every;
  every.graph.nodes = {{Input{pairs}, {}, pairs, "first"},
                       {Input{pairs}, {}, pairs, "second"},
                       {node.op, {0, 1}, pairs, node.name}};
  every.nodes = {{graph.node(node.inputs[0]).output, {}, {}, {}},
                 {graph.node(node.inputs[1]).output, {}, {}, {}},
                 graph.node(id)};
  std::vector<Tensor> values(3, Tensor(std::size_t{256} * 256));
  for (std::size_t i = 0; i < values[0].size(); ++i) {
    values[0][i] = static_cast<std::int8_t>(static_cast<std::int32_t>(i / 256) - 128);
    values[1][i] = static_cast<std::int8_t>(static_cast<std::int32_t>(i % 256) - 128);
  }
  node_interpreter(every, 2)(values);
  return [table = std::move(values[2]), first = size(node.inputs[0]), second = size(node.inputs[1]),
          out = size(id)](Workspace& space) {
    const Tensor &a = space.values[first], &b = space.values[second];
    Tensor& result = space.values[out];
    for (std::size_t begin = 0; begin < a.size(); begin += b.size())  // the second may be one pixel for all
      for (std::size_t i = 0; i < b.size(); ++i)
        result[begin + i] = table[size((a[begin + i] + 128) * 256 + b[i] + 128)];
  };
}

FastStep lookup_step(const QuantizedGraph& graph, NodeId id) {
  return [table = lookup_table(graph, id), from = size(graph.graph.node(id).inputs[0]),
          to = size(id)](Workspace& space) {
    std::transform(space.values[from].begin(), space.values[from].end(), space.values[to].begin(),
                   [&](std::int8_t x) { return table[lookup_index(x)]; });
  };
}

FastStep copy_step(const QuantizedGraph& graph, NodeId id) {
  return [from = size(graph.graph.node(id).inputs[0]), to = size(id)](Workspace& space) {
    space.values[to] = space.values[from];
  };
}

// Rare ops, and ops that cost little: as the judge does them.
FastStep plain_step(const QuantizedGraph& graph, NodeId id) {
  return [evaluate = node_interpreter(graph, id)](Workspace& space) { evaluate(space.values); };
}

// Calls visit(values of a pixel) for the pixels of a window at output (y, x) that lie inside the input.
template <typename Visit>
void each_pixel(const Window& w, const Shape& in, const Tensor& values, std::int32_t y, std::int32_t x,
                const Visit& visit) {
  for (std::int32_t ky = 0; ky < w.kernel_height; ++ky) {
    const std::int32_t row = y * w.stride_height + ky * w.dilation_height - w.padding.top;
    if (row < 0 || row >= in.height) continue;
    for (std::int32_t kx = 0; kx < w.kernel_width; ++kx) {
      const std::int32_t column = x * w.stride_width + kx * w.dilation_width - w.padding.left;
      if (column < 0 || column >= in.width) continue;
      visit(values.data() + size((std::int64_t{row} * in.width + column) * in.channels));
    }
  }
}

std::int8_t clamped(std::int32_t value, ClampRange range) {
  return static_cast<std::int8_t>(std::clamp(value, range.minimum, range.maximum));
}

// Calls pixel(values of the input, y, x, output pixel, workspace) for each output pixel.
template <typename Pixel>
FastStep pool_step(const QuantizedGraph& graph, NodeId id, Pixel pixel) {
  return [pixel, shape = graph.graph.node(id).shape, from = size(graph.graph.node(id).inputs[0]),
          to = size(id)](Workspace& space) {
    std::int8_t* out = space.values[to].data();
    for (std::int32_t y = 0; y < shape.height; ++y)
      for (std::int32_t x = 0; x < shape.width; ++x, out += shape.channels)
        pixel(space.values[from], y, x, out, space);
  };
}

FastStep average_step(const QuantizedGraph& graph, NodeId id, const AveragePool2d& op) {
  const Shape in = graph.graph.node(graph.graph.node(id).inputs[0]).shape;
  const ClampRange range = clamp_range(op.activation, graph.node(id).output);
  return pool_step(graph, id,
                   [in, range, w = op.window](const Tensor& values, std::int32_t y, std::int32_t x,
                                              std::int8_t* out, Workspace& space) {
                     const auto channels = size(in.channels);
                     space.sums.assign(channels, 0);
                     std::int32_t count = 0;
                     each_pixel(w, in, values, y, x, [&](const std::int8_t* p) {
                       add_bytes(p, channels, space.sums.data());
                       ++count;
                     });
                     for (std::size_t c = 0; c < channels; ++c) {
                       const std::int32_t half = space.sums[c] > 0 ? count / 2 : -(count / 2);
                       out[c] = clamped((space.sums[c] + half) / std::max(count, 1), range);
                     }
                   });
}

FastStep max_step(const QuantizedGraph& graph, NodeId id, const MaxPool2d& op) {
  const Shape in = graph.graph.node(graph.graph.node(id).inputs[0]).shape;
  const ClampRange range = clamp_range(op.activation, graph.node(id).output);
  return pool_step(graph, id,
                   [in, range, w = op.window](const Tensor& values, std::int32_t y, std::int32_t x,
                                              std::int8_t* out, Workspace&) {
                     const auto channels = size(in.channels);
                     std::fill_n(out, channels, std::int8_t{-128});
                     each_pixel(w, in, values, y, x,
                                [&](const std::int8_t* p) { keep_largest(p, channels, out); });
                     for (std::size_t c = 0; c < channels; ++c) out[c] = clamped(out[c], range);
                   });
}

}  // namespace

FastStep make_fast_step(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  const Shape& in = graph.graph.node(node.inputs[0]).shape;
  const auto product = [&](const Shape& input, const Window& window, Activation activation) {
    return shared(std::make_shared<const MatrixProduct>(graph, id, input, window, activation));
  };
  return std::visit(
      overloaded{[&](const Conv2d& c) { return product(in, c.window, c.activation); },
                 [&](const DepthwiseConv2d& d) {
                   return shared(std::make_shared<const DepthwiseProduct>(graph, id, d));
                 },
                 [&](const FullyConnected& f) {
                   return product({1, 1, static_cast<std::int32_t>(in.elements())}, {}, f.activation);
                 },
                 [&](const Add&) { return pair_step(graph, id); },
                 [&](const Mul&) { return pair_step(graph, id); },
                 [&](const Activate&) { return lookup_step(graph, id); },
                 [&](const AveragePool2d& p) { return average_step(graph, id, p); },
                 [&](const MaxPool2d& p) { return max_step(graph, id, p); },
                 [&](const Reshape&) { return copy_step(graph, id); },
                 [&](const Mean&) { return plain_step(graph, id); },
                 [&](const Concatenation&) { return plain_step(graph, id); },
                 [&](const Pad&) { return plain_step(graph, id); },
                 [&](const ResizeNearestNeighbor&) { return plain_step(graph, id); },
                 [&](const Softmax&) { return plain_step(graph, id); },
                 [](const Input&) -> FastStep { std::abort(); },       // node 0 has no step
                 [](const BatchNorm&) -> FastStep { std::abort(); }},  // verify() does not let it through
      node.op);
}

}  // namespace mcufit
