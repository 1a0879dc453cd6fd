// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "blocks/builder.h"
#include "blocks/families/equations.h"
#include "blocks/family.h"

// PhiNets: Paissan, Ancilotto, Farella, "PhiNets: a scalable backbone for low-power AI at the edge", ACM TECS
// 21(5), 2022.

namespace mcufit {
namespace {

enum Knob : std::size_t {
  kAlpha,
  kBeta,
  kTZero,
  kNumLayers,
  kStemStride,
  kSqueezeExcite,
  kConv5,
  kDivisor,
  kHardSwish
};

constexpr double kStemWidth = 48;
constexpr std::array kDownsamplingBlocks{5, 7};

// One inverted-residual block, resolved to integers.
struct Block {
  std::int32_t index = 0;  // 1..num_layers
  std::int32_t kernel = 3;
  std::int32_t stride = 1;
  std::int32_t expanded = 1;
  std::int32_t squeezed = 0;  // 0: no squeeze-excite
  std::int32_t output = 1;
  bool residual = false;
};

struct Resolved {
  explicit Resolved(const Hyperparameters& hyper) : h(hyper) {}

  std::int32_t integer(Knob knob) const { return static_cast<std::int32_t>(h[knob]); }
  std::int32_t width(double value) const {
    return make_divisible(std::max(1, static_cast<std::int32_t>(value)), integer(kDivisor));
  }
  std::int32_t stem() const { return width(kStemWidth * h[kAlpha]); }
  std::int32_t first() const { return width(kStemWidth / 2 * h[kAlpha]); }

  // Even sizes are padded on the far side only, so that a strided valid convolution covers them.
  Window stem_window(Shape input) const {
    const std::int32_t stride = integer(kStemStride);
    Window w = square_window(3, stride, 1);
    if (stride == 2 && input.height % 2 == 0) w.padding.top = 0;
    if (stride == 2 && input.width % 2 == 0) w.padding.left = 0;
    return w;
  }

  // Calls visit(block) for blocks 1..N. t_B = t0 * (1 + (beta - 1) * B / N).
  template <typename Visit>
  void each_block(const Visit& visit) const {
    const std::int32_t layers = integer(kNumLayers);
    std::int32_t input = first();
    double base_width = kStemWidth;
    for (std::int32_t b = 1; b <= layers; ++b) {
      const bool downsampling =
          std::find(kDownsamplingBlocks.begin(), kDownsamplingBlocks.end(), b) != kDownsamplingBlocks.end();
      if (downsampling) base_width *= 2;
      const double depth = static_cast<double>(b) / layers;
      const double t = h[kTZero] * (1 + (h[kBeta] - 1) * depth);
      Block block{.index = b};
      block.kernel = depth > 1 - h[kConv5] ? 5 : 3;
      block.stride = b == 1 || b == 3 || downsampling ? 2 : 1;
      block.expanded = width(t * input);
      if (h[kSqueezeExcite] != 0) block.squeezed = width(std::max(1, block.expanded / 6));
      block.output = b <= 2 ? first() : width(base_width * h[kAlpha]);
      block.residual = block.stride == 1 && block.output == input;
      visit(block);
      input = block.output;
    }
  }

  const Hyperparameters& h;
};

NodeId squeeze_excite(GraphBuilder& b, NodeId from, std::int32_t squeezed, Activation activation) {
  const std::int32_t channels = b.shape(from).channels;
  NodeId gate = b.global_average_pool("se_pool", from);
  gate = b.pointwise("se_squeeze", gate, squeezed);
  gate = b.activate("se_act", gate, activation);
  gate = b.pointwise("se_excite", gate, channels);
  gate = b.activate("se_gate", gate, Activation::sigmoid);
  return b.mul("se_scale", from, gate);
}

class PhiNet : public Family {
 public:
  std::string_view name() const override { return "phinet"; }
  std::string_view description() const override {
    return "PhiNets: inverted residuals scaled by alpha, beta, t_zero, num_layers (ACM TECS 2022)";
  }

  std::span<const Parameter> parameters() const override {
    static const std::array<Parameter, 9> kParameters{{
        {"alpha",
         "width multiplier",
         0.05,
         4,
         0.35,
         false,
         {.15, .2, .25, .3, .35, .4, .45, .5, .55, .6, .7, .8, .9, 1}},
        {"beta",
         "shape factor: expansion of the last block relative to the first",
         0.2,
         3,
         1,
         false,
         {.5, .75, 1, 1.25}},
        {"t_zero", "base expansion", 1, 10, 6, false, {2, 3, 4, 5, 6}},
        {"num_layers", "inverted-residual blocks", 1, 12, 7, true, {3, 4, 5, 6, 7}},
        {"stem_stride", "stride of the stem", 1, 2, 2, true, {2}},
        {"squeeze_excite", "1: squeeze-excite in every block", 0, 1, 0, true, {0}},
        {"conv5_percent", "share of blocks, from the last, with 5x5 kernels", 0, 1, 0, false, {0}},
        {"divisor", "channels are multiples of this", 1, 16, 1, true, {8}},
        {"hard_swish", "1: hard-swish, 0: ReLU6", 0, 1, 0, true, {0}},
    }};
    return kParameters;
  }

  Footprint footprint(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    Equations e(task.input);
    e.depthwise(r.stem_window(task.input), false);
    e.pointwise(r.stem());
    e.depthwise(square_window(3, 1, 1));
    e.pointwise(r.first());
    r.each_block([&](const Block& block) {
      // The block's own input is an operand of the expansion and is held beside everything after it.
      const std::int64_t input_bytes = e.shape().elements();
      e.pointwise(block.expanded);
      if (block.residual) e.hold_skip(input_bytes);
      e.depthwise(square_window(block.kernel, block.stride, block.kernel / 2));
      if (block.squeezed > 0) e.squeeze_excite(block.squeezed);
      e.pointwise(block.output);
      e.hold_skip(0);
    });
    e.classifier(task.classes);
    return e.footprint();
  }

  Graph build(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    const Activation act = h[kHardSwish] != 0 ? Activation::hard_swish : Activation::relu6;
    GraphBuilder b("phinet", task.input);
    b.scope("stem");
    NodeId x = b.depthwise_conv2d("depthwise", b.input(), r.stem_window(task.input));
    x = b.norm_act("pointwise", b.pointwise("pointwise", x, r.stem()), act);
    b.scope("block0");
    x = b.norm_act("depthwise", b.depthwise_conv2d("depthwise", x, square_window(3, 1, 1)), act);
    x = b.norm_act("project", b.pointwise("project", x, r.first()), Activation::none);
    r.each_block([&](const Block& block) { x = add_block(b, x, block, act); });
    b.scope("head");
    x = b.global_average_pool("pool", x);
    b.fully_connected("classifier", x, task.classes);
    return b.finish();
  }

 private:
  static NodeId add_block(GraphBuilder& b, NodeId from, const Block& block, Activation act) {
    b.scope(fmt::format("block{}", block.index));
    NodeId x = b.norm_act("expand", b.pointwise("expand", from, block.expanded), act);
    x = b.depthwise_conv2d("depthwise", x, square_window(block.kernel, block.stride, block.kernel / 2));
    x = b.norm_act("depthwise", x, act);
    if (block.squeezed > 0) x = squeeze_excite(b, x, block.squeezed, act);
    x = b.norm_act("project", b.pointwise("project", x, block.output), Activation::none);
    return block.residual ? b.add("add", from, x) : x;
  }
};

}  // namespace

const Family& make_family_phinet() {
  static const PhiNet family;
  return family;
}

}  // namespace mcufit
