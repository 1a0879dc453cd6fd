// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "blocks/foundation/error.h"
#include "exporters/onnx/export.h"
#include "exporters/onnx/importer.h"

namespace mcufit {
namespace {

using onnx_file::FileQuantization;

Activation* slot(Op& op) {
  return std::visit(
      [](auto& o) -> Activation* {
        if constexpr (requires { o.activation; } && !std::is_same_v<std::decay_t<decltype(o)>, Activate>)
          return &o.activation;
        return nullptr;
      },
      op);
}

// An activation whose input was never quantized belongs to the node that computes it, which nobody else reads
// then.
bool is_fused(const Node& node, const std::vector<FileQuantization>& file) {
  const auto* activate = std::get_if<Activate>(&node.op);
  return activate != nullptr &&
         (activate->activation == Activation::relu || activate->activation == Activation::relu6) &&
         !file[static_cast<std::size_t>(node.inputs[0])].quantized;
}

[[noreturn]] void refuse(const Graph& graph, const Node& node, const char* what) {
  throw Error(ExitCode::input, fmt::format("{}: {} ({}): {}; accepted: models as mcufit exports them",
                                           graph.name, node.name, op_name(node.op), what));
}

}  // namespace

QuantizedGraph import_onnx_qdq(std::string_view content, std::string_view name) {
  const auto model = onnx_file::parse_model(content, name);
  onnx_file::Importer importer(model, name, true);
  const Graph read = importer.run().graph;
  const auto& file = importer.quantization();
  QuantizedGraph result{{read.name, {}}, {}};
  std::vector<NodeId> moved;
  for (std::size_t i = 0; i < read.nodes.size(); ++i) {
    Node node = read.nodes[i];
    if (is_fused(node, file)) {
      const NodeId into = moved[static_cast<std::size_t>(node.inputs[0])];
      Node& before = result.graph.nodes[static_cast<std::size_t>(into)];
      Activation* activation = slot(before.op);
      if (activation == nullptr || *activation != Activation::none || into != result.graph.size() - 1)
        refuse(read, node, "follows a tensor that is not quantized");
      *activation = std::get<Activate>(node.op).activation;
      result.nodes.back().output = file[i].node.output;
      moved.push_back(into);
      continue;
    }
    for (NodeId& from : node.inputs) from = moved[static_cast<std::size_t>(from)];
    moved.push_back(result.graph.size());
    result.nodes.push_back(file[i].node);
    // Reshapes are of bytes, so that their quantization is their input's.
    if (std::holds_alternative<Reshape>(node.op))
      result.nodes.back().output = result.node(node.inputs[0]).output;
    result.graph.nodes.push_back(std::move(node));
  }
  try {
    verify(result.graph);
  } catch (const Error& error) {
    throw Error(ExitCode::input, error.what());
  }
  verify(result);
  return result;
}

}  // namespace mcufit
