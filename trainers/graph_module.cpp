// SPDX-License-Identifier: Apache-2.0
#include "trainers/graph_module.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mcufit {
namespace {

// Running statistics move by this share of each batch's (PyTorch's convention).
constexpr double kBatchNormMomentum = 0.1;

// Box-Muller, one value of the pair: reproducible where std::normal_distribution is not.
float normal(Random& random) {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - random.unit()));
  return static_cast<float>(radius * std::cos(2.0 * std::numbers::pi * random.unit()));
}

at::Tensor drawn(at::IntArrayRef sizes, double deviation, Random& random) {
  at::Tensor t = at::empty(sizes, at::kFloat);
  float* values = t.data_ptr<float>();
  for (std::int64_t i = 0; i < t.numel(); ++i) values[i] = static_cast<float>(deviation) * normal(random);
  return t;
}

at::Tensor activated(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return at::relu(x);
    case Activation::relu6:
      return at::hardtanh(x, 0, 6);
    case Activation::hard_swish:
      return at::hardswish(x);
    case Activation::sigmoid:
      return at::sigmoid(x);
    case Activation::hard_sigmoid:
      return at::hardsigmoid(x);
  }
  return x;
}

// Symmetric padding is the convolution's own; the rest is added before it.
at::Tensor padded(const at::Tensor& x, const Window& w, std::int64_t& rows, std::int64_t& columns) {
  const Padding& p = w.padding;
  if (p.top == p.bottom && p.left == p.right) {
    rows = p.top;
    columns = p.left;
    return x;
  }
  rows = columns = 0;
  return at::constant_pad_nd(x, {p.left, p.right, p.top, p.bottom});
}

at::Tensor convolved(const at::Tensor& x, const at::Tensor& filter, const at::Tensor& bias, const Window& w,
                     std::int64_t groups) {
  std::int64_t rows = 0, columns = 0;
  const at::Tensor in = padded(x, w, rows, columns);
  return at::conv2d(in, filter, bias, {w.stride_height, w.stride_width}, {rows, columns},
                    {w.dilation_height, w.dilation_width}, groups);
}

// Padding is not averaged: the mean over the whole window divided by the mean of ones. It is added
// beforehand, since torch's own may not exceed half a kernel.
at::Tensor averaged(const at::Tensor& x, const Window& w) {
  const Padding& p = w.padding;
  const auto mean = [&](const at::Tensor& t) {
    return at::avg_pool2d(t, {w.kernel_height, w.kernel_width}, {w.stride_height, w.stride_width});
  };
  const auto with_border = [&](const at::Tensor& t) {
    return at::constant_pad_nd(t, {p.left, p.right, p.top, p.bottom});
  };
  if (p == Padding{}) return mean(x);
  return mean(with_border(x)) / mean(with_border(at::ones_like(x)));
}

// Of an NCHW tensor.
std::int64_t dimension_of(Axis axis) {
  switch (axis) {
    case Axis::height:
      return 2;
    case Axis::width:
      return 3;
    case Axis::channels:
      return 1;
  }
  return 1;
}

std::vector<float> values_of(const at::Tensor& t) {
  const at::Tensor flat = t.detach().contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

void copy_into(const at::Tensor& t, const std::vector<float>& values, at::IntArrayRef layout) {
  t.detach().copy_(at::tensor(values).reshape(layout));
}

}  // namespace

GraphModule::GraphModule(const Graph& graph, Random& random) : graph_(graph), nodes_(graph.nodes.size()) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = graph_.nodes[i];
    const std::int64_t in = node.inputs.empty() ? 0 : graph_.node(node.inputs[0]).shape.channels;
    const std::int64_t out = node.shape.channels;
    Tensors& t = nodes_[i];
    const auto convolution = [&](const Window& w, std::int64_t per_group, bool depthwise, bool bias) {
      const std::int64_t taps = std::int64_t{w.kernel_height} * w.kernel_width;
      const double fan_out = static_cast<double>(depthwise ? taps : taps * out);
      t.filter = drawn({out, per_group, w.kernel_height, w.kernel_width}, std::sqrt(2.0 / fan_out), random);
      t.filter = t.filter.contiguous(at::MemoryFormat::ChannelsLast).requires_grad_();
      if (bias) t.bias = at::zeros({out}).requires_grad_();
    };
    std::visit(overloaded{[&](const Conv2d& c) { convolution(c.window, in, false, c.bias); },
                          [&](const DepthwiseConv2d& d) { convolution(d.window, 1, true, d.bias); },
                          [&](const FullyConnected& f) {
                            const std::int64_t elements = graph_.node(node.inputs[0]).shape.elements();
                            t.filter =
                                drawn({out, elements}, std::sqrt(1.0 / static_cast<double>(elements)), random)
                                    .requires_grad_();
                            if (f.bias) t.bias = at::zeros({out}).requires_grad_();
                          },
                          [&](const BatchNorm&) {
                            t.gamma = at::ones({out}).requires_grad_();
                            t.beta = at::zeros({out}).requires_grad_();
                            t.mean = at::zeros({out});
                            t.variance = at::ones({out});
                          },
                          [](const Weightless auto&) {}},
               node.op);
  }
}

at::Tensor GraphModule::apply(const Node& node, const Tensors& t, const std::vector<at::Tensor>& in,
                              bool training) const {
  return std::visit(
      overloaded{[&](const Input&) { return in[0]; },
                 [&](const Conv2d& c) {
                   return activated(convolved(in[0], t.filter, t.bias, c.window, 1), c.activation);
                 },
                 [&](const DepthwiseConv2d& d) {
                   const at::Tensor& x = in[0];
                   return activated(convolved(x, t.filter, t.bias, d.window, x.size(1)), d.activation);
                 },
                 [&](const FullyConnected& f) {
                   // The runtime flattens height, width, channels in this order.
                   const at::Tensor flat = in[0].permute({0, 2, 3, 1}).reshape({in[0].size(0), -1});
                   return activated(at::linear(flat, t.filter, t.bias), f.activation)
                       .reshape({in[0].size(0), -1, 1, 1});
                 },
                 [&](const BatchNorm& b) {
                   return at::batch_norm(in[0], t.gamma, t.beta, t.mean, t.variance, training,
                                         kBatchNormMomentum, b.epsilon, false);
                 },
                 [&](const Activate& a) { return activated(in[0], a.activation); },
                 [&](const Add& a) { return activated(in[0] + in[1], a.activation); },
                 [&](const Mul& m) { return activated(in[0] * in[1], m.activation); },
                 [&](const AveragePool2d& p) { return activated(averaged(in[0], p.window), p.activation); },
                 [&](const MaxPool2d& p) {
                   const Window& w = p.window;
                   at::Tensor x = in[0];
                   if (!(w.padding == Padding{})) {
                     const Padding& pad = w.padding;
                     x = at::constant_pad_nd(x, {pad.left, pad.right, pad.top, pad.bottom}, -INFINITY);
                   }
                   return activated(at::max_pool2d(x, {w.kernel_height, w.kernel_width},
                                                   {w.stride_height, w.stride_width}),
                                    p.activation);
                 },
                 [&](const Softmax& s) { return at::softmax(in[0] * s.beta, 1); },
                 [&](const Mean& m) {
                   std::vector<std::int64_t> dimensions;
                   if (m.over_height) dimensions.push_back(2);
                   if (m.over_width) dimensions.push_back(3);
                   return dimensions.empty() ? in[0] : at::mean(in[0], dimensions, true);
                 },
                 [&](const Concatenation& c) { return at::cat(in, dimension_of(c.axis)); },
                 [&](const Pad& p) {
                   const Padding& b = p.padding;
                   return at::constant_pad_nd(
                       in[0], {b.left, b.right, b.top, b.bottom, p.channels_before, p.channels_after},
                       p.value);
                 },
                 [&](const Reshape& r) {  // in the runtime's order: height, width, channels
                   return in[0]
                       .permute({0, 2, 3, 1})
                       .reshape({in[0].size(0), r.shape.height, r.shape.width, r.shape.channels})
                       .permute({0, 3, 1, 2});
                 },
                 [&](const ResizeNearestNeighbor& r) {
                   const auto rows = nearest_sources(r, static_cast<std::int32_t>(in[0].size(2)), r.height);
                   const auto columns = nearest_sources(r, static_cast<std::int32_t>(in[0].size(3)), r.width);
                   return in[0].index_select(2, at::tensor(rows)).index_select(3, at::tensor(columns));
                 }},
      node.op);
}

at::Tensor GraphModule::forward(const at::Tensor& images, bool training) {
  const std::vector<NodeId> last = last_uses(graph_);
  std::vector<at::Tensor> values(nodes_.size());
  values[0] = images;
  for (NodeId id = 1; id < graph_.size(); ++id) {
    const Node& node = graph_.node(id);
    std::vector<at::Tensor> inputs;
    for (const NodeId from : node.inputs) inputs.push_back(values[static_cast<std::size_t>(from)]);
    values[static_cast<std::size_t>(id)] =
        apply(node, nodes_[static_cast<std::size_t>(id)], inputs, training);
    for (const NodeId from : node.inputs) {
      if (last[static_cast<std::size_t>(from)] == id) values[static_cast<std::size_t>(from)].reset();
    }
  }
  return values.back().flatten(1);
}

std::vector<at::Tensor> GraphModule::filters() const {
  std::vector<at::Tensor> all;
  for (const Tensors& t : nodes_) {
    if (t.filter.defined()) all.push_back(t.filter);
  }
  return all;
}

std::vector<at::Tensor> GraphModule::others() const {
  std::vector<at::Tensor> all;
  for (const Tensors& t : nodes_) {
    for (const at::Tensor* tensor : {&t.bias, &t.gamma, &t.beta}) {
      if (tensor->defined()) all.push_back(*tensor);
    }
  }
  return all;
}

std::vector<at::Tensor> GraphModule::state() const {
  std::vector<at::Tensor> all = filters();
  for (const at::Tensor& t : others()) all.push_back(t);
  for (const Tensors& t : nodes_) {
    if (t.mean.defined()) all.push_back(t.mean);
    if (t.variance.defined()) all.push_back(t.variance);
  }
  return all;
}

// Torch has conv2d as [out][in][kh][kw] and depthwise as [channel][1][kh][kw].
Weights GraphModule::weights() const {
  Weights weights = zero_weights(graph_);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Tensors& t = nodes_[i];
    NodeWeights& w = weights.nodes[i];
    if (t.filter.defined()) {
      const bool depthwise = std::holds_alternative<DepthwiseConv2d>(graph_.nodes[i].op);
      const bool flat = t.filter.dim() == 2;
      w.filter = values_of(
          flat ? t.filter
               : t.filter.permute(depthwise ? at::IntArrayRef{2, 3, 0, 1} : at::IntArrayRef{0, 2, 3, 1}));
    }
    if (t.bias.defined()) w.bias = values_of(t.bias);
    if (!t.gamma.defined()) continue;
    w.gamma = values_of(t.gamma);
    w.beta = values_of(t.beta);
    w.mean = values_of(t.mean);
    w.variance = values_of(t.variance);
  }
  return weights;
}

void GraphModule::set_weights(const Weights& weights) {
  verify(weights, graph_);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Tensors& t = nodes_[i];
    const NodeWeights& w = weights.nodes[i];
    if (t.filter.defined()) {
      const auto s = t.filter.sizes();
      if (s.size() == 2) {
        copy_into(t.filter, w.filter, s);
      } else if (std::holds_alternative<DepthwiseConv2d>(graph_.nodes[i].op)) {
        t.filter.detach().copy_(at::tensor(w.filter).reshape({s[2], s[3], s[0], s[1]}).permute({2, 3, 0, 1}));
      } else {
        t.filter.detach().copy_(at::tensor(w.filter).reshape({s[0], s[2], s[3], s[1]}).permute({0, 3, 1, 2}));
      }
    }
    if (t.bias.defined()) copy_into(t.bias, w.bias, t.bias.sizes());
    if (!t.gamma.defined()) continue;
    copy_into(t.gamma, w.gamma, t.gamma.sizes());
    copy_into(t.beta, w.beta, t.beta.sizes());
    copy_into(t.mean, w.mean, t.mean.sizes());
    copy_into(t.variance, w.variance, t.variance.sizes());
  }
}

}  // namespace mcufit
