// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "blocks/builder.h"
#include "blocks/families/equations.h"
#include "blocks/family.h"

// XiNet: Ancilotto, Paissan, Farella, "XiNet: efficient neural networks for tinyML", ICCV 2023. Blocks of
// plain convolutions between compressed widths, with the first block's output broadcast into every later one
// and light attention; no depthwise convolution.
// Trends: output widths rise with alpha, the compressed and the attention's, which are output / gamma and
// output / 2 gamma truncated, fall with gamma; kernels are padded so that extents stay; a pooling is left out
// where an extent is 1 already.

namespace mcufit {
namespace {

enum Knob : std::size_t { kAlpha, kGamma, kBlocks, kKernel, kAttention, kBroadcast, kStemKernel, kDivisor };

constexpr double kStemWidth = 16;
constexpr std::int32_t kBlocksPerStage = 2;

struct Block {
  std::int32_t index = 0;  // from 1
  std::int32_t compressed = 1;
  std::int32_t output = 1;
  std::int32_t attention = 0;  // channels of its squeezed middle; 0: none
  bool halves = false;         // by a max-pool, once per stage
  bool broadcast = false;      // adds the first block's output
  bool last = false;
};

struct Resolved {
  explicit Resolved(const Hyperparameters& hyper) : h(hyper) {}

  std::int32_t integer(Knob knob) const { return static_cast<std::int32_t>(h[knob]); }
  std::int32_t width(double value) const {
    return make_divisible(std::max(1, static_cast<std::int32_t>(value)), integer(kDivisor));
  }
  std::int32_t stem() const { return width(kStemWidth * h[kAlpha]); }
  Window stem_window(Shape input) const { return same_window(input, integer(kStemKernel), 2); }
  Window window(Shape input) const { return same_window(input, integer(kKernel), 1); }

  // The pooling that brings the first block's output to this size.
  static Window broadcast_window(Shape from, Shape to) {
    const std::int32_t rows = from.height / to.height, columns = from.width / to.width;
    return {.kernel_height = from.height - (to.height - 1) * rows,
            .kernel_width = from.width - (to.width - 1) * columns,
            .stride_height = rows,
            .stride_width = columns};
  }

  Block block(std::int32_t index) const {
    Block b{.index = index};
    b.output = width(kStemWidth * h[kAlpha] * std::exp2((index - 1) / kBlocksPerStage));
    b.compressed = std::max(1, static_cast<std::int32_t>(b.output / h[kGamma]));
    if (h[kAttention] != 0) b.attention = std::max(1, static_cast<std::int32_t>(b.output / (2 * h[kGamma])));
    b.halves = index > 1 && (index - 1) % kBlocksPerStage == 0;
    b.broadcast = h[kBroadcast] != 0 && index > 1;
    b.last = index == integer(kBlocks);
    return b;
  }

  const Hyperparameters& h;
};

class XiNet : public Family {
 public:
  std::string_view name() const override { return "xinet"; }
  std::string_view description() const override {
    return "XiNets: compressed plain convolutions with broadcast skips and light attention (ICCV 2023)";
  }

  std::span<const Parameter> parameters() const override {
    static const std::array<Parameter, 8> kParameters{{
        {"alpha",
         "width multiplier",
         0.1,
         4,
         0.5,
         false,
         {.15, .2, .25, .3, .35, .4, .5, .6, .7, .8, .9, 1, 1.25, 1.5},
         Trend::rising,
         stepped(100, 2000, 25)},
        {"gamma",
         "compression: channels between a block's convolutions are 1/gamma",
         1,
         8,
         4,
         false,
         {2, 3, 4, 6},
         Trend::falling,
         stepped(2000, 8000, 250)},
        {"blocks", "XiConv blocks, two per resolution", 1, 10, 5, true, {2, 3, 4, 5, 6, 7, 8}},
        {"kernel",
         "kernel of the main convolution",
         1,
         7,
         3,
         true,
         {3, 5},
         Trend::rising,
         {3, 5, 7},
         {},
         true},
        {"attention", "1: light attention in every block", 0, 1, 1, true, {0, 1}},
        {"broadcast", "1: the first block's output is added to every later block", 0, 1, 1, true, {0, 1}},
        {"stem_kernel",
         "kernel of the stem, which has stride 2",
         3,
         7,
         7,
         true,
         {3, 7},
         Trend::rising,
         {3, 5, 7},
         {},
         true},
        {"divisor", "channels are multiples of this", 1, 16, 4, true, {4}},
    }};
    return kParameters;
  }

  Footprint footprint(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    Equations e(task.input);
    e.conv(r.stem_window(task.input), r.stem());
    Shape first;  // the first block's output, held until the last block has read it
    for (std::int32_t i = 1; i <= r.integer(kBlocks); ++i) {
      const Block block = r.block(i);
      const bool reads_first = i == 2;  // then it is input and skip in one
      const std::int64_t held = block.broadcast ? first.elements() : 0;
      e.hold_skip(reads_first ? 0 : held);
      e.pointwise(block.compressed, false);
      if (block.broadcast) add_broadcast(e, first, block);
      e.hold_skip(block.last ? 0 : held);
      if (block.halves && can_halve(e.shape())) e.pool(square_window(2, 2, 0));
      e.conv(r.window(e.shape()), block.output);
      if (block.attention > 0) {
        const Shape output = e.shape();
        attend(e, output, block, block.last ? 0 : held);
      }
      if (i == 1) first = e.shape();
    }
    e.hold_skip(0);
    e.classifier(task.classes);
    return e.footprint();
  }

  Graph build(const Hyperparameters& h, const Task& task) const override {
    const Resolved r(h);
    GraphBuilder b("xinet", task.input);
    b.scope("stem");
    NodeId x = b.conv2d("conv", b.input(), r.stem(), r.stem_window(task.input));
    x = b.norm_act("conv", x, Activation::relu6);
    NodeId first = x;
    for (std::int32_t i = 1; i <= r.integer(kBlocks); ++i) {
      x = add_block(b, x, first, r.block(i), r);
      if (i == 1) first = x;
    }
    b.scope("head");
    b.fully_connected("classifier", b.global_average_pool("pool", x), task.classes);
    return b.finish();
  }

 private:
  static NodeId add_block(GraphBuilder& b, NodeId from, NodeId first, const Block& block, const Resolved& r) {
    b.scope(fmt::format("block{}", block.index));
    NodeId x = b.pointwise("compress", from, block.compressed);
    if (block.broadcast) {
      NodeId skip =
          b.average_pool2d("broadcast_pool", first, Resolved::broadcast_window(b.shape(first), b.shape(x)));
      skip = b.pointwise("broadcast", skip, block.compressed);
      x = b.add("broadcast_add", x, skip);
    }
    if (block.halves && can_halve(b.shape(x))) x = b.max_pool2d("pool", x, square_window(2, 2, 0));
    x = b.norm_act("conv", b.conv2d("conv", x, block.output, r.window(b.shape(x))), Activation::relu6);
    if (block.attention == 0) return x;
    NodeId gate = b.pointwise("attention_squeeze", x, block.attention);
    gate = b.conv2d("attention", gate, block.output, same_window(b.shape(gate), 3, 1));
    return b.mul("attention_scale", x, b.activate("attention_gate", gate, Activation::sigmoid));
  }

  // Pool and convolve the first block's output beside the compressed tensor, then add in place.
  static void add_broadcast(Equations& e, Shape first, const Block& block) {
    const Shape x = e.shape();
    e.hold_skip(x.elements());
    e.continue_from(first);
    e.pool(Resolved::broadcast_window(first, x));
    e.hold_skip(x.elements() + (block.last ? 0 : first.elements()));
    e.pointwise(block.compressed, false);
    e.continue_from(x);
  }

  // Beside the convolution's output, which the gate scales in place.
  static void attend(Equations& e, Shape output, const Block& block, std::int64_t held) {
    e.hold_skip(held);
    e.pointwise(block.attention, false);
    e.hold_skip(held + output.elements());
    e.conv(same_window(e.shape(), 3, 1), block.output, false);
    e.hold_skip(held);
  }
};

}  // namespace

const Family& make_family_xinet() {
  static const XiNet family;
  return family;
}

}  // namespace mcufit
