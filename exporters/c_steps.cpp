// SPDX-License-Identifier: Apache-2.0
#include "exporters/c_steps.h"

#include <fmt/format.h>

#include "cost-models/layout.h"
#include "exporters/c_scratch.h"
#include "exporters/interleaved_filter.h"
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
std::string array(std::string_view declaration, std::span<const Integer> values,
                  std::string_view place = "MCUFIT_IN_FLASH") {
  return fmt::format("{}[{}] {} = {{\n{}}};\n", declaration, values.size(), place, numbers(values, 4));
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
      "                       .output_zero_point = {1}, .output_min = {2}, .output_max = {3}, "
      ".short_form = {4}}}",
      node, q.output_zero_point, q.output_min, q.output_max, q.short_form);
}

// What the C text of a step names.
struct Names {
  std::string_view package;  // "model"
  std::string node;          // "model_n3"
  std::string step;          // "model_step3"
};

// `interleaved` as the core's kernel may read the filter.
std::string text_of(const mcufit_conv2d_s8_step& s, int interleaved, const Names& names) {
  return fmt::format(
      "    .input = {},\n    .output = {},\n    .window = {},\n"
      "    .input_zero_point = {}, .interleaved = MCUFIT_INTERLEAVED({}), .scratch = {}({}),\n"
      "    .filter = {}_filter,\n    .bias = {}_bias,\n    .requantization = {}",
      text_of(s.input), text_of(s.output), text_of(s.window), s.input_zero_point, interleaved,
      scratch_macro_name(names.package), s.scratch, names.node, names.node,
      text_of(s.requantization, names.node));
}

std::string text_of(const mcufit_fully_connected_s8_step& s, int interleaved, std::string_view node) {
  return fmt::format(
      "    .input_offset = {}, .output_offset = {},\n    .input_elements = {}, .output_elements = {},\n"
      "    .filter = {}_filter,\n    .bias = {}_bias,\n    .requantization = {},\n"
      "    .interleaved_outputs = MCUFIT_INTERLEAVED({})",
      s.input_offset, s.output_offset, s.input_elements, s.output_elements, node, node,
      text_of(s.requantization, node), interleaved);
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
      "    .input = {},\n    .output = {},\n    .multiplier = {}, .width = {}, .channels = {},\n"
      "    .least_difference = {}, .shift = {}",
      text_of(s.input), text_of(s.output), s.multiplier, s.width, s.channels, s.least_difference, s.shift);
}

std::string text_of(const mcufit_mul_s8_step& s) {
  return fmt::format(
      "    .input1 = {},\n    .input2 = {},\n    .output = {},\n    .width = {}, .channels = {},\n"
      "    .multiplier = {}, .zero_point1 = {}, .zero_point2 = {},\n"
      "    .output_zero_point = {}, .shift = {}, .output_min = {}, .output_max = {}",
      text_of(s.input1), text_of(s.input2), text_of(s.output), s.width, s.channels, s.multiplier,
      s.zero_point1, s.zero_point2, s.output_zero_point, s.shift, s.output_min, s.output_max);
}

std::string text_of(const mcufit_lookup_s8_step& s, std::string_view node) {
  return fmt::format(
      "    .input = {},\n    .output = {},\n    .width = {}, .channels = {}, .table = {}_table",
      text_of(s.input), text_of(s.output), s.width, s.channels, node);
}

std::string text_of(const mcufit_mean_s8_step& s) {
  return fmt::format(
      "    .input = {},\n    .output = {},\n    .rows = {}, .columns = {}, .output_width = {}, .channels = "
      "{},\n"
      "    .multiplier = {}, .offset = {}, .output_zero_point = {}, .shift = {}",
      text_of(s.input), text_of(s.output), s.rows, s.columns, s.output_width, s.channels, s.multiplier,
      s.offset, s.output_zero_point, s.shift);
}

// A step inside of another one.
std::string nested(std::string_view fields) { return fmt::format("    .whole = {{\n{}}},\n", fields); }

std::string text_of(const mcufit_mean_rows_s8_step& s) {
  return fmt::format("{}    .sums = {}", nested(text_of(s.whole)), s.sums);
}

std::string text_of(const mcufit_average_pool2d_rows_s8_step& s) {
  return fmt::format("{}    .sums = {}", nested(text_of(s.whole)), s.sums);
}

std::string text_of(const mcufit_concatenation_s8_step& s, std::string_view step) {
  return fmt::format("    .output = {},\n    .parts = {}_parts, .count = {}", text_of(s.output), step,
                     s.count);
}

std::string text_of(const mcufit_pad_s8_step& s) {
  return fmt::format(
      "    .input = {},\n    .output = {},\n    .top = {}, .left = {}, .front = {},\n"
      "    .input_height = {}, .input_width = {}, .input_channels = {},\n"
      "    .output_width = {}, .output_channels = {}, .value = {}",
      text_of(s.input), text_of(s.output), s.top, s.left, s.front, s.input_height, s.input_width,
      s.input_channels, s.output_width, s.output_channels, s.value);
}

std::string text_of(const mcufit_resize_nearest_neighbor_s8_step& s, std::string_view node) {
  return fmt::format(
      "    .input = {},\n    .output = {},\n    .rows = {}_rows, .columns = {}_columns,\n"
      "    .output_width = {}, .channels = {}",
      text_of(s.input), text_of(s.output), node, node, s.output_width, s.channels);
}

std::string text_of(const mcufit_input_row_step& s) {
  return fmt::format("    .rows = {},\n    .sample_stride = {}, .first_column = {}, .columns = {}",
                     text_of(s.rows), s.sample_stride, s.first_column, s.columns);
}

// The array beside a concatenation's step.
std::string parts_text(const std::vector<mcufit_concatenation_part>& parts, std::string_view step) {
  std::string text =
      fmt::format("static const mcufit_concatenation_part {}_parts[{}] = {{\n", step, parts.size());
  for (const auto& p : parts)
    text += fmt::format(
        "    {{.input = {},\n     .at = {}, .first_row = {}, .rows = {}, .width = {}, .channels = {}}},\n",
        text_of(p.input), p.at, p.first_row, p.rows, p.width, p.channels);
  return text + "};\n";
}

// A constant array that a step points to: `const int8_t <node>_<suffix>[size]`.
struct Array {
  std::string_view type, suffix;
  std::string size, definition;
  std::string_view other = {};  // where the core reads it in another order, what its name says of that
  std::string other_size = {};
};

template <typename Integer>
Array array_of(std::string_view node, std::string_view type, std::string_view suffix,
               std::span<const Integer> values) {
  return {type, suffix, std::to_string(values.size()),
          array(fmt::format("const {} {}_{}", type, node, suffix), values)};
}

std::vector<Array> arrays_of(const ConvolutionTables& t, std::string_view node) {
  return {array_of<std::int8_t>(node, "int8_t", "filter", t.filter),
          array_of<std::int32_t>(node, "int32_t", "bias", t.bias),
          array_of<std::int32_t>(node, "int32_t", "multiplier", t.multiplier),
          array_of<std::int8_t>(node, "int8_t", "shift", t.shift)};
}

// The compiler takes the order of the filter that the core's kernel reads.
std::vector<Array> interleaved_arrays(const ConvolutionTables& t, const InterleavedFilter& again,
                                      std::string_view node, std::string_view order = "interleaved") {
  std::vector<Array> arrays = arrays_of(t, node);
  if (again.outputs == 0) return arrays;
  Array& filter = arrays.front();
  filter.other = order;
  filter.other_size = std::to_string(again.bytes.size());
  const std::string interleaved =
      array(fmt::format("const int8_t {}_filter", node), std::span<const std::int8_t>(again.bytes),
            "MCUFIT_IN_FLASH MCUFIT_WORD_ALIGNED");
  filter.definition =
      fmt::format("#if defined(MCUFIT_INTERLEAVES)\n{}#else\n{}#endif\n", interleaved, filter.definition);
  return arrays;
}

// The declaration of `<node>_filter`, under a name that says in which order it is.
std::string external(const Array& a, std::string_view node) {
  std::string plain = fmt::format("extern const {} {}_{}[{}];\n", a.type, node, a.suffix, a.size);
  if (a.other.empty()) return plain;
  const std::string name = fmt::format("#define {0}_{1} {0}_{2}_{1}\n", node, a.suffix, a.other);
  if (a.other_size == a.size)
    return fmt::format("#if defined(MCUFIT_INTERLEAVES)\n{}#endif\n{}", name, plain);
  return fmt::format("#if defined(MCUFIT_INTERLEAVES)\n{}extern const {} {}_{}[{}];\n#else\n{}#endif\n", name,
                     a.type, node, a.suffix, a.other_size, plain);
}

// The parts of a StepText that depend on the kind of step.
struct Body {
  std::string_view type;
  std::string fields;
  std::vector<Array> arrays = {};
  std::string before = {};  // definitions that the step needs in front of it
};

Body body_of(const Conv2dStep& s, const Names& names) {
  const InterleavedFilter again = interleave(s);
  return {"mcufit_conv2d_s8_step", text_of(s.fields, again.outputs > 0 ? 1 : 0, names),
          interleaved_arrays(s.tables, again, names.node)};
}

Body body_of(const DepthwiseConv2dStep& s, const Names& names, bool wide) {
  const InterleavedFilter again = wide ? widen(s) : interleave(s);
  const int order = wide ? 2 : 1;
  return {"mcufit_depthwise_conv2d_s8_step", text_of(s.fields, again.outputs > 0 ? order : 0, names),
          interleaved_arrays(s.tables, again, names.node, wide ? "wide" : "interleaved")};
}

Body body_of(const FullyConnectedStep& s, const Names& names) {
  const InterleavedFilter again = interleave(s);
  return {"mcufit_fully_connected_s8_step", text_of(s.fields, again.outputs, names.node),
          interleaved_arrays(s.tables, again, names.node)};
}

Body body_of(const RuntimeStep& step, const Names& names, bool wide_filters) {
  const std::string &node = names.node, &name = names.step;
  return std::visit(
      overloaded{
          [&](const Conv2dStep& s) { return body_of(s, names); },
          [&](const DepthwiseConv2dStep& s) { return body_of(s, names, wide_filters); },
          [&](const FullyConnectedStep& s) { return body_of(s, names); },
          [&](const AddStep& s) {
            return Body{"mcufit_add_s8_step", text_of(s.fields)};
          },
          [&](const AveragePool2dStep& s) {
            return Body{"mcufit_pool2d_s8_step", text_of(s.fields)};
          },
          [&](const MaxPool2dStep& s) {
            return Body{"mcufit_pool2d_s8_step", text_of(s.fields)};
          },
          [&](const SoftmaxStep& s) {
            return Body{"mcufit_softmax_s8_step", text_of(s.fields)};
          },
          [&](const MulStep& s) {
            return Body{"mcufit_mul_s8_step", text_of(s.fields)};
          },
          [&](const LookupStep& s) {
            return Body{"mcufit_lookup_s8_step",
                        text_of(s.fields, node),
                        {array_of<std::int8_t>(node, "int8_t", "table", s.table)}};
          },
          [&](const MeanStep& s) {
            return Body{"mcufit_mean_s8_step", text_of(s.fields)};
          },
          [&](const MeanRowsStep& s) {
            return Body{"mcufit_mean_rows_s8_step", text_of(s.fields)};
          },
          [&](const AveragePool2dRowsStep& s) {
            return Body{"mcufit_average_pool2d_rows_s8_step", text_of(s.fields)};
          },
          [&](const ConcatenationStep& s) {
            return Body{
                "mcufit_concatenation_s8_step", text_of(s.fields, name), {}, parts_text(s.parts, name)};
          },
          [&](const PadStep& s) {
            return Body{"mcufit_pad_s8_step", text_of(s.fields)};
          },
          [&](const ResizeStep& s) {
            return Body{"mcufit_resize_nearest_neighbor_s8_step",
                        text_of(s.fields, node),
                        {array_of<std::int16_t>(node, "int16_t", "rows", s.rows),
                         array_of<std::int16_t>(node, "int16_t", "columns", s.columns)}};
          },
          [&](const InputRowStep& s) {
            return Body{"mcufit_input_row_step", text_of(s.fields)};
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

std::string step_name(const KernelCall& call, std::string_view package) {
  const std::string name = fmt::format("{}_step{}", package, call.node);
  return call.tile == 0 ? name : fmt::format("{}_tile{}", name, call.tile);
}

StepText step_text(const QuantizedGraph& graph, const MemoryPlan& plan, const KernelCall& call,
                   std::string_view package, bool wide_filters) {
  const NodeId id = call.node;
  const RuntimeStep step = make_step(graph, plan, id, call.tile);
  const Names names{package, fmt::format("{}_n{}", package, id), step_name(call, package)};
  const Body body = body_of(step, names, wide_filters);
  StepText text;
  text.kernel = kernel_of(graph.graph, plan, id).value();
  text.end = std::visit([](const auto& s) { return int{s.end}; }, step);
  const std::string title = fmt::format("/* {} */\n", c_comment(graph.graph.node(id).name));
  text.step = fmt::format("{}{}static const {} {} = {{\n{}}};\n", title, body.before, body.type, names.step,
                          body.fields);
  if (!body.arrays.empty()) text.tables = title;
  for (const Array& a : body.arrays) {
    text.tables += a.definition;
    text.externals += external(a, names.node);
  }
  return text;
}

}  // namespace mcufit
