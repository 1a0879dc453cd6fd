// SPDX-License-Identifier: Apache-2.0
#include "exporters/interpreter.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <utility>

#include "exporters/lookup.h"
#include "exporters/runtime/mcufit_exponential.h"
#include "exporters/runtime/mcufit_rounding.h"

namespace mcufit {
namespace {

using Tensor = std::vector<std::int8_t>;

std::size_t at(const Shape& s, std::int32_t y, std::int32_t x, std::int32_t c) {
  return static_cast<std::size_t>((std::int64_t{y} * s.width + x) * s.channels + c);
}

std::int32_t rescale(std::int32_t value, FixedPoint by) {
  return mcufit_requantize(value, by.multiplier, by.shift);
}

// Calls visit(tap, input row, input column) for every tap of the window at output (oy, ox) that lies inside
// the input.
template <typename Visit>
void each_tap(const Window& w, const Shape& in, std::int32_t oy, std::int32_t ox, const Visit& visit) {
  for (std::int32_t ky = 0; ky < w.kernel_height; ++ky) {
    for (std::int32_t kx = 0; kx < w.kernel_width; ++kx) {
      const std::int32_t y = oy * w.stride_height + ky * w.dilation_height - w.padding.top;
      const std::int32_t x = ox * w.stride_width + kx * w.dilation_width - w.padding.left;
      if (y >= 0 && y < in.height && x >= 0 && x < in.width) visit(ky * w.kernel_width + kx, y, x);
    }
  }
}

// What a node needs beside its inputs, derived once for many samples.
struct Constants {
  std::vector<FixedPoint> channels;
  AddMultipliers add;
  SoftmaxScaling softmax;
  FixedPoint rescaling;                   // of mul and mean
  std::array<std::int8_t, 256> lookup{};  // of activate
};

Constants constants_of(const QuantizedGraph& graph, NodeId id) {
  const Node& node = graph.graph.node(id);
  Constants c;
  if (!graph.node(id).filter_scales.empty()) c.channels = channel_multipliers(graph, id);
  if (std::holds_alternative<Add>(node.op)) c.add = add_multipliers(graph, id);
  if (std::holds_alternative<Softmax>(node.op)) c.softmax = softmax_scaling(graph, id);
  if (std::holds_alternative<Mul>(node.op)) c.rescaling = mul_multiplier(graph, id);
  if (std::holds_alternative<Mean>(node.op)) c.rescaling = mean_multiplier(graph, id);
  if (std::holds_alternative<Activate>(node.op)) c.lookup = lookup_table(graph, id);
  return c;
}

// One node: its inputs' shapes, quantizations and values, and where its own values go.
class Evaluation {
 public:
  Evaluation(const QuantizedGraph& graph, const Constants& constants, NodeId id, std::vector<Tensor>& values)
      : node_(graph.graph.node(id)), quantized_(graph.node(id)), constants_(constants) {
    for (const NodeId from : node_.inputs)
      in_.push_back({&graph.graph.node(from).shape, &values[static_cast<std::size_t>(from)],
                     graph.node(from).output.zero_point});
    out_ = &values[static_cast<std::size_t>(id)];
    out_->resize(static_cast<std::size_t>(node_.shape.elements()));
  }

  void operator()(const Input&) const {}

  void operator()(const Conv2d& c) const {
    const std::int32_t depth = in_[0].shape->channels;
    const std::int32_t taps = c.window.kernel_height * c.window.kernel_width;
    const ClampRange range = clamp_range(c.activation, quantized_.output);
    fill([&](std::int32_t oy, std::int32_t ox, std::int32_t oc) {
      std::int32_t sum = bias(oc);
      each_tap(c.window, *in_[0].shape, oy, ox, [&](std::int32_t tap, std::int32_t y, std::int32_t x) {
        const auto filter = static_cast<std::size_t>((std::int64_t{oc} * taps + tap) * depth);
        for (std::int32_t ic = 0; ic < depth; ++ic) {
          sum += quantized_.filter[filter + static_cast<std::size_t>(ic)] *
                 offset_input(0, at(*in_[0].shape, y, x, ic));
        }
      });
      return requantized(sum, oc, range);
    });
  }

  void operator()(const DepthwiseConv2d& d) const {
    const std::int32_t channels = node_.shape.channels;
    const ClampRange range = clamp_range(d.activation, quantized_.output);
    fill([&](std::int32_t oy, std::int32_t ox, std::int32_t ch) {
      std::int32_t sum = bias(ch);
      each_tap(d.window, *in_[0].shape, oy, ox, [&](std::int32_t tap, std::int32_t y, std::int32_t x) {
        sum += quantized_.filter[static_cast<std::size_t>(std::int64_t{tap} * channels + ch)] *
               offset_input(0, at(*in_[0].shape, y, x, ch / d.multiplier));
      });
      return requantized(sum, ch, range);
    });
  }

  void operator()(const FullyConnected& f) const {
    const std::size_t inputs = in_[0].values->size();
    const ClampRange range = clamp_range(f.activation, quantized_.output);
    fill([&](std::int32_t, std::int32_t, std::int32_t oc) {
      std::int32_t sum = bias(oc);
      for (std::size_t i = 0; i < inputs; ++i) {
        sum += quantized_.filter[static_cast<std::size_t>(oc) * inputs + i] * offset_input(0, i);
      }
      return requantized(sum, oc, range);
    });
  }

  void operator()(const Add& a) const {
    constexpr std::int32_t kLeftShift = 1 << 20;
    const AddMultipliers& m = constants_.add;
    const ClampRange range = clamp_range(a.activation, quantized_.output);
    for (std::size_t i = 0; i < out_->size(); ++i) {
      const std::int32_t sum = rescale(offset_input(0, i) * kLeftShift, m.input1) +
                               rescale(offset_input(1, i) * kLeftShift, m.input2);
      (*out_)[i] = clamped(rescale(sum, m.output) + quantized_.output.zero_point, range);
    }
  }

  // The second input may be one pixel for all.
  void operator()(const Mul& m) const {
    const ClampRange range = clamp_range(m.activation, quantized_.output);
    for (std::size_t i = 0; i < out_->size(); ++i) {
      const std::int32_t product = offset_input(0, i) * offset_input(1, i % in_[1].values->size());
      (*out_)[i] = clamped(rescale(product, constants_.rescaling) + quantized_.output.zero_point, range);
    }
  }

  void operator()(const Mean& m) const {
    const Window whole{.kernel_height = m.over_height ? in_[0].shape->height : 1,
                       .kernel_width = m.over_width ? in_[0].shape->width : 1};
    fill([&](std::int32_t oy, std::int32_t ox, std::int32_t ch) {
      std::int32_t sum = 0;
      each_tap(whole, *in_[0].shape, oy, ox, [&](std::int32_t, std::int32_t y, std::int32_t x) {
        sum += offset_input(0, at(*in_[0].shape, y, x, ch));
      });
      return clamped(rescale(sum, constants_.rescaling) + quantized_.output.zero_point, {});
    });
  }

  void operator()(const Activate&) const {
    for (std::size_t i = 0; i < out_->size(); ++i)
      (*out_)[i] = constants_.lookup[lookup_index((*in_[0].values)[i])];
  }

  void operator()(const Concatenation& c) const {
    Shape from{0, 0, 0};  // of the current input in the output
    for (const Operand& part : in_) {
      for (std::int32_t y = 0; y < part.shape->height; ++y)
        for (std::int32_t x = 0; x < part.shape->width; ++x)
          for (std::int32_t ch = 0; ch < part.shape->channels; ++ch)
            (*out_)[at(node_.shape, from.height + y, from.width + x, from.channels + ch)] =
                (*part.values)[at(*part.shape, y, x, ch)];
      if (c.axis == Axis::height) from.height += part.shape->height;
      if (c.axis == Axis::width) from.width += part.shape->width;
      if (c.axis == Axis::channels) from.channels += part.shape->channels;
    }
  }

  void operator()(const Pad& p) const {
    const Shape& in = *in_[0].shape;
    const double steps = std::round(double{p.value} / double{quantized_.output.scale});
    const auto border =
        static_cast<std::int8_t>(std::clamp(steps + quantized_.output.zero_point, -128.0, 127.0));
    fill([&](std::int32_t oy, std::int32_t ox, std::int32_t oc) {
      const std::int32_t y = oy - p.padding.top, x = ox - p.padding.left, ch = oc - p.channels_before;
      const bool inside = y >= 0 && y < in.height && x >= 0 && x < in.width && ch >= 0 && ch < in.channels;
      return inside ? (*in_[0].values)[at(in, y, x, ch)] : border;
    });
  }

  void operator()(const Reshape&) const { *out_ = *in_[0].values; }

  void operator()(const ResizeNearestNeighbor& r) const {
    const auto rows = nearest_sources(r, in_[0].shape->height, r.height);
    const auto columns = nearest_sources(r, in_[0].shape->width, r.width);
    fill([&](std::int32_t y, std::int32_t x, std::int32_t ch) {
      const std::int32_t row = rows[static_cast<std::size_t>(y)];
      return (*in_[0].values)[at(*in_[0].shape, row, columns[static_cast<std::size_t>(x)], ch)];
    });
  }

  void operator()(const AveragePool2d& p) const {
    const ClampRange range = clamp_range(p.activation, quantized_.output);
    fill([&](std::int32_t oy, std::int32_t ox, std::int32_t ch) {
      std::int32_t sum = 0;
      std::int32_t count = 0;
      each_tap(p.window, *in_[0].shape, oy, ox, [&](std::int32_t, std::int32_t y, std::int32_t x) {
        sum += (*in_[0].values)[at(*in_[0].shape, y, x, ch)];
        ++count;
      });
      if (count == 0) std::abort();  // verify() lets no window lie in the padding alone
      return clamped(sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count, range);
    });
  }

  void operator()(const MaxPool2d& p) const {
    const ClampRange range = clamp_range(p.activation, quantized_.output);
    fill([&](std::int32_t oy, std::int32_t ox, std::int32_t ch) {
      std::int8_t largest = -128;
      each_tap(p.window, *in_[0].shape, oy, ox, [&](std::int32_t, std::int32_t y, std::int32_t x) {
        largest = std::max(largest, (*in_[0].values)[at(*in_[0].shape, y, x, ch)]);
      });
      return clamped(largest, range);
    });
  }

  void operator()(const Softmax&) const {
    const auto channels = static_cast<std::size_t>(node_.shape.channels);
    for (std::size_t pixel = 0; pixel < out_->size(); pixel += channels)
      softmax(std::span(*in_[0].values).subspan(pixel, channels), std::span(*out_).subspan(pixel, channels));
  }

  void operator()(const BatchNorm&) const { std::abort(); }  // verify() does not let it through

 private:
  struct Operand {
    const Shape* shape = nullptr;
    const Tensor* values = nullptr;
    std::int32_t zero_point = 0;
  };

  void softmax(std::span<const std::int8_t> x, std::span<std::int8_t> out) const {
    const std::int32_t largest = *std::max_element(x.begin(), x.end());
    // Empty where the input is so far below the largest that it counts as nothing.
    const auto exponential = [&](std::int8_t value) -> std::optional<std::int32_t> {
      const std::int32_t difference = value - largest;
      if (difference < constants_.softmax.least_difference) return std::nullopt;
      return mcufit_exp_on_negative(rescale(difference, constants_.softmax.input), MCUFIT_SOFTMAX_INPUT_BITS);
    };
    std::int32_t sum = 0;
    for (const std::int8_t value : x)
      sum += mcufit_rounding_shift_right(exponential(value).value_or(0), MCUFIT_SOFTMAX_SUM_BITS);
    const mcufit_reciprocal scale = mcufit_reciprocal_of(sum, MCUFIT_SOFTMAX_SUM_BITS);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto e = exponential(x[i]);
      out[i] = e ? mcufit_softmax_output(*e, scale) : std::int8_t{-128};
    }
  }

  template <typename Value>
  void fill(const Value& value) const {
    for (std::int32_t y = 0; y < node_.shape.height; ++y) {
      for (std::int32_t x = 0; x < node_.shape.width; ++x) {
        for (std::int32_t c = 0; c < node_.shape.channels; ++c)
          (*out_)[at(node_.shape, y, x, c)] = value(y, x, c);
      }
    }
  }

  std::int32_t offset_input(std::size_t operand, std::size_t i) const {
    return (*in_[operand].values)[i] - in_[operand].zero_point;
  }
  std::int32_t bias(std::int32_t channel) const {
    return quantized_.bias.empty() ? 0 : quantized_.bias[static_cast<std::size_t>(channel)];
  }
  static std::int8_t clamped(std::int32_t value, ClampRange range) {
    return static_cast<std::int8_t>(std::clamp(value, range.minimum, range.maximum));
  }
  std::int8_t requantized(std::int32_t sum, std::int32_t channel, ClampRange range) const {
    return clamped(
        rescale(sum, constants_.channels[static_cast<std::size_t>(channel)]) + quantized_.output.zero_point,
        range);
  }

  const Node& node_;
  const QuantizedNode& quantized_;
  const Constants& constants_;
  std::vector<Operand> in_;
  Tensor* out_ = nullptr;
};

std::vector<NodeInterpreter> interpreters_of(const QuantizedGraph& graph) {
  std::vector<NodeInterpreter> nodes;
  for (NodeId id = 1; id < graph.graph.size(); ++id) nodes.push_back(node_interpreter(graph, id));
  return nodes;
}

std::vector<Tensor> run(const std::vector<NodeInterpreter>& nodes, std::span<const std::int8_t> input) {
  std::vector<Tensor> values(nodes.size() + 1);
  values[0].assign(input.begin(), input.end());
  for (const NodeInterpreter& node : nodes) node(values);
  return values;
}

}  // namespace

NodeInterpreter node_interpreter(const QuantizedGraph& graph, NodeId id) {
  return [&graph, id, constants = constants_of(graph, id)](std::vector<Tensor>& values) {
    std::visit(Evaluation(graph, constants, id, values), graph.graph.node(id).op);
  };
}

std::vector<Tensor> interpret(const QuantizedGraph& graph, std::span<const std::int8_t> input) {
  return run(interpreters_of(graph), input);
}

std::vector<Tensor> interpret_all(const QuantizedGraph& graph, std::span<const Tensor> inputs) {
  const std::vector<NodeInterpreter> nodes = interpreters_of(graph);
  std::vector<Tensor> outputs(inputs.size());
  tbb::parallel_for(std::size_t{0}, inputs.size(),
                    [&](std::size_t i) { outputs[i] = std::move(run(nodes, inputs[i]).back()); });
  return outputs;
}

}  // namespace mcufit
