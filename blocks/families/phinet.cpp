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

// Trends: make_divisible() and truncation never fall when their argument rises, and t_B >= 0, so every width
// rises with alpha, beta and t_zero; kernels, strides and which block has a skip connection (stride 1 between
// equal base widths) do not depend on them. num_layers moves every t_B and the down-sampling, so it promises
// nothing. Extents: (H + 1) / 2 of the stem, floor((H - 1) / 2) + 1 of a block and H / 2 of a pooling (left
// out where H is 1) of square images rise with H.

enum Knob : std::size_t {
  kAlpha,
  kBeta,
  kTZero,
  kNumLayers,
  kStemStride,
  kSqueezeExcite,
  kConv5,
  kDivisor,
  kHardSwish,
  kDownsampling1,
  kDownsampling2,
  kResiduals,
  kPooling,
  kConvStem
};

// Values of kSqueezeExcite.
constexpr double kNoSqueezeExcite = 0, kHardGate = 2;

constexpr double kStemWidth = 48;

// One inverted-residual block, resolved to integers.
struct Block {
  std::int32_t index = 0;  // 1..num_layers
  std::int32_t kernel = 3;
  std::int32_t stride = 1;
  bool pooled = false;  // strides by a max-pool behind a depthwise convolution of stride 1
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

  bool pools() const { return h[kPooling] != 0; }
  bool pools_stem() const { return pools() && integer(kStemStride) == 2; }
  bool conv_stem() const { return h[kConvStem] != 0; }
  Window conv_stem_window() const { return square_window(3, pools() ? 1 : integer(kStemStride), 0); }

  // Even sizes are padded on the far side only, so that a strided valid convolution covers them.
  Window stem_window(Shape input) const {
    const std::int32_t stride = pools() ? 1 : integer(kStemStride);
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
      const bool downsampling = b > 3 && (b == integer(kDownsampling1) || b == integer(kDownsampling2));
      if (downsampling) base_width *= 2;
      const double depth = static_cast<double>(b) / layers;
      const double t = h[kTZero] * (1 + (h[kBeta] - 1) * depth);
      Block block{.index = b};
      block.kernel = depth > 1 - h[kConv5] ? 5 : 3;
      const bool strides = b == 1 || b == 3 || downsampling;
      block.pooled = strides && pools();
      block.stride = strides && !block.pooled ? 2 : 1;
      block.expanded = width(t * input);
      if (h[kSqueezeExcite] != kNoSqueezeExcite) block.squeezed = width(std::max(1, block.expanded / 6));
      block.output = b <= 2 ? first() : width(base_width * h[kAlpha]);
      block.residual = h[kResiduals] != 0 && !strides && block.output == input;
      visit(block);
      input = block.output;
    }
  }

  const Hyperparameters& h;
};

// How a network's parts are activated.
struct Activations {
  Activation inner, gate;
};

NodeId squeeze_excite(GraphBuilder& b, NodeId from, std::int32_t squeezed, Activations activations) {
  const std::int32_t channels = b.shape(from).channels;
  NodeId gate = b.global_average_pool("se_pool", from);
  gate = b.pointwise("se_squeeze", gate, squeezed);
  gate = b.activate("se_act", gate, activations.inner);
  gate = b.pointwise("se_excite", gate, channels);
  gate = b.activate("se_gate", gate, activations.gate);
  return b.mul("se_scale", from, gate);
}

class PhiNet : public Family {
 public:
  std::string_view name() const override { return "phinet"; }
  std::string_view description() const override {
    return "PhiNets: inverted residuals scaled by alpha, beta, t_zero, num_layers (ACM TECS 2022)";
  }

  std::span<const Parameter> parameters() const override {
    static const std::array<Parameter, 14> kParameters{{
        {"alpha",
         "width multiplier",
         0.05,
         4,
         0.35,
         false,
         {.15, .2, .25, .3, .35, .4, .45, .5, .55, .6, .7, .8, .9, 1},
         Trend::rising,
         stepped(100, 1100, 25)},
        {"beta",
         "shape factor: expansion of the last block relative to the first",
         0.2,
         3,
         1,
         false,
         {.5, .75, 1, 1.25},
         Trend::rising,
         stepped(500, 1500, 50)},
        {"t_zero",
         "base expansion",
         1,
         10,
         6,
         false,
         {2, 3, 4, 5, 6},
         Trend::rising,
         stepped(2000, 6000, 250)},
        {"num_layers",
         "inverted-residual blocks",
         1,
         12,
         7,
         true,
         {3, 4, 5, 6, 7},
         Trend::enumerated,
         {3, 4, 5, 6, 7, 8, 9}},
        {"stem_stride", "stride of the stem", 1, 2, 2, true, {2}},
        {"squeeze_excite", "in every block: 0 none, 1 with sigmoid, 2 with hard-sigmoid", 0, 2, 0, true, {0}},
        {"conv5_percent", "share of blocks, from the last, with 5x5 kernels", 0, 1, 0, false, {0}},
        {"divisor", "channels are multiples of this", 1, 16, 1, true, {8}},
        {"hard_swish", "1: hard-swish, 0: ReLU6", 0, 1, 0, true, {0}},
        {"downsampling1", "block that strides and doubles the width, 0 to 3: none", 0, 12, 5, true, {5}},
        {"downsampling2", "another such block", 0, 12, 7, true, {7}},
        {"residuals", "1: skip connections where shapes allow them", 0, 1, 1, true, {1}},
        {"pooling", "1: max-pools of 2x2 instead of strides", 0, 1, 0, true, {0}},
        {"conv_stem", "1: one 3x3 convolution instead of stem and block 0", 0, 1, 0, true, {0}},
    }};
    return kParameters;
  }

  Footprint footprint(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    Equations e(task.input);
    count_stem(e, r);
    r.each_block([&](const Block& block) {
      // The block's own input is an operand of the expansion and is held beside everything after it.
      const std::int64_t input_bytes = e.shape().elements();
      e.pointwise(block.expanded);
      if (block.residual) e.hold_skip(input_bytes);
      e.depthwise(square_window(block.kernel, block.stride, block.kernel / 2));
      if (block.pooled && can_halve(e.shape())) e.pool(square_window(2, 2, 0));
      if (block.squeezed > 0) e.squeeze_excite(block.squeezed);
      e.pointwise(block.output);
      e.hold_skip(0);
    });
    e.classifier(task.classes);
    return e.footprint();
  }

  Graph build(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    const Activations act{h[kHardSwish] != 0 ? Activation::hard_swish : Activation::relu6,
                          h[kSqueezeExcite] == kHardGate ? Activation::hard_sigmoid : Activation::sigmoid};
    GraphBuilder b("phinet", task.input);
    NodeId x = add_stem(b, r, act.inner);
    r.each_block([&](const Block& block) { x = add_block(b, x, block, act); });
    b.scope("head");
    x = b.global_average_pool("pool", x);
    b.fully_connected("classifier", x, task.classes);
    return b.finish();
  }

 private:
  // Stem and block 0.
  static void count_stem(Equations& e, const Resolved& r) {
    if (r.conv_stem()) {
      e.conv(r.conv_stem_window(), r.first());
      if (r.pools_stem() && can_halve(e.shape())) e.pool(square_window(2, 2, 0));
      return;
    }
    e.depthwise(r.stem_window(e.shape()), false);
    if (r.pools_stem() && can_halve(e.shape())) e.pool(square_window(2, 2, 0));
    e.pointwise(r.stem());
    e.depthwise(square_window(3, 1, 1));
    e.pointwise(r.first());
  }

  static NodeId add_stem(GraphBuilder& b, const Resolved& r, Activation act) {
    b.scope("stem");
    if (r.conv_stem()) {
      const NodeId conv = b.conv2d("conv", b.input(), r.first(), r.conv_stem_window());
      const NodeId stem = b.norm_act("conv", conv, act);
      return r.pools_stem() && can_halve(b.shape(stem)) ? b.max_pool2d("pool", stem, square_window(2, 2, 0))
                                                        : stem;
    }
    NodeId x = b.depthwise_conv2d("depthwise", b.input(), r.stem_window(b.shape(b.input())));
    if (r.pools_stem() && can_halve(b.shape(x))) x = b.max_pool2d("pool", x, square_window(2, 2, 0));
    x = b.norm_act("pointwise", b.pointwise("pointwise", x, r.stem()), act);
    b.scope("block0");
    x = b.norm_act("depthwise", b.depthwise_conv2d("depthwise", x, square_window(3, 1, 1)), act);
    return b.norm_act("project", b.pointwise("project", x, r.first()), Activation::none);
  }

  static NodeId add_block(GraphBuilder& b, NodeId from, const Block& block, Activations act) {
    b.scope(fmt::format("block{}", block.index));
    NodeId x = b.norm_act("expand", b.pointwise("expand", from, block.expanded), act.inner);
    x = b.depthwise_conv2d("depthwise", x, square_window(block.kernel, block.stride, block.kernel / 2));
    x = b.norm_act("depthwise", x, act.inner);
    if (block.pooled && can_halve(b.shape(x))) x = b.max_pool2d("pool", x, square_window(2, 2, 0));
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
