// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "exporters/onnx/importer.h"

namespace mcufit::onnx_file {
namespace {

// Exporters write 1/6 with six digits or more.
constexpr float kSlopeTolerance = 1e-6F;

}  // namespace

// The op on the node as it is; the file's tensor keeps shape and order.
void Importer::unary(const NodeReader& source, const Op& op) {
  const Value value = read(source, 0);
  const NodeId id = append(source.node_name(), op, {value.node});
  define(source, Value{id, value.order, value.dims});
}

void Importer::activation(const NodeReader& source) {
  source.check(1, 1, {});
  const std::string& type = source.type();
  const Activation activation = type == "Relu"      ? Activation::relu
                                : type == "Sigmoid" ? Activation::sigmoid
                                                    : Activation::hard_swish;
  unary(source, Activate{activation});
}

void Importer::clip(const NodeReader& source) {
  source.check(1, 3, {"min", "max"});
  constexpr float kLargest = std::numeric_limits<float>::max();
  const float low = scalar(source, 1, source.number("min", -kLargest));
  const float high = scalar(source, 2, source.number("max", kLargest));
  if (low != 0 || (high != 6 && high != kLargest))
    source.refuse(fmt::format("clips to [{}, {}]; supported: [0, 6] and [0, infinity)", low, high));
  unary(source, Activate{high == 6 ? Activation::relu6 : Activation::relu});
}

void Importer::hard_sigmoid(const NodeReader& source) {
  source.check(1, 1, {"alpha", "beta"});
  const float alpha = source.number("alpha", 0.2F), beta = source.number("beta", 0.5F);
  if (!(std::abs(alpha - 1.0F / 6) <= kSlopeTolerance && beta == 0.5F))
    source.refuse(fmt::format("found alpha {} and beta {}; supported: 1/6 and 0.5", alpha, beta));
  unary(source, Activate{Activation::hard_sigmoid});
}

// The constant operand of `by` as one number per channel of the other, and what the other's dimensions mean.
std::pair<Labels, std::vector<float>> Importer::per_channel(const NodeReader& source, const Value& value,
                                                            const Constant& by) {
  const std::size_t rank = value.dims.size();
  const auto fail = [&]() {
    source.refuse(fmt::format("a constant {} meets {}; supported: float32, one number or one per channel",
                              dims_text(by.dims), dims_text(value.dims)));
  };
  if (!by.is_float || by.floats.empty() || by.dims.size() > rank) fail();
  if (by.floats.size() == 1) {
    const Labels labels = labels_for(source, {value});
    const auto there = labelled_shape(value.dims, labels);
    return {labels, std::vector<float>(static_cast<std::size_t>(there->channels), by.floats[0])};
  }
  std::size_t dim = 0;
  for (std::size_t i = 0; i < by.dims.size(); ++i) {
    if (by.dims[i] == 1) continue;
    if (dim != 0) fail();
    dim = rank - by.dims.size() + i;
  }
  if (dim == 0 || value.dims[dim] != static_cast<std::int64_t>(by.floats.size())) fail();
  return {labels_with(source, value, dim, Axis::channels), by.floats};
}

void Importer::add_sum(const NodeReader& source) {
  source.check(2, 2, {});
  for (const std::size_t i : {0U, 1U}) {
    const Constant* by = constant(source.input(i));
    if (by == nullptr) continue;
    if (!becomes_bias(source, 1 - i, *by)) affine(source, 1 - i, *by, &Importer::add_sum);
    return;
  }
  const Value a = read(source, 0), b = read(source, 1);
  if (a.dims != b.dims)
    source.refuse(fmt::format("adds {} and {}; supported: equal shapes, or a constant per channel",
                              dims_text(a.dims), dims_text(b.dims)));
  const Labels labels = labels_for(source, {a, b});
  const NodeId left = as(source, a, labels), right = as(source, b, labels);
  define(source, append(source.node_name(), Add{}, {left, right}), labels);
}

// x * hard_sigmoid(x); the hard_sigmoid is dropped in the end where nobody else reads it.
bool Importer::is_hard_swish(const NodeReader& source, const Value& a, const Value& b) {
  const Node& gate = graph_.node(b.node);
  const auto* activate = std::get_if<Activate>(&gate.op);
  const bool swish = activate != nullptr && activate->activation == Activation::hard_sigmoid &&
                     gate.inputs[0] == a.node && a.dims == b.dims &&
                     same_order(shape(a.node), a.order, b.order);
  if (!swish) return false;
  const NodeId id = append(source.node_name(), Activate{Activation::hard_swish}, {a.node});
  define(source, Value{id, a.order, a.dims});
  return true;
}

void Importer::multiply(const NodeReader& source) {
  source.check(2, 2, {});
  for (const std::size_t i : {0U, 1U}) {
    const Constant* by = constant(source.input(i));
    if (by == nullptr) continue;
    affine(source, 1 - i, *by, &Importer::multiply);
    return;
  }
  Value a = read(source, 0), b = read(source, 1);
  if (is_hard_swish(source, a, b) || is_hard_swish(source, b, a)) return;
  if (element_count(a.dims) < element_count(b.dims)) std::swap(a, b);
  const bool broadcasts = a.dims.size() == b.dims.size();
  if (!broadcasts)
    source.refuse(fmt::format("multiplies {} by {}; supported: equal shapes, and one number per channel",
                              dims_text(a.dims), dims_text(b.dims)));
  const Labels labels = labels_for(source, {a, b});
  const NodeId left = as(source, a, labels), right = as(source, b, labels);
  define(source, append(source.node_name(), Mul{}, {left, right}), labels);
}

void Importer::subtract(const NodeReader& source) {
  source.check(2, 2, {});
  affine(source, 0, required_constant(source, 1, "subtrahend"), &Importer::subtract);
}

void Importer::divide(const NodeReader& source) {
  source.check(2, 2, {});
  affine(source, 0, required_constant(source, 1, "divisor"), &Importer::divide);
}

// Before operator set 13 over everything from the axis on, since then along the axis alone.
void Importer::softmax(const NodeReader& source) {
  source.check(1, 1, {"axis"});
  const Value value = read(source, 0);
  const std::size_t rank = value.dims.size();
  const bool along = source.operator_set() >= 13;
  const std::size_t axis = axis_index(source, source.integer("axis", along ? -1 : 1), rank);
  Value seen = value;
  std::size_t dim = axis;
  if (!along) {
    const auto split = value.dims.begin() + static_cast<std::ptrdiff_t>(axis);
    seen.dims = {1, element_count({value.dims.begin(), split}), element_count({split, value.dims.end()})};
    dim = 2;
  }
  const Labels labels = seen.dims.size() == 2 || dim == 0 ? labels_for(source, {seen})
                                                          : labels_with(source, seen, dim, Axis::channels);
  if (dim == 0) source.refuse("is over the batch; supported: over channels");
  const NodeId from = as(source, seen, labels);
  const NodeId id = append(source.node_name(), Softmax{}, {from});
  define(source, Value{id, order_of(labels), value.dims});
}

}  // namespace mcufit::onnx_file
