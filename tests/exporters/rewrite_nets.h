// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "blocks/foundation/random.h"
#include "exporters/rewrite.h"
#include "tests/exporters/random_graphs.h"
#include "tests/exporters/random_nets.h"

namespace mcufit::testing {

inline constexpr Quantization kCalm{0.05F, -3};

// Rewrites and proves: equal bytes for random inputs and those of one byte, and savings that are the
// difference of both graphs.
Rewritten proven(const QuantizedGraph& graph, const RewriteOptions& options = {});

// A net whose channels all take many values, unless a test kills them.
class CalmNet {
 public:
  explicit CalmNet(Shape input) : random_(test_seed()), grown_(random_) { grown_.input(input, kCalm); }

  NodeId add(const Op& op, std::vector<NodeId> inputs, Quantization output = kCalm) {
    return grown_.append(op, std::move(inputs), output);
  }
  NodeId conv(NodeId from, std::int32_t channels, std::int32_t kernel = 1, std::int32_t padding = 0,
              Activation activation = Activation::none) {
    return add(Conv2d{channels, square_window(kernel, 1, padding), true, activation}, {from});
  }
  NodeId depthwise(NodeId from, std::int32_t padding) {
    return add(DepthwiseConv2d{square_window(3, 1, padding), true, Activation::none, 1}, {from});
  }
  // The channel holds `value` from now on.
  void kill(NodeId id, std::int32_t channel, std::int32_t value) { kills_.push_back({id, channel, value}); }
  // Nobody's weights of `id` read the input channel.
  void ignore(NodeId id, std::int32_t channel) { ignored_.push_back({id, channel, 0}); }

  QuantizedGraph finish();

 private:
  struct Kill {
    NodeId id;
    std::int32_t channel, value;
  };

  void calm(QuantizedGraph& graph, NodeId id);
  static void erase(QuantizedGraph& graph, const Kill& k, bool input);

  Random random_;
  RandomNet grown_;
  std::vector<Kill> kills_, ignored_;
};

}  // namespace mcufit::testing
