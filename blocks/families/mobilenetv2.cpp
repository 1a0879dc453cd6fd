// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "blocks/builder.h"
#include "blocks/families/equations.h"
#include "blocks/family.h"

// Inverted residuals in stages, as MCUNet's search space has them: Lin et al., "MCUNet: Tiny Deep Learning on
// IoT Devices", NeurIPS 2020; the block is MobileNetV2's (Sandler et al., CVPR 2018). One kernel, expansion
// and depth for all stages.

namespace mcufit {
namespace {

enum Knob : std::size_t { kWidth, kExpansion, kDepth, kStages, kKernel, kStemStride, kDivisor };

constexpr double kStemWidth = 16;
constexpr double kFirstWidth = 8;
constexpr std::array kStageWidths{16.0, 24.0, 40.0, 96.0, 160.0};

struct Block {
  std::int32_t stage = 0, index = 0;  // both from 1
  std::int32_t stride = 1;
  std::int32_t expanded = 1;
  std::int32_t output = 1;
  bool residual = false;
};

struct Resolved {
  explicit Resolved(const Hyperparameters& hyper) : h(hyper) {}

  std::int32_t integer(Knob knob) const { return static_cast<std::int32_t>(h[knob]); }
  std::int32_t width(double base) const {
    return make_divisible(std::max(1, static_cast<std::int32_t>(std::lround(base * h[kWidth]))),
                          integer(kDivisor));
  }
  // Keeps the size at stride 1, even kernels included.
  Window window(std::int32_t stride) const {
    const std::int32_t k = integer(kKernel);
    const std::int32_t before = (k - 1) / 2;
    return {k, k, stride, stride, {before, k / 2, before, k / 2}};
  }
  Window stem_window() const { return square_window(3, integer(kStemStride), 1); }

  template <typename Visit>
  void each_block(const Visit& visit) const {
    std::int32_t input = width(kFirstWidth);
    for (std::int32_t stage = 1; stage <= integer(kStages); ++stage) {
      for (std::int32_t i = 1; i <= integer(kDepth); ++i) {
        Block block{.stage = stage, .index = i};
        block.stride = i == 1 ? 2 : 1;
        block.expanded = static_cast<std::int32_t>(std::lround(h[kExpansion] * input));
        block.output = width(kStageWidths[static_cast<std::size_t>(stage) - 1]);
        block.residual = block.stride == 1 && block.output == input;
        visit(block);
        input = block.output;
      }
    }
  }

  const Hyperparameters& h;
};

class MobileNetV2 : public Family {
 public:
  std::string_view name() const override { return "mobilenetv2"; }
  std::string_view description() const override {
    return "MobileNetV2-style inverted residuals in MCUNet's stages (CVPR 2018, NeurIPS 2020)";
  }

  std::span<const Parameter> parameters() const override {
    static const std::array<Parameter, 7> kParameters{{
        {"width",
         "width multiplier",
         0.1,
         4,
         1,
         false,
         {.4, .5, .6, .7, .8, .9, 1, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2}},
        {"expansion", "expanded channels per input channel", 1, 10, 4, false, {2, 3, 4, 5, 6}},
        {"depth", "blocks per stage", 1, 6, 2, true, {1, 2, 3, 4}},
        {"stages", "stages, each halving the resolution", 1, 5, 3, true, {2, 3, 4}},
        {"kernel", "depthwise kernel", 3, 7, 3, true, {3, 5}},
        {"stem_stride", "stride of the stem", 1, 2, 2, true, {1, 2}},
        {"divisor", "channels are multiples of this", 1, 16, 8, true, {8}},
    }};
    return kParameters;
  }

  Footprint footprint(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    Equations e(task.input);
    e.conv(r.stem_window(), r.width(kStemWidth));
    e.depthwise(square_window(3, 1, 1));
    e.pointwise(r.width(kFirstWidth));
    r.each_block([&](const Block& block) {
      const std::int64_t input_bytes = e.shape().elements();
      e.pointwise(block.expanded);
      if (block.residual) e.hold_skip(input_bytes);
      e.depthwise(r.window(block.stride));
      e.pointwise(block.output);
      e.hold_skip(0);
    });
    e.classifier(task.classes);
    return e.footprint();
  }

  Graph build(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    GraphBuilder b("mobilenetv2", task.input);
    b.scope("stem");
    NodeId x = b.norm_act("conv", b.conv2d("conv", b.input(), r.width(kStemWidth), r.stem_window()),
                          Activation::relu6);
    x = b.norm_act("depthwise", b.depthwise_conv2d("depthwise", x, square_window(3, 1, 1)),
                   Activation::relu6);
    x = b.norm_act("project", b.pointwise("project", x, r.width(kFirstWidth)), Activation::none);
    r.each_block([&](const Block& block) { x = add_block(b, x, block, r); });
    b.scope("head");
    x = b.global_average_pool("pool", x);
    b.fully_connected("classifier", x, task.classes);
    return b.finish();
  }

 private:
  static NodeId add_block(GraphBuilder& b, NodeId from, const Block& block, const Resolved& r) {
    b.scope(fmt::format("stage{}_block{}", block.stage, block.index));
    NodeId x = b.norm_act("expand", b.pointwise("expand", from, block.expanded), Activation::relu6);
    x = b.norm_act("depthwise", b.depthwise_conv2d("depthwise", x, r.window(block.stride)),
                   Activation::relu6);
    x = b.norm_act("project", b.pointwise("project", x, block.output), Activation::none);
    return block.residual ? b.add("add", from, x) : x;
  }
};

}  // namespace

const Family& make_family_mobilenetv2() {
  static const MobileNetV2 family;
  return family;
}

}  // namespace mcufit
