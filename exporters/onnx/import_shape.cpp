// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "exporters/onnx/importer.h"

namespace mcufit::onnx_file {
namespace {

// A constant with its dimensions permuted.
Constant permuted(const Constant& in, const std::vector<std::size_t>& perm) {
  const std::size_t rank = perm.size();
  std::vector<std::size_t> strides(rank, 1);
  for (std::size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * static_cast<std::size_t>(in.dims[i]);
  Constant out = in;
  for (std::size_t i = 0; i < rank; ++i) out.dims[i] = in.dims[perm[i]];
  std::vector<std::int64_t> at(rank, 0);
  for (std::size_t place = 0; place < std::max(in.floats.size(), in.integers.size()); ++place) {
    std::size_t from = 0;
    for (std::size_t i = 0; i < rank; ++i) from += static_cast<std::size_t>(at[i]) * strides[perm[i]];
    if (!in.floats.empty()) out.floats[place] = in.floats[from];
    if (!in.integers.empty()) out.integers[place] = in.integers[from];
    for (std::size_t i = rank; i-- > 0;) {
      if (++at[i] < out.dims[i]) break;
      at[i] = 0;
    }
  }
  for (std::size_t i = 0; i < rank; ++i)
    if (static_cast<std::int64_t>(perm[i]) == in.axis) out.axis = static_cast<std::int64_t>(i);
  return out;
}

std::size_t long_dims(const Dims& dims) {
  return static_cast<std::size_t>(std::count_if(dims.begin(), dims.end(), [](auto dim) { return dim != 1; }));
}

// A Transpose's perm; reversed where it has none.
std::vector<std::size_t> permutation(const NodeReader& source, std::size_t rank) {
  std::vector<std::size_t> perm;
  for (const std::int64_t axis : source.integers("perm")) perm.push_back(axis_index(source, axis, rank));
  if (!source.has("perm"))
    for (std::size_t i = rank; i-- > 0;) perm.push_back(i);
  std::vector<bool> seen(rank, false);
  for (const std::size_t axis : perm) seen[axis] = true;
  if (perm.size() != rank || std::find(seen.begin(), seen.end(), false) != seen.end())
    source.refuse(fmt::format("found a perm that is no permutation of {} dimensions", rank));
  return perm;
}

// Which of the node's axes each dimension above 1 is; empty where they do not correspond.
std::vector<Axis> axes_of_dims(const Value& value, const Shape& shape) {
  const auto axes = long_axes(shape, value.order);
  std::size_t next = 0;
  for (const std::int64_t dim : value.dims) {
    if (dim == 1) continue;
    if (next == axes.size() || extent(shape, axes[next]) != dim) return {};
    ++next;
  }
  return next == axes.size() ? axes : std::vector<Axis>{};
}

}  // namespace

Dims Importer::dims_of(const NodeReader& source, std::size_t input) {
  const Constant* fixed = source.has_input(input) ? constant(source.input(input)) : nullptr;
  return fixed != nullptr ? fixed->dims : read(source, input).dims;
}

// The same elements in the same order, of a constant or a computed tensor.
void Importer::give_dims(const NodeReader& source, const Dims& dims) {
  if (dims.size() > 8) source.refuse("found more than 8 dimensions");
  const std::int64_t before = element_count(dims_of(source, 0));
  if (element_count(dims) != before)
    source.refuse(fmt::format("reshapes {} to {}; accepted: as many elements", dims_text(dims_of(source, 0)),
                              dims_text(dims)));
  if (const Constant* fixed = constant(source.input(0)); fixed != nullptr) {
    Constant result = *fixed;
    count_weights(source, result.floats.size());
    if (result.scales.size() > 1) source.refuse("reshapes a constant with a scale per channel");
    result.dims = dims;
    return define(source, std::move(result));
  }
  Value value = read(source, 0);
  value.dims = dims;
  define(source, value);
}

void Importer::constant_node(const NodeReader& source) {
  source.check(0, 0, {"value", "value_float", "value_floats", "value_int", "value_ints"});
  const std::string where = fmt::format("{}: {}", name_, source.node_name());
  if (source.has("value")) return define(source, read_tensor(source.tensor("value"), where));
  Constant result;
  if (source.has("value_float")) result.floats = {source.number("value_float", 0)};
  if (source.has("value_floats")) result.floats = source.numbers("value_floats");
  if (source.has("value_int")) result.integers = {source.integer("value_int", 0)};
  if (source.has("value_ints")) result.integers = source.integers("value_ints");
  result.is_float = result.integers.empty();
  const std::size_t count = std::max(result.floats.size(), result.integers.size());
  if (source.has("value_floats") || source.has("value_ints"))
    result.dims = {static_cast<std::int64_t>(count)};
  else if (count != 1)
    source.refuse("has no value");
  define(source, std::move(result));
}

// Also Dropout, which does nothing but in training.
void Importer::identity(const NodeReader& source) {
  source.check(1, 3, {"ratio", "seed", "is_test"});
  if (source.has_input(2)) {
    const Constant* training = constant(source.input(2));
    if (training == nullptr) source.refuse("found a training mode that is computed; supported: inference");
  }
  if (quantized_ && constant(source.input(0)) == nullptr) return unary(source, Activate{Activation::none});
  give_dims(source, dims_of(source, 0));
}

void Importer::reshape(const NodeReader& source) {
  source.check(1, 2, {"allowzero", "shape"});
  const Dims before = dims_of(source, 0);
  Dims dims = integers_of(source, "shape", 1);
  std::size_t open = dims.size();
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && source.integer("allowzero", 0) == 0) {
      if (i >= before.size()) source.refuse("found a 0 for a dimension that its input has not");
      dims[i] = before[i];
    }
    if (dims[i] != -1) continue;
    if (open != dims.size()) source.refuse("found several -1; accepted: one");
    open = i;
  }
  if (open != dims.size()) {
    dims[open] = 1;
    const std::int64_t known = element_count(dims), all = element_count(before);
    if (known == 0 || all % known != 0)
      source.refuse(fmt::format("{} elements do not fill multiples of {}", all, known));
    dims[open] = all / known;
  }
  give_dims(source, dims);
}

void Importer::flatten(const NodeReader& source) {
  source.check(1, 1, {"axis"});
  const Dims before = dims_of(source, 0);
  const std::int64_t wanted = source.integer("axis", 1);
  const auto axis = wanted == static_cast<std::int64_t>(before.size())
                        ? before.size()
                        : axis_index(source, wanted, before.size());
  const auto split = before.begin() + static_cast<std::ptrdiff_t>(axis);
  give_dims(source, {element_count({before.begin(), split}), element_count({split, before.end()})});
}

void Importer::squeeze(const NodeReader& source) {
  source.check(1, 2, {"axes"});
  const Dims before = dims_of(source, 0);
  const Dims axes = integers_of(source, "axes", 1);
  std::vector<bool> gone(before.size(), false);
  for (const std::int64_t axis : axes) {
    const std::size_t i = axis_index(source, axis, before.size());
    if (before[i] != 1) source.refuse(fmt::format("squeezes an extent of {}; accepted: 1", before[i]));
    gone[i] = true;
  }
  Dims dims;
  for (std::size_t i = 0; i < before.size(); ++i)
    if (!gone[i] && (!axes.empty() || before[i] != 1)) dims.push_back(before[i]);
  give_dims(source, dims);
}

void Importer::unsqueeze(const NodeReader& source) {
  source.check(1, 2, {"axes"});
  const Dims before = dims_of(source, 0);
  const Dims axes = integers_of(source, "axes", 1);
  if (axes.size() > 8) source.refuse("found more than 8 axes");
  std::vector<bool> added(before.size() + axes.size(), false);
  for (const std::int64_t axis : axes) {
    const std::size_t i = axis_index(source, axis, added.size());
    if (added[i]) source.refuse(fmt::format("found axis {} twice", axis));
    added[i] = true;
  }
  Dims dims;
  auto next = before.begin();
  for (const bool one : added) dims.push_back(one ? 1 : *next++);
  give_dims(source, dims);
}

void Importer::transpose(const NodeReader& source) {
  source.check(1, 1, {"perm"});
  const Dims before = dims_of(source, 0);
  const std::vector<std::size_t> perm = permutation(source, before.size());
  if (const Constant* fixed = constant(source.input(0)); fixed != nullptr) {
    count_weights(source, fixed->floats.size());
    return define(source, permuted(*fixed, perm));
  }
  Value value = read(source, 0);
  if (axes_of_dims(value, shape(value.node)).size() != long_dims(before)) {
    // A vector that becomes an image: channels stand last before they come first.
    const Labels labels = labels_with(source, value, before.size() - 1, Axis::channels);
    value.node = as(source, value, labels);
    value.order = order_of(labels);
  }
  const auto axes = axes_of_dims(value, shape(value.node));
  std::vector<Axis> of_dim(before.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < before.size(); ++i)
    if (before[i] != 1) of_dim[i] = axes[next++];
  Labels moved;
  for (std::size_t i = 0; i < perm.size(); ++i) {
    value.dims[i] = before[perm[i]];
    if (before[perm[i]] != 1) moved.push_back(of_dim[perm[i]]);
  }
  value.order = order_of(moved);
  define(source, value);
}

}  // namespace mcufit::onnx_file
