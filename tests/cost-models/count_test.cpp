// SPDX-License-Identifier: Apache-2.0
#include "cost-models/count.h"

#include <gtest/gtest.h>

#include "blocks/builder.h"
#include "blocks/lower.h"

namespace mcufit {
namespace {

// The keyword-spotting network of MLPerf Tiny: 22,016 weights and 588 biases once folded, 2,656,768 MACs,
// 16,000 activation bytes.
Graph ds_cnn() {
  GraphBuilder b("ds_cnn", {49, 10, 1});
  // TensorFlow's "same" padding of a 10x4 kernel, stride 2.
  const Window stem{10, 4, 2, 2, {4, 5, 1, 1}};
  NodeId x = b.norm_act("stem", b.conv2d("stem", b.input(), 64, stem), Activation::relu);
  for (int i = 0; i < 4; ++i) {
    b.scope("block" + std::to_string(i));
    x = b.norm_act("depthwise", b.depthwise_conv2d("depthwise", x, square_window(3, 1, 1)), Activation::relu);
    x = b.norm_act("pointwise", b.pointwise("pointwise", x, 64), Activation::relu);
  }
  b.scope("");
  b.fully_connected("head", b.global_average_pool("pool", x), 12);
  return b.finish();
}

TEST(Count, DsCnnOfMlperfTiny) {
  const Footprint deployed = count(lower(ds_cnn()));
  EXPECT_EQ(deployed.params, 22016 + 588);
  EXPECT_EQ(deployed.macs, 2656768);
  EXPECT_EQ(deployed.peak_activation_bytes, 16000);
}

TEST(Count, ResNet8OfMlperfTiny) {
  GraphBuilder b("resnet8", {32, 32, 3});
  NodeId x = b.norm_act("stem", b.conv2d("stem", b.input(), 16, square_window(3, 1, 1)), Activation::relu);
  for (const int channels : {16, 32, 64}) {
    b.scope("stack" + std::to_string(channels));
    const int stride = channels == 16 ? 1 : 2;
    // TensorFlow pads a strided 3x3 on even sizes at the far side alone.
    const Window first = stride == 1 ? square_window(3, 1, 1) : Window{3, 3, 2, 2, {0, 1, 0, 1}};
    NodeId y = b.norm_act("a", b.conv2d("a", x, channels, first), Activation::relu);
    y = b.norm_act("b", b.conv2d("b", y, channels, square_window(3, 1, 1)), Activation::none);
    const NodeId skip = stride == 1 ? x : b.conv2d("skip", x, channels, square_window(1, 2, 0));
    x = b.activate("act", b.add("add", skip, y), Activation::relu);
  }
  b.scope("");
  b.fully_connected("head", b.global_average_pool("pool", x), 10);
  const Footprint deployed = count(lower(b.finish()));
  EXPECT_EQ(deployed.params, 77360 + 346);
  EXPECT_EQ(deployed.macs, 12501632);
  EXPECT_EQ(deployed.peak_activation_bytes, 48 * 1024);
}

TEST(Count, AutoEncoderOfMlperfTiny) {
  GraphBuilder b("ad", {1, 1, 640});
  NodeId x = b.input();
  int layer = 0;
  for (const int units : {128, 128, 128, 128, 8, 128, 128, 128, 128, 640}) {
    x = b.fully_connected("fc" + std::to_string(layer++), x, units);
  }
  const Footprint f = count(b.finish());
  EXPECT_EQ(f.macs, 264192);
  EXPECT_EQ(f.params, 264192 + 4 * 128 + 8 + 4 * 128 + 640);
  EXPECT_EQ(f.peak_activation_bytes, 768);
}

}  // namespace
}  // namespace mcufit
