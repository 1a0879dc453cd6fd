// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "blocks/builder.h"
#include "blocks/families/equations.h"
#include "blocks/family.h"

// MobileNetV1: Howard et al., 2017, with MLPerf Tiny's x0.25 for visual wake words as one member: a strided
// stem, then depthwise and pointwise convolutions whose width doubles where they stride.
// Trends: every width is make_divisible() of base x width, which rises with it; extents are H / stride,
// rounded up.

namespace mcufit {
namespace {

enum Knob : std::size_t { kWidth, kMiddle, kDivisor };

constexpr double kStemWidth = 32;

struct Block {
  std::int32_t index = 0;  // from 1
  std::int32_t stride = 1;
  std::int32_t output = 1;
};

struct Resolved {
  explicit Resolved(const Hyperparameters& hyper) : h(hyper) {}

  std::int32_t width(double base) const {
    return make_divisible(std::max(1, static_cast<std::int32_t>(base * h[kWidth])),
                          static_cast<std::int32_t>(h[kDivisor]));
  }

  template <typename Visit>
  void each_block(const Visit& visit) const {
    std::int32_t index = 0;
    const auto block = [&](double base, std::int32_t stride) { visit(Block{++index, stride, width(base)}); };
    block(64, 1);
    for (const double base : {128.0, 256.0}) {
      block(base, 2);
      block(base, 1);
    }
    block(512, 2);
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(h[kMiddle]); ++i) block(512, 1);
    block(1024, 2);
    block(1024, 1);
  }

  const Hyperparameters& h;
};

class MobileNetV1 : public Family {
 public:
  std::string_view name() const override { return "mobilenetv1"; }
  std::string_view description() const override {
    return "MobileNetV1: depthwise-separable convolutions scaled by width (2017; x0.25 in MLPerf Tiny)";
  }

  std::span<const Parameter> parameters() const override {
    static const std::array<Parameter, 3> kParameters{{
        {"width",
         "width multiplier",
         0.05,
         2,
         0.25,
         false,
         {.05, .075, .1, .125, .15, .175, .2, .25, .3, .35, .4, .5, .6, .75, 1},
         Trend::rising,
         stepped(50, 1000, 5)},
        {"middle_blocks",
         "blocks of 512 x width channels behind the fourth stride",
         0,
         8,
         5,
         true,
         {0, 1, 2, 3, 4, 5},
         Trend::enumerated,
         {0, 1, 2, 3, 4, 5, 6, 7, 8}},
        {"divisor", "channels are multiples of this", 1, 16, 8, true, {8}},
    }};
    return kParameters;
  }

  Footprint footprint(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    Equations e(task.input);
    e.conv(same_window(task.input, 3, 2), r.width(kStemWidth));
    r.each_block([&](const Block& block) {
      e.depthwise(same_window(e.shape(), 3, block.stride));
      e.pointwise(block.output);
    });
    e.classifier(task.classes);
    return e.footprint();
  }

  Graph build(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    GraphBuilder b("mobilenetv1", task.input);
    b.scope("stem");
    NodeId x = b.conv2d("conv", b.input(), r.width(kStemWidth), same_window(task.input, 3, 2));
    x = b.norm_act("conv", x, Activation::relu6);
    r.each_block([&](const Block& block) {
      b.scope(fmt::format("block{}", block.index));
      x = b.depthwise_conv2d("depthwise", x, same_window(b.shape(x), 3, block.stride));
      x = b.norm_act("depthwise", x, Activation::relu6);
      x = b.norm_act("pointwise", b.pointwise("pointwise", x, block.output), Activation::relu6);
    });
    b.scope("head");
    b.fully_connected("classifier", b.global_average_pool("pool", x), task.classes);
    return b.finish();
  }
};

}  // namespace

const Family& make_family_mobilenetv1() {
  static const MobileNetV1 family;
  return family;
}

}  // namespace mcufit
