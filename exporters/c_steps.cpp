// SPDX-License-Identifier: Apache-2.0
#include "exporters/c_steps.h"

#include <fmt/format.h>

#include "cost-models/layout.h"
#include "exporters/steps.h"

namespace mcufit {
namespace {

constexpr std::size_t kColumns = 100;

template <typename Integer>
std::string numbers(std::span<const Integer> values, std::size_t indent) {
  std::string text, line;
  const auto flush = [&] {
    text.append(indent, ' ').append(line).append("\n");
    line.clear();
  };
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string number = fmt::format("{}{}", values[i], i + 1 < values.size() ? "," : "");
    if (!line.empty() && indent + line.size() + 1 + number.size() > kColumns) flush();
    if (!line.empty()) line += ' ';
    line += number;
  }
  flush();
  return text;
}

template <typename Integer>
std::string array(std::string_view declaration, std::span<const Integer> values) {
  return fmt::format("{}[{}] = {{\n{}}};\n", declaration, values.size(), numbers(values, 4));
}

std::string text_of(const mcufit_view& v) {
  return fmt::format("{{.offset = {}, .row_stride = {}, .pixel_stride = {}, .ring_rows = {}}}", v.offset,
                     v.row_stride, v.pixel_stride, v.ring_rows);
}

std::string text_of(const mcufit_window& w) {
  return fmt::format(
      "{{.input_height = {}, .input_width = {}, .input_channels = {},\n"
      "               .output_width = {}, .output_channels = {}, .kernel_height = {}, .kernel_width = {},\n"
      "               .stride_height = {}, .stride_width = {}, .dilation_height = {}, .dilation_width = {},\n"
      "               .pad_top = {}, .pad_left = {}}}",
      w.input_height, w.input_width, w.input_channels, w.output_width, w.output_channels, w.kernel_height,
      w.kernel_width, w.stride_height, w.stride_width, w.dilation_height, w.dilation_width, w.pad_top,
      w.pad_left);
}

std::string text_of(const mcufit_requantization& q, std::string_view node) {
  return fmt::format(
      "{{.multiplier = {0}_multiplier, .shift = {0}_shift,\n"
      "                       .output_zero_point = {1}, .output_min = {2}, .output_max = {3}}}",
      node, q.output_zero_point, q.output_min, q.output_max);
}

std::string text_of(const mcufit_conv2d_s8_step& s, std::string_view node) {
  return fmt::format(
      "    .input = {},\n    .output = {},\n    .window = {},\n    .input_zero_point = {},\n"
      "    .filter = {}_filter,\n    .bias = {}_bias,\n    .requantization = {}",
      text_of(s.input), text_of(s.output), text_of(s.window), s.input_zero_point, node, node,
      text_of(s.requantization, node));
}

std::string text_of(const mcufit_fully_connected_s8_step& s, std::string_view node) {
  return fmt::format(
      "    .input_offset = {}, .output_offset = {},\n    .input_elements = {}, .output_elements = {},\n"
      "    .filter = {}_filter,\n    .bias = {}_bias,\n    .requantization = {}",
      s.input_offset, s.output_offset, s.input_elements, s.output_elements, node, node,
      text_of(s.requantization, node));
}

std::string text_of(const mcufit_add_s8_step& s) {
  return fmt::format(
      "    .input1 = {},\n    .input2 = {},\n    .output = {},\n    .width = {}, .channels = {},\n"
      "    .multiplier1 = {}, .multiplier2 = {}, .output_multiplier = {},\n"
      "    .shift1 = {}, .shift2 = {}, .output_shift = {},\n"
      "    .zero_point1 = {}, .zero_point2 = {}, .output_zero_point = {},\n"
      "    .output_min = {}, .output_max = {}",
      text_of(s.input1), text_of(s.input2), text_of(s.output), s.width, s.channels, s.multiplier1,
      s.multiplier2, s.output_multiplier, s.shift1, s.shift2, s.output_shift, s.zero_point1, s.zero_point2,
      s.output_zero_point, s.output_min, s.output_max);
}

std::string text_of(const mcufit_pool2d_s8_step& s) {
  return fmt::format(
      "    .input = {},\n    .output = {},\n    .window = {},\n    .output_min = {}, .output_max = {}",
      text_of(s.input), text_of(s.output), text_of(s.window), s.output_min, s.output_max);
}

std::string text_of(const mcufit_softmax_s8_step& s) {
  return fmt::format(
      "    .input_offset = {}, .output_offset = {},\n    .multiplier = {}, .channels = {},\n"
      "    .least_difference = {}, .shift = {}",
      s.input_offset, s.output_offset, s.multiplier, s.channels, s.least_difference, s.shift);
}

// The parts of a StepText that depend on the kind of step.
struct Body {
  std::string_view type;
  std::string fields;
  const ConvolutionTables* tables = nullptr;
  int end = 0;
};

Body body_of(const RuntimeStep& step, std::string_view node) {
  return std::visit(
      overloaded{
          [&](const Conv2dStep& s) {
            return Body{"mcufit_conv2d_s8_step", text_of(s.fields, node), &s.tables, s.end};
          },
          [&](const DepthwiseConv2dStep& s) {
            return Body{"mcufit_depthwise_conv2d_s8_step", text_of(s.fields, node), &s.tables, s.end};
          },
          [&](const FullyConnectedStep& s) {
            return Body{"mcufit_fully_connected_s8_step", text_of(s.fields, node), &s.tables, s.end};
          },
          [&](const AddStep& s) {
            return Body{"mcufit_add_s8_step", text_of(s.fields), nullptr, s.end};
          },
          [&](const AveragePool2dStep& s) {
            return Body{"mcufit_pool2d_s8_step", text_of(s.fields), nullptr, s.end};
          },
          [&](const MaxPool2dStep& s) {
            return Body{"mcufit_pool2d_s8_step", text_of(s.fields), nullptr, s.end};
          },
          [&](const SoftmaxStep& s) {
            return Body{"mcufit_softmax_s8_step", text_of(s.fields), nullptr, s.end};
          },
      },
      step);
}

}  // namespace

std::string c_array(std::string_view declaration, std::span<const std::int8_t> values) {
  return array(declaration, values);
}
std::string c_array(std::string_view declaration, std::span<const std::int32_t> values) {
  return array(declaration, values);
}
std::string c_numbers(std::span<const std::int8_t> values, std::size_t indent) {
  return numbers(values, indent);
}

std::string c_comment(std::string_view text) {
  std::string clean;
  for (const char c : text) {
    const bool ends_or_nests =
        !clean.empty() && ((clean.back() == '*' && c == '/') || (clean.back() == '/' && c == '*'));
    if (ends_or_nests) clean += ' ';
    clean += c < ' ' || c > '~' || c == '\\' ? '?' : c;
  }
  return clean;
}

StepText step_text(const QuantizedGraph& graph, const MemoryPlan& plan, NodeId id, std::string_view package) {
  const RuntimeStep step = make_step(graph, plan, id);
  const std::string node = fmt::format("{}_n{}", package, id);
  const Body body = body_of(step, node);
  StepText text;
  text.kernel = kernel_of(graph.graph.node(id)).value();
  text.end = body.end;
  const std::string title = fmt::format("/* {} */\n", c_comment(graph.graph.node(id).name));
  text.step =
      fmt::format("{}static const {} {}_step{} = {{\n{}}};\n", title, body.type, package, id, body.fields);
  if (body.tables == nullptr) return text;
  const ConvolutionTables& t = *body.tables;
  text.tables = title + c_array(fmt::format("const int8_t {}_filter", node), t.filter) +
                c_array(fmt::format("const int32_t {}_bias", node), t.bias) +
                c_array(fmt::format("const int32_t {}_multiplier", node), t.multiplier) +
                c_array(fmt::format("const int8_t {}_shift", node), t.shift);
  text.externals = fmt::format(
      "extern const int8_t {0}_filter[{1}];\nextern const int32_t {0}_bias[{2}];\n"
      "extern const int32_t {0}_multiplier[{2}];\nextern const int8_t {0}_shift[{2}];\n",
      node, t.filter.size(), t.bias.size());
  return text;
}

}  // namespace mcufit
