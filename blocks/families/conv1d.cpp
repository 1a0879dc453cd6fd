// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "blocks/builder.h"
#include "blocks/families/equations.h"
#include "blocks/family.h"

// One-dimensional convolutional networks for windows of sensor samples: time runs along the height, the width
// is 1 (or sensors that stay apart), channels are the sensors' axes. Every block strides, widths grow.
// Trends: width x growth^(block - 1) rises with both, truncated or not; kernels are padded so that extents
// stay at H / stride, rounded up.

namespace mcufit {
namespace {

enum Knob : std::size_t { kWidth, kGrowth, kBlocks, kKernel, kStride, kSeparable };

struct Resolved {
  explicit Resolved(const Hyperparameters& hyper) : h(hyper) {}

  std::int32_t integer(Knob knob) const { return static_cast<std::int32_t>(h[knob]); }
  bool separable(std::int32_t block) const { return block > 1 && h[kSeparable] != 0; }
  Window window(Shape input) const {
    Window w = same_window({input.height, 1, 1}, integer(kKernel), 1, integer(kStride));
    w.stride_width = 1;
    w.padding.left = w.padding.right = 0;
    return w;
  }
  std::int32_t width(std::int32_t block) const {
    return std::max(1, static_cast<std::int32_t>(h[kWidth] * std::pow(h[kGrowth], block - 1)));
  }

  const Hyperparameters& h;
};

class Conv1d : public Family {
 public:
  std::string_view name() const override { return "conv1d"; }
  std::string_view description() const override {
    return "1-D convolutions over windows of sensor samples (time along the height)";
  }

  std::span<const Parameter> parameters() const override {
    static const std::array<Parameter, 6> kParameters{{
        {"width",
         "channels of the first block",
         1,
         256,
         16,
         true,
         {4, 6, 8, 12, 16, 20, 24, 32, 48, 64},
         Trend::rising,
         stepped(2000, 96000, 2000)},
        {"growth",
         "factor from a block's width to the next",
         1,
         2,
         1.5,
         false,
         {1, 1.25, 1.5, 2},
         Trend::rising,
         stepped(1000, 2000, 50)},
        {"blocks", "convolutions", 1, 6, 3, true, {1, 2, 3, 4, 5}, Trend::enumerated, {1, 2, 3, 4, 5, 6}},
        {"kernel",
         "time steps of a kernel",
         1,
         15,
         5,
         true,
         {3, 5, 7, 9},
         Trend::rising,
         {3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
         {},
         true},
        {"stride", "time steps from one output to the next", 1, 4, 2, true, {2}},
        {"separable", "1: depthwise and pointwise from the second block on", 0, 1, 0, true, {0, 1}},
    }};
    return kParameters;
  }

  Footprint footprint(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    Equations e(task.input);
    for (std::int32_t i = 1; i <= r.integer(kBlocks); ++i) {
      const Window w = r.window(e.shape());
      if (r.separable(i)) {
        e.depthwise(w);
        e.pointwise(r.width(i));
      } else {
        e.conv(w, r.width(i));
      }
    }
    e.classifier(task.classes);
    return e.footprint();
  }

  Graph build(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    GraphBuilder b("conv1d", task.input);
    NodeId x = b.input();
    for (std::int32_t i = 1; i <= r.integer(kBlocks); ++i) {
      b.scope(fmt::format("block{}", i));
      const Window w = r.window(b.shape(x));
      if (r.separable(i)) {
        x = b.norm_act("depthwise", b.depthwise_conv2d("depthwise", x, w), Activation::relu);
        x = b.norm_act("pointwise", b.pointwise("pointwise", x, r.width(i)), Activation::relu);
      } else {
        x = b.norm_act("conv", b.conv2d("conv", x, r.width(i), w), Activation::relu);
      }
    }
    b.scope("head");
    b.fully_connected("classifier", b.global_average_pool("pool", x), task.classes);
    return b.finish();
  }
};

}  // namespace

const Family& make_family_conv1d() {
  static const Conv1d family;
  return family;
}

}  // namespace mcufit
