// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "blocks/builder.h"
#include "blocks/families/equations.h"
#include "blocks/family.h"

// Small residual networks: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with MLPerf
// Tiny's ResNet-8 as one member: a convolution, then stages of basic blocks, each doubling the width.
// Trends: all widths are the first one times a power of two; extents are H / stride, rounded up.

namespace mcufit {
namespace {

enum Knob : std::size_t { kWidth, kStages, kDepth, kStemStride, kDivisor };

struct Block {
  std::int32_t stage = 0, index = 0;  // both from 1
  std::int32_t stride = 1;
  std::int32_t output = 1;
  bool projection = false;  // of the shortcut, where the shape changes
};

struct Resolved {
  explicit Resolved(const Hyperparameters& hyper) : h(hyper) {}

  std::int32_t integer(Knob knob) const { return static_cast<std::int32_t>(h[knob]); }
  std::int32_t width(std::int32_t stage) const {
    return make_divisible(integer(kWidth), integer(kDivisor)) << (stage - 1);
  }

  template <typename Visit>
  void each_block(const Visit& visit) const {
    for (std::int32_t stage = 1; stage <= integer(kStages); ++stage) {
      for (std::int32_t i = 1; i <= integer(kDepth); ++i) {
        const bool first = stage > 1 && i == 1;
        visit(Block{stage, i, first ? 2 : 1, width(stage), first});
      }
    }
  }

  const Hyperparameters& h;
};

class ResNet : public Family {
 public:
  std::string_view name() const override { return "resnet"; }
  std::string_view description() const override {
    return "ResNet-8-style: 3x3 basic blocks with shortcuts, width doubled per stage (CVPR 2016, MLPerf "
           "Tiny)";
  }

  std::span<const Parameter> parameters() const override {
    static const std::array<Parameter, 5> kParameters{{
        {"width",
         "channels of the first stage",
         2,
         128,
         16,
         true,
         {4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64},
         Trend::rising,
         stepped(2000, 128000, 1000)},
        {"stages", "stages; all but the first halve the resolution", 1, 4, 3, true, {1, 2, 3, 4}},
        {"depth", "blocks per stage", 1, 6, 1, true, {1, 2, 3}, Trend::enumerated, {1, 2, 3, 4, 5, 6}},
        {"stem_stride", "stride of the first convolution", 1, 2, 1, true, {1, 2}},
        {"divisor", "channels of the first stage are a multiple of this", 1, 16, 1, true, {1}},
    }};
    return kParameters;
  }

  Footprint footprint(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    Equations e(task.input);
    e.conv(same_window(task.input, 3, r.integer(kStemStride)), r.width(1));
    r.each_block([&](const Block& block) {
      const Shape input = e.shape();
      e.conv(same_window(input, 3, block.stride), block.output);
      e.hold_skip(input.elements());
      e.conv(same_window(e.shape(), 3, 1), block.output);
      if (block.projection) {
        e.hold_skip(e.shape().elements());
        e.continue_from(input);
        e.conv(same_window(input, 1, block.stride), block.output);
      }
      e.hold_skip(0);
    });
    e.classifier(task.classes);
    return e.footprint();
  }

  Graph build(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    GraphBuilder b("resnet", task.input);
    b.scope("stem");
    NodeId x = b.conv2d("conv", b.input(), r.width(1), same_window(task.input, 3, r.integer(kStemStride)));
    x = b.norm_act("conv", x, Activation::relu);
    r.each_block([&](const Block& block) { x = add_block(b, x, block); });
    b.scope("head");
    b.fully_connected("classifier", b.global_average_pool("pool", x), task.classes);
    return b.finish();
  }

 private:
  static NodeId add_block(GraphBuilder& b, NodeId from, const Block& block) {
    b.scope(fmt::format("stage{}_block{}", block.stage, block.index));
    NodeId x = b.conv2d("conv1", from, block.output, same_window(b.shape(from), 3, block.stride));
    x = b.norm_act("conv1", x, Activation::relu);
    x = b.conv2d("conv2", x, block.output, same_window(b.shape(x), 3, 1));
    x = b.norm_act("conv2", x, Activation::none);
    NodeId shortcut = from;
    if (block.projection) {
      shortcut = b.conv2d("shortcut", from, block.output, same_window(b.shape(from), 1, block.stride));
      shortcut = b.norm_act("shortcut", shortcut, Activation::none);
    }
    return b.activate("relu", b.add("add", shortcut, x), Activation::relu);
  }
};

}  // namespace

const Family& make_family_resnet() {
  static const ResNet family;
  return family;
}

}  // namespace mcufit
