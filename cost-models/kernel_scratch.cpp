// SPDX-License-Identifier: Apache-2.0
#include "cost-models/kernel_scratch.h"

#include <algorithm>
#include <limits>

#include "exporters/runtime/mcufit_scratch.h"

namespace mcufit {
namespace {

// The runtime's extents; none larger can be exported.
std::int16_t extent(std::int32_t value) {
  using Extent = std::numeric_limits<std::int16_t>;
  return static_cast<std::int16_t>(std::clamp<std::int32_t>(value, Extent::min(), Extent::max()));
}

std::int32_t of_conv2d(const mcufit_window& w, Isa isa) {
  switch (isa) {
    case Isa::portable:
      return 0;
    case Isa::mve:
      return mcufit_conv2d_s8_mve_scratch_bytes(&w);
    case Isa::dsp:
      return mcufit_conv2d_s8_dsp_scratch_bytes(&w);
    case Isa::v6m:
      return mcufit_conv2d_s8_v6m_scratch_bytes(&w);
    case Isa::rv32:
      return mcufit_conv2d_s8_rv32_scratch_bytes(&w);
  }
  return 0;
}

std::int32_t of_depthwise_conv2d(const mcufit_window& w, Isa isa) {
  if (isa == Isa::mve) return mcufit_depthwise_conv2d_s8_mve_scratch_bytes(&w);
  if (isa == Isa::dsp) return mcufit_depthwise_conv2d_s8_dsp_scratch_bytes(&w);
  return 0;
}

}  // namespace

mcufit_window runtime_window(const Graph& lowered, NodeId id, const Window& window) {
  const Node& node = lowered.node(id);
  const Shape& input = lowered.node(node.inputs[0]).shape;
  return {.input_height = extent(input.height),
          .input_width = extent(input.width),
          .input_channels = extent(input.channels),
          .output_width = extent(node.shape.width),
          .output_channels = extent(node.shape.channels),
          .kernel_height = extent(window.kernel_height),
          .kernel_width = extent(window.kernel_width),
          .stride_height = extent(window.stride_height),
          .stride_width = extent(window.stride_width),
          .dilation_height = extent(window.dilation_height),
          .dilation_width = extent(window.dilation_width),
          .pad_top = extent(window.padding.top),
          .pad_left = extent(window.padding.left)};
}

std::int64_t kernel_scratch_bytes(const Graph& lowered, NodeId id, Isa isa) {
  const Node& node = lowered.node(id);
  if (const auto* conv = std::get_if<Conv2d>(&node.op))
    return of_conv2d(runtime_window(lowered, id, conv->window), isa);
  if (const auto* depthwise = std::get_if<DepthwiseConv2d>(&node.op))
    return of_depthwise_conv2d(runtime_window(lowered, id, depthwise->window), isa);
  return 0;
}

}  // namespace mcufit
