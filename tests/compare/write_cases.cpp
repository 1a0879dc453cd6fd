// SPDX-License-Identifier: Apache-2.0
// Writes exported models with inputs and the interpreter's outputs for compare.js, a file per format:
// write_cases FOLDER [INT8.tflite INPUTS]...; INPUTS is a file of raw int8 NHWC inputs, "-" for random
// ones.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "exporters/interpreter.h"
#include "exporters/onnx/export.h"
#include "exporters/tflite/export.h"
#include "exporters/tflite/import.h"
#include "tests/exporters/every_op.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/sample_network.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::int8_t>;

constexpr int kCasesPerOp = 30;
constexpr std::size_t kInputs = 100;  // random ones of a network
constexpr std::size_t kMostInputs = 1000;

// Where the format can say the graph.
void write_model(const fs::path& file, const QuantizedGraph& graph,
                 std::string (*write)(const QuantizedGraph&)) {
  try {
    write_file(file, write(graph));
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) throw;
  }
}

void write_case(const fs::path& folder, const std::string& name, const QuantizedGraph& graph,
                const std::vector<Bytes>& inputs) {
  std::string in, out;
  const Shape& from = graph.graph.input_shape();
  const Shape& to = graph.graph.output_shape();
  const auto outputs = interpret_all(graph, inputs);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    in.append(inputs[i].begin(), inputs[i].end());
    out.append(outputs[i].begin(), outputs[i].end());
  }
  const nlohmann::json shapes = {{"input", {from.height, from.width, from.channels}},
                                 {"output", {to.height, to.width, to.channels}}};
  write_model(folder / (name + ".onnx"), graph, export_onnx);
  write_model(folder / (name + ".tflite"), graph, export_tflite);
  write_file(folder / (name + ".inputs"), in);
  write_file(folder / (name + ".outputs"), out);
  write_file(folder / (name + ".json"), shapes.dump());
}

std::vector<Bytes> random_inputs(Random& random, const QuantizedGraph& graph, std::size_t count) {
  std::vector<Bytes> inputs;
  for (std::size_t i = 0; i < count; ++i)
    inputs.push_back(random_bytes(random, graph.graph.input_shape().elements()));
  return inputs;
}

// TensorFlow Lite of today's browsers knows one scale for a fully-connected layer's filter.
void use_one_filter_scale(QuantizedGraph& graph) {
  for (NodeId id = 0; id < graph.graph.size(); ++id) {
    QuantizedNode& node = graph.nodes[static_cast<std::size_t>(id)];
    if (!std::holds_alternative<FullyConnected>(graph.graph.node(id).op)) continue;
    const float least = *std::min_element(node.filter_scales.begin(), node.filter_scales.end());
    std::fill(node.filter_scales.begin(), node.filter_scales.end(), least);
    node.one_filter_scale = true;
  }
}

void write_ops(const fs::path& folder) {
  for (int kind = 0; kind < kOpKinds; ++kind) {
    for (int i = 0; i < kCasesPerOp; ++i) {
      Random random(1, {static_cast<std::uint64_t>(kind), static_cast<std::uint64_t>(i)});
      QuantizedGraph graph = every_op_graph(random, kind);
      use_one_filter_scale(graph);
      const std::string name = fmt::format("op_{}-{}", op_name(graph.graph.nodes.back().op), i);
      write_case(folder, name, graph, random_inputs(random, graph, 4));
    }
  }
}

std::vector<Bytes> read_inputs(const fs::path& file, const QuantizedGraph& graph) {
  const std::string content = read_file(file);
  const auto size = static_cast<std::size_t>(graph.graph.input_shape().elements());
  std::vector<Bytes> inputs;
  for (std::size_t at = 0; at + size <= content.size() && inputs.size() < kMostInputs; at += size)
    inputs.emplace_back(content.begin() + static_cast<std::ptrdiff_t>(at),
                        content.begin() + static_cast<std::ptrdiff_t>(at + size));
  return inputs;
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.empty()) throw Error(ExitCode::usage, "usage: write_cases FOLDER [MODEL.tflite INPUTS]...");
  const fs::path folder = arguments[0];
  write_ops(folder);
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Random random(seed);
    QuantizedGraph graph = sample_network(seed);
    use_one_filter_scale(graph);
    write_case(folder, fmt::format("sample_{}", seed), graph, random_inputs(random, graph, kInputs));
  }
  for (std::size_t i = 1; i + 1 < arguments.size(); i += 2) {
    Random random(i);
    const std::string name = fs::path(arguments[i]).stem().string();
    const QuantizedGraph graph = import_tflite(read_file(arguments[i]), name);
    const bool real = arguments[i + 1] != "-";
    write_case(folder, name + (real ? "" : "_random"), graph,
               real ? read_inputs(arguments[i + 1], graph) : random_inputs(random, graph, kInputs));
  }
  return 0;
}

}  // namespace
}  // namespace mcufit::testing

int main(int argc, char** argv) {
  try {
    return mcufit::testing::run({argv + 1, argv + argc});
  } catch (const mcufit::Error& error) {
    std::cerr << error.what() << '\n';
    return static_cast<int>(error.code());
  }
}
