// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "blocks/builder.h"
#include "blocks/families/equations.h"
#include "blocks/family.h"

// Fully-connected networks: with a bottleneck the auto-encoders of machine monitoring (MLPerf Tiny's anomaly
// detection: 640-128x4-8-128x4-640), without one a plain multilayer perceptron.
// Trends: a layer's weights and bytes are products and sums of its neighbours' widths; a bottleneck leaves
// the perceptron's layers as they are and adds its own and another half.

namespace mcufit {
namespace {

enum Knob : std::size_t { kWidth, kDepth, kBottleneck };

struct Resolved {
  explicit Resolved(const Hyperparameters& hyper) : h(hyper) {}

  // Calls visit(outputs) for every hidden layer; the bottleneck stands in the middle of two equal halves.
  template <typename Visit>
  void each_layer(const Visit& visit) const {
    const auto width = static_cast<std::int32_t>(h[kWidth]);
    const auto depth = static_cast<std::int32_t>(h[kDepth]);
    for (std::int32_t i = 0; i < depth; ++i) visit(width);
    if (h[kBottleneck] == 0) return;
    visit(static_cast<std::int32_t>(h[kBottleneck]));
    for (std::int32_t i = 0; i < depth; ++i) visit(width);
  }

  const Hyperparameters& h;
};

class Mlp : public Family {
 public:
  std::string_view name() const override { return "mlp"; }
  std::string_view description() const override {
    return "fully-connected layers, as an auto-encoder (MLPerf Tiny's anomaly detection) or a perceptron";
  }

  std::span<const Parameter> parameters() const override {
    static const std::array<Parameter, 3> kParameters{{
        {"width",
         "outputs of a hidden layer",
         1,
         1024,
         128,
         true,
         {8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512},
         Trend::rising,
         stepped(4000, 640000, 4000)},
        {"depth", "hidden layers; of an auto-encoder in each half", 1, 8, 4, true, {1, 2, 3, 4, 5, 6}},
        {"bottleneck",
         "outputs of an auto-encoder's middle layer, 0 for a perceptron",
         0,
         256,
         8,
         true,
         {0, 4, 8, 16, 32},
         Trend::rising,
         {0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64},
         {},
         true},
    }};
    return kParameters;
  }

  Footprint footprint(const Hyperparameters& h, const Task& task) const override {
    Equations e(task.input);
    Resolved(h).each_layer([&](std::int32_t outputs) { e.dense(outputs, true); });
    e.dense(task.classes, false);
    return e.footprint();
  }

  Graph build(const Hyperparameters& h, const Task& task) const override {
    GraphBuilder b("mlp", task.input);
    NodeId x = b.input();
    int layer = 0;
    Resolved(h).each_layer([&](std::int32_t outputs) {
      const std::string name = fmt::format("dense{}", ++layer);
      x = b.norm_act(name, b.fully_connected(name, x, outputs, false), Activation::relu);
    });
    b.fully_connected("output", x, task.classes);
    return b.finish();
  }
};

}  // namespace

const Family& make_family_mlp() {
  static const Mlp family;
  return family;
}

}  // namespace mcufit
