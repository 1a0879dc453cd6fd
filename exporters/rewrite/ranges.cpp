// SPDX-License-Identifier: Apache-2.0
#include "exporters/rewrite/ranges.h"

#include <algorithm>
#include <cstdlib>

#include "exporters/lookup.h"
#include "exporters/runtime/mcufit_rounding.h"

namespace mcufit {
namespace {

using Ranges = std::vector<ByteRange>;

ByteRange joined(ByteRange a, ByteRange b) { return {std::min(a.least, b.least), std::max(a.most, b.most)}; }

ByteRange clamped(std::int32_t least, std::int32_t most, ClampRange range) {
  return {std::clamp(least, range.minimum, range.maximum), std::clamp(most, range.minimum, range.maximum)};
}

ByteRange clamped(ByteRange bytes, ClampRange range) { return clamped(bytes.least, bytes.most, range); }

std::int32_t rescale(std::int64_t value, FixedPoint by) {
  return mcufit_requantize(static_cast<std::int32_t>(value), by.multiplier, by.shift);
}

bool padded(const Window& w) { return w.padding != Padding{}; }

// Every rescaling is monotonic, so the ends of a sum give the ends of an output.
class RangesOfNode {
 public:
  RangesOfNode(const QuantizedGraph& graph, NodeId id, const std::vector<Ranges>& all)
      : graph_(graph), id_(id), node_(graph.graph.node(id)), output_(graph.node(id).output) {
    for (const NodeId from : node_.inputs) {
      in_.push_back(&all[static_cast<std::size_t>(from)]);
      zero_points_.push_back(graph.node(from).output.zero_point);
    }
    channels_ = static_cast<std::size_t>(node_.shape.channels);
  }

  Ranges operator()(const Input&) const { return Ranges(channels_); }
  Ranges operator()(const Softmax&) const { return Ranges(channels_); }
  Ranges operator()(const Conv2d& c) const { return sums(padded(c.window), c.activation); }
  Ranges operator()(const DepthwiseConv2d& d) const { return sums(padded(d.window), d.activation); }
  Ranges operator()(const FullyConnected& f) const { return sums(false, f.activation); }

  Ranges operator()(const Add& a) const {
    const AddMultipliers m = add_multipliers(graph_, id_);
    const auto sum = [&](std::int32_t x, std::int32_t y) {
      const std::int64_t one = std::int64_t{1} << 20;
      return rescale(rescale((x - zero_points_[0]) * one, m.input1) +
                         std::int64_t{rescale((y - zero_points_[1]) * one, m.input2)},
                     m.output) +
             output_.zero_point;
    };
    return each([&](std::size_t c) {
      const ByteRange &x = in(0, c), &y = in(1, c);
      return clamped(sum(x.least, y.least), sum(x.most, y.most), clamp_range(a.activation, output_));
    });
  }

  Ranges operator()(const Mul& m) const {
    const FixedPoint by = mul_multiplier(graph_, id_);
    return each([&](std::size_t c) {
      const auto product = [&](std::int32_t x, std::int32_t y) {
        return rescale(std::int64_t{x - zero_points_[0]} * (y - zero_points_[1]), by) + output_.zero_point;
      };
      const ByteRange &x = in(0, c), &y = in(1, c);
      const auto [least, most] = std::minmax({product(x.least, y.least), product(x.least, y.most),
                                              product(x.most, y.least), product(x.most, y.most)});
      return clamped(least, most, clamp_range(m.activation, output_));
    });
  }

  Ranges operator()(const Mean&) const {
    const FixedPoint by = mean_multiplier(graph_, id_);
    const std::int64_t elements =
        graph_.graph.node(node_.inputs[0]).shape.elements() / node_.shape.elements();
    const auto mean = [&](std::int32_t x) {
      return rescale((x - zero_points_[0]) * elements, by) + output_.zero_point;
    };
    return each([&](std::size_t c) { return clamped(mean(in(0, c).least), mean(in(0, c).most), {}); });
  }

  Ranges operator()(const Activate&) const {
    const auto table = lookup_table(graph_, id_);
    return each([&](std::size_t c) {
      const auto [least, most] =
          std::minmax_element(table.begin() + in(0, c).least + 128, table.begin() + in(0, c).most + 129);
      return ByteRange{*least, *most};
    });
  }

  // An average lies between the least and the most, rounded too.
  Ranges operator()(const AveragePool2d& p) const { return kept(p.activation); }
  Ranges operator()(const MaxPool2d& p) const { return kept(p.activation); }
  Ranges operator()(const ResizeNearestNeighbor&) const { return *in_[0]; }

  Ranges operator()(const Reshape&) const {
    if (in_[0]->size() == channels_) return *in_[0];  // channels are innermost, before and after
    ByteRange any = in(0, 0);
    for (const ByteRange& range : *in_[0]) any = joined(any, range);
    return Ranges(channels_, any);
  }

  Ranges operator()(const Concatenation& op) const {
    Ranges ranges = *in_[0];
    for (std::size_t i = 1; i < in_.size(); ++i) {
      if (op.axis == Axis::channels) ranges.insert(ranges.end(), in_[i]->begin(), in_[i]->end());
      for (std::size_t c = 0; c < channels_ && op.axis != Axis::channels; ++c)
        ranges[c] = joined(ranges[c], in(i, c));
    }
    return ranges;
  }

  Ranges operator()(const Pad& p) const {
    Ranges ranges(channels_, ByteRange{pad_value(graph_, id_), pad_value(graph_, id_)});
    const auto before = static_cast<std::size_t>(p.channels_before);
    for (std::size_t c = 0; c < in_[0]->size(); ++c)
      ranges[before + c] = p.padding == Padding{} ? in(0, c) : joined(ranges[before + c], in(0, c));
    return ranges;
  }

  Ranges operator()(const BatchNorm&) const { std::abort(); }  // verify() does not let it through

 private:
  const ByteRange& in(std::size_t operand, std::size_t channel) const { return (*in_[operand])[channel]; }

  template <typename Range>
  Ranges each(const Range& range) const {
    Ranges ranges;
    for (std::size_t c = 0; c < channels_; ++c) ranges.push_back(range(c));
    return ranges;
  }

  Ranges kept(Activation activation) const {
    return each([&](std::size_t c) { return clamped(in(0, c), clamp_range(activation, output_)); });
  }

  // Of an op with a filter. A tap on the padding reads the zero point.
  Ranges sums(bool with_padding, Activation activation) const {
    const QuantizedNode& q = graph_.node(id_);
    std::vector<std::int64_t> least(q.bias.begin(), q.bias.end());
    least.resize(channels_);
    std::vector<std::int64_t> most = least;
    for (std::size_t i = 0; i < q.filter.size(); ++i) {
      const FilterPlace place = filter_place(graph_.graph, id_, i);
      ByteRange x = in(0, place.input);
      if (with_padding) x = joined(x, {zero_points_[0], zero_points_[0]});
      const std::int32_t a = q.filter[i] * (x.least - zero_points_[0]);
      const std::int32_t b = q.filter[i] * (x.most - zero_points_[0]);
      least[place.output] += std::min(a, b);
      most[place.output] += std::max(a, b);
    }
    const std::vector<FixedPoint> by = channel_multipliers(graph_, id_);
    return each([&](std::size_t c) {
      return clamped(rescale(least[c], by[c]) + output_.zero_point,
                     rescale(most[c], by[c]) + output_.zero_point, clamp_range(activation, output_));
    });
  }

  const QuantizedGraph& graph_;
  NodeId id_;
  const Node& node_;
  Quantization output_;
  std::vector<const Ranges*> in_;
  std::vector<std::int32_t> zero_points_;
  std::size_t channels_ = 0;
};

}  // namespace

FilterPlace filter_place(const Graph& graph, NodeId id, std::size_t i) {
  const Node& node = graph.node(id);
  const Shape& in = graph.node(node.inputs[0]).shape;
  const auto inputs = static_cast<std::size_t>(in.channels);
  const auto mixed = [&](std::int64_t per_output) {
    return FilterPlace{i / static_cast<std::size_t>(per_output), i % inputs};
  };
  return std::visit(overloaded{[&](const Conv2d& c) { return mixed(c.window.taps() * in.channels); },
                               [&](const FullyConnected&) { return mixed(in.elements()); },
                               [&](const DepthwiseConv2d& d) {
                                 const std::size_t output = i % static_cast<std::size_t>(node.shape.channels);
                                 return FilterPlace{output, output / static_cast<std::size_t>(d.multiplier)};
                               },
                               [](const BatchNorm&) -> FilterPlace { std::abort(); },
                               [](const Weightless auto&) -> FilterPlace { std::abort(); }},
                    node.op);
}

std::vector<std::vector<ByteRange>> channel_ranges(const QuantizedGraph& graph) {
  std::vector<Ranges> all;
  all.reserve(graph.graph.nodes.size());
  for (NodeId id = 0; id < graph.graph.size(); ++id)
    all.push_back(std::visit(RangesOfNode(graph, id, all), graph.graph.node(id).op));
  return all;
}

}  // namespace mcufit
