// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "blocks/foundation/random.h"
#include "blocks/graph.h"
#include "blocks/weights.h"

namespace mcufit {

// A graph as LibTorch trains it: the tensors of each node and a forward pass over NCHW batches in
// channels-last order. Not a torch::nn::Module, whose headers would double the time to compile.
class GraphModule {
 public:
  // Filters are drawn normal with variance 2 / fan-out (He et al., ICCV 2015), a classifier's with 1 /
  // fan-in; the rest starts neutral.
  GraphModule(const Graph& graph, Random& random);

  // Logits [batch, outputs]. `training` uses and updates batch statistics.
  at::Tensor forward(const at::Tensor& images, bool training);

  // What the optimizer changes; filters first.
  std::vector<at::Tensor> filters() const;
  std::vector<at::Tensor> others() const;

  // Everything that makes up the network's state: filters, others, running statistics.
  std::vector<at::Tensor> state() const;

  Weights weights() const;
  void set_weights(const Weights& weights);

 private:
  struct Tensors {
    at::Tensor filter, bias, gamma, beta, mean, variance;
  };
  at::Tensor apply(const Node& node, const Tensors& t, const std::vector<at::Tensor>& inputs,
                   bool training) const;

  Graph graph_;
  std::vector<Tensors> nodes_;
};

}  // namespace mcufit
