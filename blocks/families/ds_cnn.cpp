// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "blocks/builder.h"
#include "blocks/families/equations.h"
#include "blocks/family.h"

// DS-CNN: Zhang et al., "Hello Edge: Keyword Spotting on Microcontrollers", 2017, as MLPerf Tiny has it: one
// convolution over time x frequency, then depthwise-separable blocks of one width.
// Trends: filters grow with the width and with the first kernel, whose padding keeps the extents at H /
// stride, rounded up.

namespace mcufit {
namespace {

enum Knob : std::size_t { kWidth, kBlocks, kStemHeight, kStemWidth, kStemStride, kDivisor };

struct Resolved {
  explicit Resolved(const Hyperparameters& hyper) : h(hyper) {}

  std::int32_t integer(Knob knob) const { return static_cast<std::int32_t>(h[knob]); }
  std::int32_t width() const { return make_divisible(integer(kWidth), integer(kDivisor)); }
  Window stem(Shape input) const {
    return same_window(input, integer(kStemHeight), integer(kStemWidth), integer(kStemStride));
  }

  const Hyperparameters& h;
};

class DsCnn : public Family {
 public:
  std::string_view name() const override { return "ds_cnn"; }
  std::string_view description() const override {
    return "DS-CNN: depthwise-separable blocks of one width over time x frequency (Hello Edge, 2017)";
  }

  std::span<const Parameter> parameters() const override {
    static const std::array<Parameter, 6> kParameters{{
        {"width",
         "channels of every block",
         4,
         512,
         64,
         true,
         {8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256},
         Trend::rising,
         stepped(4000, 320000, 4000)},
        {"blocks",
         "depthwise-separable blocks",
         1,
         12,
         4,
         true,
         {1, 2, 3, 4, 5, 6},
         Trend::enumerated,
         {1, 2, 3, 4, 5, 6, 7, 8}},
        {"stem_height",
         "rows (time steps) of the first kernel",
         1,
         20,
         10,
         true,
         {3, 5, 10},
         Trend::rising,
         {3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
         {},
         true},
        {"stem_width",
         "columns (coefficients) of the first kernel",
         1,
         10,
         4,
         true,
         {3, 4},
         Trend::rising,
         {3, 4, 5, 6}},
        {"stem_stride", "stride of the first convolution", 1, 4, 2, true, {1, 2}},
        {"divisor", "channels are multiples of this", 1, 16, 1, true, {1}},
    }};
    return kParameters;
  }

  Footprint footprint(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    Equations e(task.input);
    e.conv(r.stem(task.input), r.width());
    for (std::int32_t i = 0; i < r.integer(kBlocks); ++i) {
      e.depthwise(same_window(e.shape(), 3, 1));
      e.pointwise(r.width());
    }
    e.classifier(task.classes);
    return e.footprint();
  }

  Graph build(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    GraphBuilder b("ds_cnn", task.input);
    b.scope("stem");
    NodeId x = b.conv2d("conv", b.input(), r.width(), r.stem(task.input));
    x = b.norm_act("conv", x, Activation::relu);
    for (std::int32_t i = 1; i <= r.integer(kBlocks); ++i) {
      b.scope(fmt::format("block{}", i));
      x = b.depthwise_conv2d("depthwise", x, same_window(b.shape(x), 3, 1));
      x = b.norm_act("depthwise", x, Activation::relu);
      x = b.norm_act("pointwise", b.pointwise("pointwise", x, r.width()), Activation::relu);
    }
    b.scope("head");
    b.fully_connected("classifier", b.global_average_pool("pool", x), task.classes);
    return b.finish();
  }
};

}  // namespace

const Family& make_family_ds_cnn() {
  static const DsCnn family;
  return family;
}

}  // namespace mcufit
