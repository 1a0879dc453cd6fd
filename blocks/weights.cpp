// SPDX-License-Identifier: Apache-2.0
#include "blocks/weights.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"

namespace mcufit {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

constexpr std::int64_t kMostHeaderBytes = 1 << 24;

// Calls visit(tensor name, vector) for each tensor kind of a node; the same order everywhere.
template <typename Node, typename Visit>
void each_tensor(Node& node, const Visit& visit) {
  visit("filter", node.filter);
  visit("bias", node.bias);
  visit("gamma", node.gamma);
  visit("beta", node.beta);
  visit("mean", node.mean);
  visit("variance", node.variance);
}

NodeWeights sized(std::int64_t filter, std::int64_t bias) {
  NodeWeights w;
  w.filter.resize(static_cast<std::size_t>(filter));
  w.bias.resize(static_cast<std::size_t>(bias));
  return w;
}

NodeWeights expected(const Graph& graph, const Node& node) {
  const auto in = [&] { return graph.node(node.inputs[0]).shape; };
  return std::visit(overloaded{[&](const Conv2d& c) {
                                 return sized(c.window.taps() * in().channels * c.output_channels,
                                              c.bias ? c.output_channels : 0);
                               },
                               [&](const DepthwiseConv2d& d) {
                                 const std::int64_t channels = std::int64_t{in().channels} * d.multiplier;
                                 return sized(d.window.taps() * channels, d.bias ? channels : 0);
                               },
                               [&](const FullyConnected& f) {
                                 return sized(in().elements() * f.output_channels,
                                              f.bias ? f.output_channels : 0);
                               },
                               [&](const BatchNorm&) {
                                 NodeWeights w;
                                 const std::vector<float> zeros(static_cast<std::size_t>(in().channels));
                                 w.gamma = w.beta = w.mean = w.variance = zeros;
                                 return w;
                               },
                               [](const Weightless auto&) { return NodeWeights{}; }},
                    node.op);
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw Error(ExitCode::input,
              fmt::format("{}: {}; accepted: a safetensors file of this graph", path.string(), what));
}

nlohmann::json parse_header(const std::filesystem::path& path, const std::string& content) {
  std::uint64_t length = 0;
  if (content.size() < sizeof length) refuse(path, fmt::format("found {} bytes", content.size()));
  std::memcpy(&length, content.data(), sizeof length);
  if (length > static_cast<std::uint64_t>(kMostHeaderBytes) || length > content.size() - sizeof length) {
    refuse(path, fmt::format("the header claims {} bytes of {}", length, content.size()));
  }
  auto header = nlohmann::json::parse(content.begin() + sizeof length,
                                      content.begin() + static_cast<std::ptrdiff_t>(sizeof length + length),
                                      nullptr, false);
  if (!header.is_object()) refuse(path, "the header is not a JSON object");
  return header;
}

// Where one tensor lies in the file's data section; nothing where its entry is not one of 32-bit floats
// inside it.
std::optional<std::string_view> float_bytes(const nlohmann::json& entry, std::string_view data) {
  if (!entry.is_object() || entry.value("dtype", nlohmann::json()) != "F32") return std::nullopt;
  const nlohmann::json offsets = entry.value("data_offsets", nlohmann::json());
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned()) {
    return std::nullopt;
  }
  const auto begin = offsets[0].get<std::uint64_t>();
  const auto end = offsets[1].get<std::uint64_t>();
  if (begin > end || end > data.size()) return std::nullopt;
  return data.substr(begin, end - begin);
}

// Copies one tensor out of the file's data section after checking dtype, shape and offsets.
void read_tensor(const std::filesystem::path& path, const nlohmann::json& header, std::string_view data,
                 const std::string& name, std::vector<float>& into) {
  const auto entry = header.find(name);
  if (entry == header.end()) refuse(path, fmt::format("tensor '{}' is missing", name));
  const auto found = float_bytes(*entry, data);
  if (!found) refuse(path, fmt::format("tensor '{}' has a wrong type or lies outside of the file", name));
  const std::size_t bytes = into.size() * sizeof(float);
  if (found->size() != bytes) {
    refuse(path, fmt::format("tensor '{}' has {} bytes where the graph has {}", name, found->size(), bytes));
  }
  std::memcpy(into.data(), found->data(), bytes);
}

}  // namespace

Weights zero_weights(const Graph& graph) {
  Weights weights;
  for (const Node& node : graph.nodes) weights.nodes.push_back(expected(graph, node));
  return weights;
}

void verify(const Weights& weights, const Graph& graph) {
  if (weights.nodes.size() != graph.nodes.size()) {
    throw Error(ExitCode::input, fmt::format("weights of {}: found {} nodes; accepted: {}", graph.name,
                                             weights.nodes.size(), graph.nodes.size()));
  }
  for (std::size_t i = 0; i < weights.nodes.size(); ++i) {
    std::vector<std::size_t> lengths;
    const NodeWeights wanted = expected(graph, graph.nodes[i]);
    each_tensor(wanted, [&](std::string_view, const auto& t) { lengths.push_back(t.size()); });
    std::size_t kind = 0;
    each_tensor(weights.nodes[i], [&](std::string_view tensor, const std::vector<float>& values) {
      if (values.size() != lengths[kind]) {
        throw Error(ExitCode::input, fmt::format("{}.{}: found {} values; accepted: {}", graph.nodes[i].name,
                                                 tensor, values.size(), lengths[kind]));
      }
      ++kind;
      for (const float v : values) {
        if (!std::isfinite(v)) {
          throw Error(ExitCode::input, fmt::format("{}.{}: found {}; accepted: finite values",
                                                   graph.nodes[i].name, tensor, v));
        }
      }
    });
  }
}

void write_weights(const std::filesystem::path& path, const Weights& weights, const Graph& graph) {
  verify(weights, graph);
  nlohmann::json header = {{"__metadata__", {{"format", "mcufit"}, {"graph", graph.name}}}};
  std::string data;
  for (std::size_t i = 0; i < weights.nodes.size(); ++i) {
    each_tensor(weights.nodes[i], [&](std::string_view tensor, const std::vector<float>& values) {
      if (values.empty()) return;
      const std::size_t begin = data.size();
      data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
      header[fmt::format("{}.{}", graph.nodes[i].name, tensor)] = {
          {"dtype", "F32"}, {"shape", {values.size()}}, {"data_offsets", {begin, data.size()}}};
    });
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // the format wants the data aligned
  const std::uint64_t length = text.size();
  std::string content(reinterpret_cast<const char*>(&length), sizeof length);
  write_file(path, content + text + data);
}

Weights read_weights(const std::filesystem::path& path, const Graph& graph) {
  const std::string content = read_file(path);
  const nlohmann::json header = parse_header(path, content);
  std::uint64_t length = 0;
  std::memcpy(&length, content.data(), sizeof length);
  const std::string_view data = std::string_view(content).substr(sizeof length + length);
  Weights weights = zero_weights(graph);
  for (std::size_t i = 0; i < weights.nodes.size(); ++i) {
    each_tensor(weights.nodes[i], [&](std::string_view tensor, std::vector<float>& values) {
      if (!values.empty())
        read_tensor(path, header, data, fmt::format("{}.{}", graph.nodes[i].name, tensor), values);
    });
  }
  verify(weights, graph);
  return weights;
}

}  // namespace mcufit
