// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/layer_nets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "blocks/builder.h"
#include "blocks/lower.h"

namespace mcufit {
namespace {

constexpr std::int64_t kMostElements = 12'288;
constexpr std::int64_t kMostWeights = 6'144;
constexpr std::int64_t kMostMacs = 400'000;
constexpr std::int32_t kMostSide = 32;
constexpr std::int32_t kMostChannels = 96;

// Appends random layers to one chain.
class Chain {
 public:
  explicit Chain(Random& random) : random_(random), builder_("layers", {16, 16, 4}) {}

  // Brings about a new input, then the layer of one kind.
  void append(int kind) {
    reshape();
    x_ = layer(kind);
  }
  static constexpr int kKinds = 17;  // convolutions with larger windows three times: they differ most

  Graph finish() { return builder_.finish(); }

 private:
  const Shape& shape() const { return builder_.shape(x_); }
  std::string name(const char* op) { return fmt::format("{}{}", op, count_++); }

  // Log-uniform in [1, most].
  std::int32_t draw(std::int64_t most) {
    const double top = std::log(static_cast<double>(std::max<std::int64_t>(most, 1)) + 1);
    return static_cast<std::int32_t>(std::exp(random_.unit() * top));
  }
  std::int32_t one_of(std::initializer_list<std::int32_t> values) {
    return *(values.begin() + random_.below(values.size()));
  }

  void reshape() {
    const std::int64_t pixels = kMostElements / shape().channels;
    const std::int32_t height = draw(std::min<std::int64_t>(kMostSide, pixels));
    const std::int32_t width = draw(std::min<std::int64_t>(kMostSide, pixels / height));
    x_ = builder_.resize_nearest_neighbor(name("resize"), x_, height, width);
    x_ = builder_.pointwise(name("pointwise"), x_, channels(channels_for(1)));
  }

  // Every other time by fours, which kernels are made for.
  std::int32_t channels(std::int64_t most) {
    const std::int32_t drawn = draw(most);
    return drawn >= 4 && random_.below(2) == 0 ? drawn / 4 * 4 : drawn;
  }

  // Output channels that a convolution with so many taps may have here.
  std::int64_t channels_for(std::int64_t taps) const {
    const Shape& s = shape();
    return std::max<std::int64_t>(
        1, std::min({std::int64_t{kMostChannels}, kMostElements / s.pixels(),
                     kMostWeights / (taps * s.channels), kMostMacs / (taps * s.elements())}));
  }

  // A window that fits, its input padded to keep the size or not at all.
  Window window(std::initializer_list<std::int32_t> kernels, bool padded) {
    const Shape& s = shape();
    Window w;
    const bool pads = padded && random_.below(3) > 0;
    const auto side = [&](std::int32_t extent) {
      const std::int32_t kernel = one_of(kernels);
      return pads ? std::min(kernel, 2 * extent - 1) : std::min(kernel, extent);
    };
    w.kernel_height = side(s.height);
    w.kernel_width = side(s.width);
    w.stride_height = w.stride_width = one_of({1, 1, 2});
    if (pads)
      w.padding = {(w.kernel_height - 1) / 2, w.kernel_height / 2, (w.kernel_width - 1) / 2,
                   w.kernel_width / 2};
    return w;
  }

  NodeId conv2d() {
    const Window w = window({2, 3, 3, 3, 4, 5, 7}, true);
    return builder_.conv2d(name("conv"), x_, channels(channels_for(w.taps())), w);
  }
  NodeId fully_connected() {
    const std::int64_t most = std::max<std::int64_t>(1, kMostWeights / shape().elements());
    return builder_.fully_connected(name("dense"), x_, channels(std::min<std::int64_t>(most, kMostChannels)));
  }
  NodeId concatenation() {
    return builder_.concatenation(name("concatenation"), {x_, x_},
                                  random_.below(2) == 0 ? Axis::channels : Axis::height);
  }

  NodeId layer(int kind) {
    switch (kind) {
      case 0:
        return builder_.pointwise(name("pointwise"), x_, channels(channels_for(1)));
      case 1:
      case 13:
      case 14:
        return conv2d();
      case 2:
      case 15:
      case 16:
        return builder_.depthwise_conv2d(name("depthwise"), x_, window({2, 3, 3, 3, 5, 7}, true));
      case 3:
        return fully_connected();
      case 4:
        return builder_.add(name("add"), x_, x_);
      case 5:
        return builder_.mul(name("mul"), x_, x_);
      case 6:
        return builder_.activate(name("activate"), x_, Activation::sigmoid);
      case 7:
        return builder_.average_pool2d(name("average_pool"), x_, window({1, 2, 3, 5, 32}, false));
      case 8:
        return builder_.max_pool2d(name("max_pool"), x_, window({1, 2, 3, 5}, false));
      case 9:
        return builder_.mean(name("mean"), x_);
      case 10:
        return concatenation();
      case 11:
        return builder_.pad(name("pad"), x_, {one_of({0, 1}), 1, one_of({0, 1, 2}), 1});
      case 12:
        return builder_.softmax(name("softmax"), x_);
    }
    return x_;
  }

  Random& random_;
  GraphBuilder builder_;
  NodeId x_ = 0;
  int count_ = 0;
};

// The scale and zero point that an op has to give, or one that suits most.
Quantization output_of(const Op& op, const Quantization& input) {
  constexpr Quantization kAny{1.0F / 16, -3};
  const auto same = [&](const auto&) { return input; };
  return std::visit(
      overloaded{[&](const AveragePool2d& o) { return same(o); }, [&](const MaxPool2d& o) { return same(o); },
                 [&](const Concatenation& o) { return same(o); }, [&](const Pad& o) { return same(o); },
                 [&](const Reshape& o) { return same(o); },
                 [&](const ResizeNearestNeighbor& o) { return same(o); },
                 [](const Softmax&) { return kUnitOutput; }, [](const Activate&) { return kUnitOutput; },
                 [&](const auto&) { return kAny; }},
      op);
}

// Outputs then differ by about as much as inputs do.
float filter_scale(std::size_t filter_bytes, std::size_t channels, const Quantization& input,
                   const Quantization& output) {
  constexpr double kDeviation = 73;  // of uniform int8
  const double depth = static_cast<double>(filter_bytes) / static_cast<double>(channels);
  return static_cast<float>(output.scale / (input.scale * kDeviation * std::sqrt(depth)));
}

QuantizedNode random_node(Random& random, const Node& node, const NodeWeights& zeros,
                          const Quantization& input) {
  QuantizedNode q;
  q.output = output_of(node.op, input);
  q.filter.resize(zeros.filter.size());
  for (std::int8_t& w : q.filter) w = static_cast<std::int8_t>(random.between(-127, 127));
  q.bias.resize(zeros.bias.size());
  for (std::int32_t& b : q.bias) b = static_cast<std::int32_t>(random.between(-1000, 1000));
  const auto channels = static_cast<std::size_t>(node.shape.channels);
  if (!q.filter.empty())
    q.filter_scales.assign(channels, filter_scale(q.filter.size(), channels, input, q.output));
  return q;
}

}  // namespace

QuantizedGraph layer_net(Random& random, int rounds) {
  std::vector<int> kinds;
  kinds.reserve(static_cast<std::size_t>(rounds) * Chain::kKinds);
  for (int i = 0; i < rounds * Chain::kKinds; ++i) kinds.push_back(i % Chain::kKinds);
  random.shuffle(kinds);
  Chain chain(random);
  for (const int kind : kinds) chain.append(kind);
  const Graph graph = chain.finish();
  const Lowered lowered = lower(graph, zero_weights(graph));
  QuantizedGraph net{lowered.graph, {}};
  for (NodeId id = 0; id < lowered.graph.size(); ++id) {
    const Node& node = lowered.graph.node(id);
    constexpr Quantization kInput{1.0F / 16, 0};
    const Quantization& input = node.inputs.empty() ? kInput : net.node(node.inputs.front()).output;
    net.nodes.push_back(
        random_node(random, node, lowered.weights.nodes[static_cast<std::size_t>(id)], input));
  }
  verify(net);
  return net;
}

}  // namespace mcufit
