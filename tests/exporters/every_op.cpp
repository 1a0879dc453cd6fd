// SPDX-License-Identifier: Apache-2.0
#include "tests/exporters/every_op.h"

#include <algorithm>
#include <cmath>

#include "blocks/foundation/error.h"
#include "tests/exporters/random_graphs.h"

namespace mcufit::testing {
namespace {

std::int32_t draw(Random& random, std::int64_t low, std::int64_t high) {
  return static_cast<std::int32_t>(random.between(low, high));
}

Quantization near_one(Random& random) {
  return {static_cast<float>(std::exp2(random.unit() * 2 - 6)), draw(random, -128, 127)};
}

// input -> op on it (several times where the op has several inputs).
QuantizedGraph around(Random& random, Shape in, const Op& op, bool keeps_scale, std::size_t inputs = 1) {
  QuantizedGraph graph;
  graph.graph.name = "every_op";
  const std::vector<Shape> shapes(inputs, in);
  graph.graph.nodes.push_back({Input{in}, {}, in, "input"});
  graph.graph.nodes.push_back({op, std::vector<NodeId>(inputs, 0), infer_shape(op, shapes, "op"), "op"});
  graph.nodes.resize(2);
  graph.nodes[0].output = near_one(random);
  graph.nodes[1].output = keeps_scale ? graph.nodes[0].output : near_one(random);
  return graph;
}

// input -> quantize to half the scale, which is exact in any arithmetic -> add with the input.
QuantizedGraph scaled_add(Random& random, Shape in, Activation activation) {
  QuantizedGraph graph = around(random, in, Activate{Activation::none}, false);
  graph.nodes[1].output = {graph.nodes[0].output.scale / 2, draw(random, -128, 127)};
  graph.graph.nodes[1].name = "half";
  graph.graph.nodes.push_back({Add{activation}, {1, 0}, in, "op"});
  graph.nodes.emplace_back();
  graph.nodes[2].output = near_one(random);
  return graph;
}

QuantizedGraph weightless(Random& random, Shape in, int kind) {
  const std::int32_t most = 1 + draw(random, 0, 3);
  const bool flag = random.below(2) == 0;
  QuantizedGraph unit;
  switch (kind) {
    case 4:
      return around(random, in, Mul{random_activation(random)}, false, 2);
    case 8:
      return around(random, in, Mean{true, flag}, false);
    case 9:
      return around(random, in, Concatenation{static_cast<Axis>(random.below(3))}, true, 3);
    case 10:
      return around(random, in, Pad{{most, 0, draw(random, 0, 2), 1}, draw(random, 0, 2), 0, 0.25F}, true);
    case 11:
      // Never to the shape that it has.
      return around(random, in, Reshape{{1, in.channels * in.height, in.width}}, true);
    case 12:
      return around(random, in, ResizeNearestNeighbor{draw(random, 1, 12), in.width * 2, flag, false}, true);
    case 13:
      unit = around(random, in, Activate{Activation::sigmoid}, false);
      unit.nodes[1].output = kUnitOutput;
      return unit;
    case 14:
      return around(random, in, Activate{Activation::hard_swish}, false);
    case 15:
      return around(random, in, Activate{Activation::relu}, false);
    case 16:
      return around(random, in, Activate{Activation::relu6}, true);
    default:
      return around(random, in, Activate{Activation::none}, false);
  }
}

}  // namespace

QuantizedGraph every_op_graph(Random& random, int kind) {
  const Shape in{draw(random, 2, 7), draw(random, 2, 7), draw(random, 2, 6)};
  const Activation activation = random_activation(random);
  const Window w = random_window(random, in);
  QuantizedGraph graph;
  switch (kind) {
    case 0:
      return single_op_graph(random, in, Conv2d{draw(random, 1, 7), w, true, activation});
    case 1:
      return single_op_graph(random, in, DepthwiseConv2d{w, true, activation, draw(random, 1, 2)});
    case 2:
      graph = single_op_graph(random, in, FullyConnected{draw(random, 1, 7), true, activation});
      if (random.below(2) == 0) {
        graph.nodes[1].one_filter_scale = true;
        auto& scales = graph.nodes[1].filter_scales;
        std::fill(scales.begin(), scales.end(), *std::min_element(scales.begin(), scales.end()));
      }
      break;
    case 3:
      graph = scaled_add(random, in, activation);
      break;
    case 5:
      return single_op_graph(random, in, AveragePool2d{w, activation});
    case 6:
      return single_op_graph(random, in, MaxPool2d{w, activation});
    case 7:
      return single_op_graph(random, in, Softmax{});
    default:
      graph = weightless(random, in, kind);
  }
  verify(graph);
  return graph;
}

}  // namespace mcufit::testing
