// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "blocks/builder.h"
#include "blocks/families/equations.h"
#include "blocks/family.h"

// Inverted residuals in stages, as MCUNet's search space has them: Lin et al., "MCUNet: Tiny Deep Learning on
// IoT Devices", NeurIPS 2020; the block is MobileNetV2's (Sandler et al., CVPR 2018). Kernel, expansion,
// depth and width are global knobs, which an inversion turns, and knobs of each stage, from which a search
// draws. Trends: widths and expanded widths are roundings of products, which rise with width and expansion;
// kernels are padded so that extents stay; a skip connection depends on the place in the stage alone, since
// the blocks of a stage have one width. Extents are floor((H - 1) / stride) + 1.

namespace mcufit {
namespace {

enum Knob : std::size_t { kWidth, kExpansion, kDepth, kStages, kKernel, kStemStride, kDivisor, kGlobalKnobs };
// Behind them, stage by stage; 0 of the first three stands for the global knob.
enum StageKnob : std::size_t { kStageKernel, kStageExpansion, kStageDepth, kStageWidth, kStageKnobs };

constexpr double kStemWidth = 16;
constexpr double kFirstWidth = 8;
constexpr std::array kStageWidths{16.0, 24.0, 40.0, 96.0, 160.0};

struct Block {
  std::int32_t stage = 0, index = 0;  // both from 1
  std::int32_t kernel = 3;
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
  double of_stage(std::int32_t stage, StageKnob knob) const {
    return h[kGlobalKnobs + static_cast<std::size_t>(stage - 1) * kStageKnobs + knob];
  }
  double of_stage(std::int32_t stage, StageKnob knob, Knob global) const {
    const double own = of_stage(stage, knob);
    return own != 0 ? own : h[global];
  }
  // Keeps the size at stride 1, even kernels included.
  static Window window(const Block& block) {
    const std::int32_t k = block.kernel;
    const std::int32_t before = (k - 1) / 2;
    return {k, k, block.stride, block.stride, {before, k / 2, before, k / 2}};
  }
  Window stem_window() const { return square_window(3, integer(kStemStride), 1); }

  template <typename Visit>
  void each_block(const Visit& visit) const {
    std::int32_t input = width(kFirstWidth);
    for (std::int32_t stage = 1; stage <= integer(kStages); ++stage) {
      const double expansion = of_stage(stage, kStageExpansion, kExpansion);
      const double base = kStageWidths[static_cast<std::size_t>(stage) - 1] * of_stage(stage, kStageWidth);
      const auto depth = static_cast<std::int32_t>(of_stage(stage, kStageDepth, kDepth));
      for (std::int32_t i = 1; i <= depth; ++i) {
        Block block{.stage = stage, .index = i};
        block.kernel = static_cast<std::int32_t>(of_stage(stage, kStageKernel, kKernel));
        block.stride = i == 1 ? 2 : 1;
        block.expanded = std::max(1, static_cast<std::int32_t>(std::lround(expansion * input)));
        block.output = width(base);
        block.residual = block.stride == 1;
        visit(block);
        input = block.output;
      }
    }
  }

  const Hyperparameters& h;
};

std::vector<Parameter> global_parameters() {
  return {
      {"width",
       "width multiplier",
       0.1,
       4,
       1,
       false,
       {.4, .5, .6, .7, .8, .9, 1, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2},
       Trend::rising,
       stepped(200, 2000, 50),
       {.2, .3, .4, .5, .6, .7, .8, .9, 1}},
      {"expansion",
       "expanded channels per input channel",
       1,
       10,
       4,
       false,
       {2, 3, 4, 5, 6},
       Trend::rising,
       stepped(1000, 6000, 250),
       {4}},
      {"depth", "blocks per stage", 1, 6, 2, true, {1, 2, 3, 4}, Trend::enumerated, {1, 2, 3, 4, 5}, {2}},
      {"stages",
       "stages, each halving the resolution",
       1,
       5,
       3,
       true,
       {2, 3, 4},
       Trend::enumerated,
       {2, 3, 4, 5},
       {3, 4, 5}},
      {"kernel", "depthwise kernel", 3, 7, 3, true, {3, 5}, Trend::rising, {3, 5, 7}, {3}, true},
      {"stem_stride", "stride of the stem", 1, 2, 2, true, {1, 2}, Trend::enumerated, {}, {2}},
      {"divisor", "channels are multiples of this", 1, 16, 8, true, {8}},
  };
}

// The search space of MCUNet, with the widths of its second version.
std::vector<Parameter> all_parameters() {
  static constexpr std::array<std::array<std::string_view, kStageKnobs>, 5> kNames{{
      {"kernel1", "expansion1", "depth1", "width1"},
      {"kernel2", "expansion2", "depth2", "width2"},
      {"kernel3", "expansion3", "depth3", "width3"},
      {"kernel4", "expansion4", "depth4", "width4"},
      {"kernel5", "expansion5", "depth5", "width5"},
  }};
  static_assert(kNames.size() == kStageWidths.size());
  std::vector<Parameter> all = global_parameters();
  for (const auto& n : kNames) {
    const auto own = Trend::enumerated;
    all.push_back({n[0], "kernel of this stage, 0: kernel", 0, 7, 0, true, {0}, own, {}, {3, 5, 7}});
    all.push_back({n[1], "expansion of this stage, 0: expansion", 0, 10, 0, false, {0}, own, {}, {3, 4, 6}});
    all.push_back({n[2], "blocks of this stage, 0: depth", 0, 6, 0, true, {0}, own, {}, {2, 3, 4}});
    all.push_back({n[3], "width of this stage, a factor", .25, 2, 1, false, {1}, own, {}, {.5, .75, 1}});
  }
  return all;
}

class MobileNetV2 : public Family {
 public:
  std::string_view name() const override { return "mobilenetv2"; }
  std::string_view description() const override {
    return "MobileNetV2-style inverted residuals in MCUNet's stages (CVPR 2018, NeurIPS 2020)";
  }

  std::span<const Parameter> parameters() const override {
    static const std::vector<Parameter> kParameters = all_parameters();
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
      e.depthwise(Resolved::window(block));
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
    r.each_block([&](const Block& block) { x = add_block(b, x, block); });
    b.scope("head");
    x = b.global_average_pool("pool", x);
    b.fully_connected("classifier", x, task.classes);
    return b.finish();
  }

 private:
  static NodeId add_block(GraphBuilder& b, NodeId from, const Block& block) {
    b.scope(fmt::format("stage{}_block{}", block.stage, block.index));
    NodeId x = b.norm_act("expand", b.pointwise("expand", from, block.expanded), Activation::relu6);
    x = b.norm_act("depthwise", b.depthwise_conv2d("depthwise", x, Resolved::window(block)),
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
