// SPDX-License-Identifier: Apache-2.0
#include "blocks/float_interpreter.h"

#include <algorithm>
#include <cmath>

namespace mcufit {
namespace {

using Tensor = std::vector<float>;

float activated(float x, Activation activation) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return std::max(x, 0.0F);
    case Activation::relu6:
      return std::clamp(x, 0.0F, 6.0F);
    case Activation::hard_swish:
      return x * std::clamp(x + 3.0F, 0.0F, 6.0F) / 6.0F;
    case Activation::sigmoid:
      return 1.0F / (1.0F + std::exp(-x));
    case Activation::hard_sigmoid:
      return std::clamp(x + 3.0F, 0.0F, 6.0F) / 6.0F;
  }
  return x;
}

std::size_t at(const Shape& s, std::int32_t y, std::int32_t x, std::int32_t c) {
  return (static_cast<std::size_t>(y) * static_cast<std::size_t>(s.width) + static_cast<std::size_t>(x)) *
             static_cast<std::size_t>(s.channels) +
         static_cast<std::size_t>(c);
}

// Calls visit(tap index, input row, input column) for the taps of the window at output (oy, ox) that are
// inside the input.
template <typename Visit>
void each_tap(const Window& w, const Shape& in, std::int32_t oy, std::int32_t ox, const Visit& visit) {
  for (std::int32_t ky = 0; ky < w.kernel_height; ++ky) {
    const std::int32_t y = oy * w.stride_height - w.padding.top + ky * w.dilation_height;
    if (y < 0 || y >= in.height) continue;
    for (std::int32_t kx = 0; kx < w.kernel_width; ++kx) {
      const std::int32_t x = ox * w.stride_width - w.padding.left + kx * w.dilation_width;
      if (x >= 0 && x < in.width) visit(ky * w.kernel_width + kx, y, x);
    }
  }
}

// Fills `out` with value(y, x, channel).
template <typename Value>
void fill(const Shape& shape, Tensor& out, const Value& value) {
  for (std::int32_t y = 0; y < shape.height; ++y) {
    for (std::int32_t x = 0; x < shape.width; ++x) {
      for (std::int32_t c = 0; c < shape.channels; ++c) out[at(shape, y, x, c)] = value(y, x, c);
    }
  }
}

float bias_of(const NodeWeights& w, std::int32_t channel) {
  return w.bias.empty() ? 0.0F : w.bias[static_cast<std::size_t>(channel)];
}

// An input of a node.
struct Operand {
  const Shape& shape;
  const Tensor& values;
};

// One node, given its inputs' shapes and values.
struct Evaluation {
  const Node& node;
  const NodeWeights& weights;
  const std::vector<Operand>& inputs;
  Tensor& out;
  const Shape& in_shape = inputs[0].shape;
  const Tensor& in = inputs[0].values;
  const Tensor& second = inputs.back().values;  // the first again where there is one input

  void operator()(const Input&) const {}

  void operator()(const Conv2d& c) const {
    const std::int32_t taps = c.window.kernel_height * c.window.kernel_width;
    fill(node.shape, out, [&](std::int32_t y, std::int32_t x, std::int32_t oc) {
      float sum = bias_of(weights, oc);
      each_tap(c.window, in_shape, y, x, [&](std::int32_t tap, std::int32_t iy, std::int32_t ix) {
        const std::size_t filter =
            (static_cast<std::size_t>(oc) * static_cast<std::size_t>(taps) + static_cast<std::size_t>(tap)) *
            static_cast<std::size_t>(in_shape.channels);
        const std::size_t pixel = at(in_shape, iy, ix, 0);
        for (std::size_t ic = 0; ic < static_cast<std::size_t>(in_shape.channels); ++ic) {
          sum += weights.filter[filter + ic] * in[pixel + ic];
        }
      });
      return activated(sum, c.activation);
    });
  }

  void operator()(const DepthwiseConv2d& d) const {
    fill(node.shape, out, [&](std::int32_t y, std::int32_t x, std::int32_t ch) {
      float sum = bias_of(weights, ch);
      each_tap(d.window, in_shape, y, x, [&](std::int32_t tap, std::int32_t iy, std::int32_t ix) {
        sum += weights.filter[static_cast<std::size_t>(tap) * static_cast<std::size_t>(node.shape.channels) +
                              static_cast<std::size_t>(ch)] *
               in[at(in_shape, iy, ix, ch / d.multiplier)];
      });
      return activated(sum, d.activation);
    });
  }

  void operator()(const FullyConnected& f) const {
    for (std::size_t oc = 0; oc < out.size(); ++oc) {
      float sum = bias_of(weights, static_cast<std::int32_t>(oc));
      for (std::size_t i = 0; i < in.size(); ++i) sum += weights.filter[oc * in.size() + i] * in[i];
      out[oc] = activated(sum, f.activation);
    }
  }

  void operator()(const BatchNorm& b) const {
    const std::size_t channels = weights.gamma.size();
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::size_t c = i % channels;
      out[i] = (in[i] - weights.mean[c]) / std::sqrt(weights.variance[c] + b.epsilon) * weights.gamma[c] +
               weights.beta[c];
    }
  }

  void operator()(const Activate& a) const {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = activated(in[i], a.activation);
  }

  void operator()(const Add& a) const {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = activated(in[i] + second[i], a.activation);
  }

  void operator()(const Mul& m) const {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = activated(in[i] * second[i % second.size()], m.activation);
  }

  void operator()(const AveragePool2d& p) const {
    fill(node.shape, out, [&](std::int32_t y, std::int32_t x, std::int32_t ch) {
      float sum = 0;
      float count = 0;
      each_tap(p.window, in_shape, y, x, [&](std::int32_t, std::int32_t iy, std::int32_t ix) {
        sum += in[at(in_shape, iy, ix, ch)];
        ++count;
      });
      return activated(sum / count, p.activation);
    });
  }

  void operator()(const MaxPool2d& p) const {
    fill(node.shape, out, [&](std::int32_t y, std::int32_t x, std::int32_t ch) {
      float most = -INFINITY;
      each_tap(p.window, in_shape, y, x, [&](std::int32_t, std::int32_t iy, std::int32_t ix) {
        most = std::max(most, in[at(in_shape, iy, ix, ch)]);
      });
      return activated(most, p.activation);
    });
  }

  void operator()(const Softmax& s) const {
    const auto channels = static_cast<std::size_t>(node.shape.channels);
    for (std::size_t pixel = 0; pixel < out.size(); pixel += channels) {
      const auto first = in.begin() + static_cast<std::ptrdiff_t>(pixel);
      const float largest = *std::max_element(first, first + node.shape.channels);
      float sum = 0;
      for (std::size_t i = pixel; i < pixel + channels; ++i)
        sum += out[i] = std::exp(s.beta * (in[i] - largest));
      for (std::size_t i = pixel; i < pixel + channels; ++i) out[i] /= sum;
    }
  }

  void operator()(const Mean& m) const {
    const Window whole{.kernel_height = m.over_height ? in_shape.height : 1,
                       .kernel_width = m.over_width ? in_shape.width : 1,
                       .padding = {}};
    (*this)(AveragePool2d{whole});
  }

  void operator()(const Concatenation& c) const {
    Shape from{0, 0, 0};  // of the current input in the output
    for (const Operand& part : inputs) {
      for (std::int32_t y = 0; y < part.shape.height; ++y)
        for (std::int32_t x = 0; x < part.shape.width; ++x)
          for (std::int32_t ch = 0; ch < part.shape.channels; ++ch)
            out[at(node.shape, from.height + y, from.width + x, from.channels + ch)] =
                part.values[at(part.shape, y, x, ch)];
      if (c.axis == Axis::height) from.height += part.shape.height;
      if (c.axis == Axis::width) from.width += part.shape.width;
      if (c.axis == Axis::channels) from.channels += part.shape.channels;
    }
  }

  void operator()(const Pad& p) const {
    fill(node.shape, out, [&](std::int32_t y, std::int32_t x, std::int32_t ch) {
      const std::int32_t iy = y - p.padding.top, ix = x - p.padding.left, ic = ch - p.channels_before;
      const bool inside = iy >= 0 && iy < in_shape.height && ix >= 0 && ix < in_shape.width && ic >= 0 &&
                          ic < in_shape.channels;
      return inside ? in[at(in_shape, iy, ix, ic)] : p.value;
    });
  }

  void operator()(const Reshape&) const { out = in; }

  void operator()(const ResizeNearestNeighbor& r) const {
    const auto rows = nearest_sources(r, in_shape.height, r.height);
    const auto columns = nearest_sources(r, in_shape.width, r.width);
    fill(node.shape, out, [&](std::int32_t y, std::int32_t x, std::int32_t ch) {
      return in[at(in_shape, rows[static_cast<std::size_t>(y)], columns[static_cast<std::size_t>(x)], ch)];
    });
  }
};

}  // namespace

std::vector<std::vector<float>> interpret(const Graph& graph, const Weights& weights,
                                          std::span<const float> input) {
  std::vector<Tensor> values(graph.nodes.size());
  values[0].assign(input.begin(), input.end());
  for (std::size_t id = 1; id < values.size(); ++id) {
    const Node& node = graph.nodes[id];
    std::vector<Operand> inputs;
    for (const NodeId from : node.inputs)
      inputs.push_back({graph.node(from).shape, values[static_cast<std::size_t>(from)]});
    values[id].resize(static_cast<std::size_t>(node.shape.elements()));
    std::visit(Evaluation{node, weights.nodes[id], inputs, values[id]}, node.op);
  }
  return values;
}

}  // namespace mcufit
