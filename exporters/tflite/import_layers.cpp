// SPDX-License-Identifier: Apache-2.0
// Operators with filters, and poolings.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "exporters/tflite/importer.h"

namespace mcufit::tflite {
namespace {

// All filters together, since operators may share a file's buffers but have filters of their own here.
constexpr std::size_t kMostFilterBytes = std::size_t{64} << 20;

Padding operator+(const Padding& a, const Padding& b) {
  return {a.top + b.top, a.bottom + b.bottom, a.left + b.left, a.right + b.right};
}

}  // namespace

std::vector<std::int8_t> Importer::take_filter(const OperatorReader& source, const Tensor& filter) {
  filter_bytes_ += filter.data.size();
  if (filter_bytes_ > kMostFilterBytes)
    source.refuse(fmt::format("found more than {} bytes of filters; accepted: up to this", kMostFilterBytes));
  std::vector<std::int8_t> values(filter.data.size());
  std::memcpy(values.data(), filter.data.data(), values.size());
  return values;
}

QuantizedNode Importer::weighted(const OperatorReader& source, const Tensor& filter, NodeId input,
                                 std::int32_t channels, std::int32_t dimension) {
  QuantizedNode node = unweighted(source);
  source.read_scales(filter, channels, dimension, node);
  source.read_bias(graph_.node(input).output, channels, node);
  node.filter = take_filter(source, filter);
  return node;
}

Importer::Padded Importer::absorb_padding(const OperatorReader& source, std::int32_t border) {
  const NodeId in = read(source, 0);
  const Node& last = graph_.graph.nodes.back();
  const auto* pad = std::get_if<Pad>(&last.op);
  const bool ours = file_.is_ours && in == graph_.graph.size() - 1 && pad != nullptr &&
                    last.name == fmt::format("{}{}", source.node_name(), kPaddingSuffix) &&
                    pad->channels_before == 0 && pad->channels_after == 0 && pad_value(graph_, in) == border;
  if (!ours) return {in, {}};
  const Padded padded{last.inputs[0], pad->padding};
  nodes_.erase(source.input(0));
  graph_.graph.nodes.pop_back();
  graph_.nodes.pop_back();
  return padded;
}

void Importer::add_conv2d(const OperatorReader& source) {
  source.check_operands(2, 3);
  const auto& o = source.options<schema::Conv2DOptions>();
  const auto [in, padding] = absorb_padding(source, graph_.node(read(source, 0)).output.zero_point);
  const Tensor& filter = source.filter(4);
  if (filter.extents[3] != shape(in).channels)
    source.refuse(fmt::format("a filter over {} channels reads {}; supported: all channels in one group",
                              filter.extents[3], shape(in).channels));
  Window w = source.window({o.padding(), filter.extents[1], filter.extents[2], o.stride_h(), o.stride_w(),
                            o.dilation_h_factor(), o.dilation_w_factor()},
                           shape(in));
  w.padding = w.padding + padding;
  const std::int32_t channels = filter.extents[0];
  QuantizedNode node = weighted(source, filter, in, channels, 0);
  const bool bias = !node.bias.empty();
  const Activation activation = source.activation(o.fused_activation_function());
  const Window whole{shape(in).height, shape(in).width, 1, 1};
  if (file_.is_ours && w == whole && filter.name == fmt::format("{}{}", source.node_name(), kLayerSuffix))
    return append(source, FullyConnected{channels, bias, activation}, {in}, std::move(node));
  append(source, Conv2d{channels, w, bias, activation}, {in}, std::move(node));
}

void Importer::add_depthwise(const OperatorReader& source) {
  source.check_operands(2, 3);
  const auto& o = source.options<schema::DepthwiseConv2DOptions>();
  const auto [in, padding] = absorb_padding(source, graph_.node(read(source, 0)).output.zero_point);
  const Tensor& filter = source.filter(4);
  const std::int32_t channels = filter.extents[3];
  const std::int32_t multiplier = channels / shape(in).channels;
  if (filter.extents[0] != 1 || multiplier < 1 || channels != multiplier * shape(in).channels ||
      (o.depth_multiplier() > 0 && o.depth_multiplier() != multiplier))
    source.refuse(
        fmt::format("a filter {} with channel multiplier {} reads {} channels; accepted: 1xHxWxC with C = "
                    "channels * multiplier",
                    extents_text(filter), o.depth_multiplier(), shape(in).channels));
  DepthwiseConv2d op;
  op.window = source.window({o.padding(), filter.extents[1], filter.extents[2], o.stride_h(), o.stride_w(),
                             o.dilation_h_factor(), o.dilation_w_factor()},
                            shape(in));
  op.window.padding = op.window.padding + padding;
  QuantizedNode node = weighted(source, filter, in, channels, 3);
  op.bias = !node.bias.empty();
  op.activation = source.activation(o.fused_activation_function());
  op.multiplier = multiplier;
  append(source, op, {in}, std::move(node));
}

void Importer::add_fully_connected(const OperatorReader& source) {
  source.check_operands(2, 3);
  const auto& o = source.options<schema::FullyConnectedOptions>();
  if (o.weights_format() != schema::FullyConnectedOptionsWeightsFormat::DEFAULT)
    source.refuse("found shuffled weights; supported: the default format");
  const NodeId in = read(source, 0);
  const Tensor& filter = source.filter(2);
  if (filter.extents[1] != shape(in).elements())
    source.refuse(
        fmt::format("a filter over {} inputs reads {}; accepted: equal numbers, one sample at a time",
                    filter.extents[1], shape(in).elements()));
  const std::int32_t channels = filter.extents[0];
  QuantizedNode node = weighted(source, filter, in, channels, 0);
  node.one_filter_scale = filter.scales.size() == 1;
  const bool bias = !node.bias.empty();
  append(source, FullyConnected{channels, bias, source.activation(o.fused_activation_function())}, {in},
         std::move(node));
}

template <typename Pool>
void Importer::add_pool(const OperatorReader& source) {
  source.check_operands(1, 1);
  const auto& o = source.options<schema::Pool2DOptions>();
  const bool largest = std::is_same_v<Pool, MaxPool2d>;
  const auto [in, padding] = largest ? absorb_padding(source, -128) : Padded{read(source, 0), {}};
  Window w = source.window({o.padding(), o.filter_height(), o.filter_width(), o.stride_h(), o.stride_w()},
                           shape(in));
  w.padding = w.padding + padding;
  append(source, Pool{w, source.activation(o.fused_activation_function())}, {in}, unweighted(source));
}

void Importer::add_average_pool(const OperatorReader& source) { add_pool<AveragePool2d>(source); }
void Importer::add_max_pool(const OperatorReader& source) { add_pool<MaxPool2d>(source); }

}  // namespace mcufit::tflite
