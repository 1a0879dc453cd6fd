// SPDX-License-Identifier: Apache-2.0
// Nets whose peak RAM was published by others.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "blocks/builder.h"
#include "blocks/lower.h"

namespace mcufit::testing {

// An inverted residual of the layer tables by which msf-CNN's authors describe their nets (NeurIPS 2025).
struct Residual {
  std::int32_t channels, expansion, stride, kernel;
};

// RAM that msf-CNN's authors measured on a device, and the factor by which they multiply the MACs for it.
struct PublishedPoint {
  double mac_factor;
  std::int64_t bytes;
};

struct PublishedNet {
  std::string name;
  std::int32_t resolution, stem;
  bool separable_stem;  // a depthwise 3x3 and a pointwise to 8 channels behind the stem
  std::vector<Residual> residuals;
  std::int32_t head;  // channels of a last pointwise convolution; 0: none
  std::int64_t layer_by_layer_bytes;
  std::vector<PublishedPoint> published;
};

inline Graph published_graph(const PublishedNet& net, bool adds) {
  GraphBuilder b(net.name, {net.resolution, net.resolution, 3});
  const auto act = [&](std::string_view name, NodeId from) {
    return b.norm_act(name, from, Activation::relu6);
  };
  NodeId x = act("stem", b.conv2d("stem", b.input(), net.stem, square_window(3, 2, 1)));
  if (net.separable_stem) {
    x = act("depthwise", b.depthwise_conv2d("depthwise", x, square_window(3, 1, 1)));
    x = b.batch_norm("pointwise/bn", b.pointwise("pointwise", x, 8));
  }
  int block = 0;
  for (const Residual& r : net.residuals) {
    b.scope(fmt::format("block{}", ++block));
    const NodeId in = x;
    if (r.expansion > 1) x = act("expand", b.pointwise("expand", x, b.shape(x).channels * r.expansion));
    x = act("depthwise", b.depthwise_conv2d("depthwise", x, square_window(r.kernel, r.stride, r.kernel / 2)));
    x = b.batch_norm("project/bn", b.pointwise("project", x, r.channels));
    if (adds && b.shape(in) == b.shape(x)) x = b.add("add", in, x);
  }
  b.scope("");
  if (net.head > 0) x = act("head", b.pointwise("head", x, net.head));
  b.global_average_pool("pool", x);
  return lower(b.finish());
}

inline const std::vector<PublishedNet>& published_nets() {
  static const std::vector<PublishedNet> nets{
      {"MobileNetV2 x0.35, 144",
       144,
       11,
       false,
       {{5, 1, 1, 3},
        {8, 6, 2, 3},
        {8, 6, 1, 3},
        {11, 6, 2, 3},
        {11, 6, 1, 3},
        {11, 6, 1, 3},
        {22, 6, 2, 3},
        {22, 6, 1, 3},
        {22, 6, 1, 3},
        {22, 6, 1, 3},
        {33, 6, 1, 3},
        {33, 6, 1, 3},
        {33, 6, 1, 3},
        {56, 6, 2, 3},
        {56, 6, 1, 3},
        {56, 6, 1, 3},
        {112, 6, 1, 3}},
       448,
       194'400,
       {{1.10, 68'000}, {1.30, 21'400}, {1.38, 15'200}, {1.68, 8'560}}},
      {"MCUNet-VWW-5fps, 80",
       80,
       16,
       true,
       {{16, 6, 2, 3},
        {16, 3, 1, 3},
        {16, 3, 1, 3},
        {24, 3, 2, 7},
        {24, 6, 1, 3},
        {24, 5, 1, 5},
        {40, 6, 2, 7},
        {40, 6, 1, 7},
        {48, 6, 1, 3},
        {48, 4, 1, 3},
        {96, 5, 2, 5},
        {96, 5, 1, 3},
        {96, 4, 1, 3},
        {160, 3, 1, 7}},
       0,
       96'000,
       {{1.02, 45'300}, {1.11, 26'200}, {1.35, 17'900}, {1.96, 15'400}}},
      {"MCUNet-320KB, 176",
       176,
       16,
       true,
       {{16, 3, 2, 7},
        {16, 5, 1, 3},
        {16, 5, 1, 7},
        {16, 4, 1, 5},
        {24, 5, 2, 5},
        {24, 5, 1, 5},
        {24, 5, 1, 5},
        {40, 5, 2, 3},
        {40, 6, 1, 7},
        {40, 4, 1, 5},
        {48, 5, 1, 5},
        {48, 5, 1, 7},
        {48, 5, 1, 3},
        {96, 6, 2, 3},
        {96, 5, 1, 7},
        {96, 4, 1, 3},
        {160, 5, 1, 7}},
       0,
       309'760,
       {{1.04, 218'000}, {1.45, 94'200}, {2.02, 63'500}, {2.69, 51'200}}}};
  return nets;
}

}  // namespace mcufit::testing
