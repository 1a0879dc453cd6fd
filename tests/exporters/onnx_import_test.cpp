// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "blocks/float_interpreter.h"
#include "blocks/foundation/error.h"
#include "blocks/lower.h"
#include "exporters/onnx/import.h"
#include "tests/exporters/onnx_model.h"

namespace mcufit::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using D = OnnxModel::Dims;
using Floats = std::vector<float>;

std::size_t index(std::int64_t value) { return static_cast<std::size_t>(value); }

// A CHW image, as ONNX has it.
struct Image {
  std::int64_t channels, height, width;
  Floats values;
  float at(std::int64_t c, std::int64_t y, std::int64_t x) const {
    if (y < 0 || y >= height || x < 0 || x >= width) return 0;
    return values[index((c * height + y) * width + x)];
  }
};

Image image(std::int64_t channels, std::int64_t height, std::int64_t width, int salt = 0) {
  return {channels, height, width, pattern(index(channels * height * width), salt)};
}

Floats as_nhwc(const Image& in) {
  Floats out;
  for (std::int64_t y = 0; y < in.height; ++y)
    for (std::int64_t x = 0; x < in.width; ++x)
      for (std::int64_t c = 0; c < in.channels; ++c) out.push_back(in.at(c, y, x));
  return out;
}

Floats run(const std::string& bytes, const Floats& input) {
  const FloatModel model = import_onnx(bytes, "test");
  EXPECT_EQ(model.graph.input_shape().elements(), static_cast<std::int64_t>(input.size()));
  return interpret(model.graph, model.weights, input).back();
}

void expect_near(const Floats& found, const Floats& expected, float tolerance = 1e-5F) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], tolerance) << i;
}

// What a convolution means in ONNX, from its definition: NCHW in, filters [out][in/groups][kh][kw].
struct ConvCase {
  std::int64_t out = 4, groups = 1, kh = 3, kw = 2, sy = 2, sx = 1, dy = 1, dx = 2;
  D pads{1, 0, 0, 2};  // top, left, bottom, right
};

Image convolved(const Image& in, const ConvCase& c, const Floats& filter, const Floats& bias) {
  const std::int64_t height = (in.height + c.pads[0] + c.pads[2] - (c.kh - 1) * c.dy - 1) / c.sy + 1;
  const std::int64_t width = (in.width + c.pads[1] + c.pads[3] - (c.kw - 1) * c.dx - 1) / c.sx + 1;
  const std::int64_t per_group = in.channels / c.groups, out_per_group = c.out / c.groups;
  Image out{c.out, height, width, {}};
  for (std::int64_t o = 0; o < c.out; ++o)
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x) {
        float sum = bias.empty() ? 0 : bias[index(o)];
        for (std::int64_t i = 0; i < per_group; ++i)
          for (std::int64_t ky = 0; ky < c.kh; ++ky)
            for (std::int64_t kx = 0; kx < c.kw; ++kx)
              sum += filter[index(((o * per_group + i) * c.kh + ky) * c.kw + kx)] *
                     in.at(o / out_per_group * per_group + i, y * c.sy + ky * c.dy - c.pads[0],
                           x * c.sx + kx * c.dx - c.pads[1]);
        out.values.push_back(sum);
      }
  return out;
}

void check_conv(const Image& in, const ConvCase& c, bool with_bias) {
  const std::int64_t per_group = in.channels / c.groups;
  const Floats filter = pattern(index(c.out * per_group * c.kh * c.kw), 3);
  const Floats bias = with_bias ? pattern(index(c.out), 5) : Floats{};
  OnnxModel m({1, in.channels, in.height, in.width});
  std::vector<std::string> inputs{"x", m.floats("filter", {c.out, per_group, c.kh, c.kw}, filter)};
  if (with_bias) inputs.push_back(m.floats("bias", {c.out}, bias));
  const std::string y = m.node("Conv", inputs);
  m.set("pads", c.pads).set("strides", D{c.sy, c.sx}).set("dilations", D{c.dy, c.dx}).set("group", c.groups);
  m.set("kernel_shape", D{c.kh, c.kw});
  expect_near(run(m.bytes(y), as_nhwc(in)), as_nhwc(convolved(in, c, filter, bias)));
}

TEST(OnnxImport, Conv) {
  check_conv(image(3, 6, 7), {}, true);
  check_conv(image(3, 6, 7), {}, false);
  check_conv(image(1, 6, 7), {}, true);
  check_conv(image(3, 6, 7), {.out = 5, .kh = 1, .kw = 1, .sy = 1, .dx = 1, .pads = {0, 0, 0, 0}}, true);
}

TEST(OnnxImport, DepthwiseConv) {
  check_conv(image(3, 6, 7), {.out = 3, .groups = 3}, true);
  check_conv(image(3, 6, 7), {.out = 6, .groups = 3}, false);
}

TEST(OnnxImport, ConvAutoPad) {
  const Image in = image(2, 5, 6);
  const Floats filter = pattern(2 * 2 * 3 * 3);
  const auto check = [&](const char* rule, const D& pads) {
    OnnxModel m({1, 2, 5, 6});
    const std::string y = m.node("Conv", {"x", m.floats("filter", {2, 2, 3, 3}, filter)});
    m.set("auto_pad", rule).set("strides", D{2, 2});
    const ConvCase c{.out = 2, .kw = 3, .sx = 2, .dx = 1, .pads = pads};
    expect_near(run(m.bytes(y), as_nhwc(in)), as_nhwc(convolved(in, c, filter, {})));
  };
  check("SAME_UPPER", {1, 0, 1, 1});
  check("SAME_LOWER", {1, 1, 1, 0});
  check("VALID", {0, 0, 0, 0});
}

TEST(OnnxImport, ConvOverOneSpatialAxis) {
  const Image in = image(2, 1, 9);
  const Floats filter = pattern(3 * 2 * 4);
  OnnxModel m({1, 2, 9});
  const std::string y = m.node("Conv", {"x", m.floats("filter", {3, 2, 4}, filter)});
  m.set("strides", D{2}).set("pads", D{1, 2});
  const ConvCase c{.out = 3, .kh = 1, .kw = 4, .sy = 1, .sx = 2, .dx = 1, .pads = {0, 1, 0, 2}};
  expect_near(run(m.bytes(y), as_nhwc(in)), as_nhwc(convolved(in, c, filter, {})));
}

// Rows of `matrix` [out][in] over the values as the file orders them.
Floats multiplied(const Floats& in, const Floats& matrix, const Floats& bias) {
  Floats out = bias;
  for (std::size_t o = 0; o < out.size(); ++o)
    for (std::size_t i = 0; i < in.size(); ++i) out[o] += matrix[o * in.size() + i] * in[i];
  return out;
}

TEST(OnnxImport, GemmOverAnImageFlattenedChannelByChannel) {
  const Image in = image(3, 2, 4);
  const Floats matrix = pattern(5 * 24), bias = pattern(5, 1);
  OnnxModel m({1, 3, 2, 4});
  const std::string flat = m.node("Flatten", {"x"});
  const std::string y = m.node("Gemm", {flat, m.floats("w", {5, 24}, matrix), m.floats("b", {5}, bias)});
  m.set("transB", std::int64_t{1}).set("alpha", 0.5F).set("beta", 2.0F);
  Floats half = matrix, twice = bias;
  for (float& value : half) value /= 2;
  for (float& value : twice) value *= 2;
  expect_near(run(m.bytes(y), as_nhwc(in)), multiplied(in.values, half, twice));
}

TEST(OnnxImport, MatMulAndAddBecomeOneLayer) {
  const Image in = image(3, 2, 4);
  const Floats matrix = pattern(5 * 24), bias = pattern(5, 1);
  Floats transposed(matrix.size());
  for (std::size_t o = 0; o < 5; ++o)
    for (std::size_t i = 0; i < 24; ++i) transposed[i * 5 + o] = matrix[o * 24 + i];
  OnnxModel m({1, 3, 2, 4});
  const std::string flat = m.node("Reshape", {"x", m.integers("shape", {-1, 24})});
  std::string y = m.node("MatMul", {flat, m.floats("w", {24, 5}, transposed)});
  y = m.node("Add", {m.floats("b", {5}, bias), y});
  const std::string bytes = m.bytes(y);
  expect_near(run(bytes, as_nhwc(in)), multiplied(in.values, matrix, bias));
  const Graph graph = import_onnx(bytes, "test").graph;
  ASSERT_EQ(graph.size(), 2);
  EXPECT_TRUE(std::get<FullyConnected>(graph.node(1).op).bias);
}

// tf2onnx: channels last outside, Transpose around convolutions, a flattening of channels last.
TEST(OnnxImport, ChannelsLastBehindATranspose) {
  const Image in = image(2, 4, 3);
  const Floats filter = pattern(2 * 2), matrix = pattern(24 * 2);
  OnnxModel m({-1, 4, 3, 2});
  std::string x = m.node("Transpose", {"x"});
  m.set("perm", D{0, 3, 1, 2});
  x = m.node("Conv", {x, m.floats("filter", {2, 2, 1, 1}, filter)});
  x = m.node("Transpose", {x});
  m.set("perm", D{0, 2, 3, 1});
  x = m.node("Reshape", {x, m.integers("shape", {1, 24})});
  const std::string y = m.node("MatMul", {x, m.floats("w", {24, 2}, matrix)});
  const ConvCase c{.out = 2, .kh = 1, .kw = 1, .sy = 1, .dx = 1, .pads = {0, 0, 0, 0}};
  const Floats flat = as_nhwc(convolved(in, c, filter, {}));
  Floats expected(2);
  for (std::size_t i = 0; i < 24; ++i)
    for (std::size_t o = 0; o < 2; ++o) expected[o] += flat[i] * matrix[i * 2 + o];
  expect_near(run(m.bytes(y), as_nhwc(in)), expected);
}

// A vector that is an image: the input takes the shape in which it is first read.
TEST(OnnxImport, AVectorBecomesAnImage) {
  OnnxModel m({1, 12});
  std::string x = m.node("Reshape", {"x", m.integers("shape", {-1, 4, 3, 1})});
  x = m.node("Transpose", {x});
  m.set("perm", D{0, 3, 1, 2});
  x = m.node("MaxPool", {x});
  m.set("kernel_shape", D{4, 1});
  const FloatModel model = import_onnx(m.bytes(x), "test");
  EXPECT_EQ(model.graph.input_shape(), (Shape{4, 3, 1}));
  EXPECT_EQ(model.graph.output_shape(), (Shape{1, 3, 1}));
}

TEST(OnnxImport, BatchNormalization) {
  const Image in = image(3, 2, 2);
  OnnxModel m({1, 3, 2, 2});
  const Floats gamma{1, 2, -3}, beta{0.5F, 0, 1}, mean{0.25F, -1, 0}, variance{1, 4, 0.25F};
  const std::string y =
      m.node("BatchNormalization", {"x", m.floats("g", {3}, gamma), m.floats("b", {3}, beta),
                                    m.floats("m", {3}, mean), m.floats("v", {3}, variance)});
  m.set("epsilon", 0.01F);
  Image expected = in;
  for (std::size_t i = 0; i < expected.values.size(); ++i) {
    const std::size_t c = i / 4;
    expected.values[i] = (in.values[i] - mean[c]) / std::sqrt(variance[c] + 0.01F) * gamma[c] + beta[c];
  }
  expect_near(run(m.bytes(y), as_nhwc(in)), as_nhwc(expected));
}

TEST(OnnxImport, ElementwiseFunctions) {
  const Floats in{-7, -3.5F, -2, -0.25F, 0, 0.5F, 2.5F, 3, 5, 8};
  const auto check = [&](const std::function<std::string(OnnxModel&)>& build, float (*expected)(float)) {
    OnnxModel m({1, 10}, 14);
    const std::string y = build(m);
    Floats out;
    for (const float value : in) out.push_back(expected(value));
    const std::string bytes = m.bytes(y);
    expect_near(run(bytes, in), out);
    EXPECT_EQ(import_onnx(bytes, "test").graph.size(), 2);
  };
  const auto gate = [](float x) { return std::clamp(x / 6 + 0.5F, 0.0F, 1.0F); };
  check([](OnnxModel& m) { return m.node("Relu", {"x"}); }, [](float x) { return std::max(x, 0.0F); });
  check(
      [](OnnxModel& m) {
        return m.node("Clip", {"x", m.floats("a", {}, {0}), m.floats("bb", {}, {6})});
      },
      [](float x) { return std::clamp(x, 0.0F, 6.0F); });
  check(
      [](OnnxModel& m) {
        return m.node("Clip", {"x", m.floats("a", {}, {0})});
      },
      [](float x) { return std::max(x, 0.0F); });
  check([](OnnxModel& m) { return m.node("Sigmoid", {"x"}); },
        [](float x) { return 1 / (1 + std::exp(-x)); });
  check([](OnnxModel& m) { return m.node("HardSwish", {"x"}); },
        [](float x) { return x * std::clamp(x / 6 + 0.5F, 0.0F, 1.0F); });
  const auto hard_sigmoid = [](OnnxModel& m) {
    const std::string y = m.node("HardSigmoid", {"x"});
    m.set("alpha", 1.0F / 6).set("beta", 0.5F);
    return y;
  };
  check(hard_sigmoid, gate);
  check(
      [&](OnnxModel& m) {
        return m.node("Mul", {hard_sigmoid(m), "x"});
      },
      [](float x) { return x * std::clamp(x / 6 + 0.5F, 0.0F, 1.0F); });
  check(
      [&](OnnxModel& m) {
        return m.node("Mul", {"x", hard_sigmoid(m)});
      },
      [](float x) { return x * std::clamp(x / 6 + 0.5F, 0.0F, 1.0F); });
  check(
      [](OnnxModel& m) {
        return m.node("Mul", {"x", m.floats("two", {}, {2})});
      },
      [](float x) { return 2 * x; });
  check(
      [](OnnxModel& m) {
        return m.node("Sub", {"x", m.floats("two", {1}, {2})});
      },
      [](float x) { return x - 2; });
  check(
      [](OnnxModel& m) {
        return m.node("Div", {"x", m.floats("two", {1, 1}, {2})});
      },
      [](float x) { return x / 2; });
  check([](OnnxModel& m) { return m.node("Relu", {m.node("Dropout", {m.node("Identity", {"x"})})}); },
        [](float x) { return std::max(x, 0.0F); });
}

TEST(OnnxImport, OldClipHasAttributes) {
  OnnxModel m({1, 3}, 7);
  const std::string y = m.node("Clip", {"x"});
  m.set("min", 0.0F).set("max", 6.0F);
  expect_near(run(m.bytes(y), {-1, 3, 9}), {0, 3, 6});
}

// The second branch is relu(x), so that both inputs differ.
TEST(OnnxImport, AddAndMul) {
  const Image in = image(2, 2, 3);
  for (const bool add : {true, false}) {
    OnnxModel m({1, 2, 2, 3});
    const std::string y = m.node(add ? "Add" : "Mul", {m.node("Relu", {"x"}), "x"});
    Image expected = in;
    for (float& x : expected.values) x = add ? std::max(x, 0.0F) + x : std::max(x, 0.0F) * x;
    expect_near(run(m.bytes(y), as_nhwc(in)), as_nhwc(expected));
  }
}

TEST(OnnxImport, MulByOneNumberPerChannel) {
  const Image in = image(2, 2, 3);
  for (const bool swapped : {false, true}) {
    OnnxModel m({1, 2, 2, 3});
    const std::string gate = m.node("GlobalAveragePool", {"x"});
    const std::string y = swapped ? m.node("Mul", {gate, "x"}) : m.node("Mul", {"x", gate});
    Image expected = in;
    for (std::size_t c = 0; c < 2; ++c) {
      float sum = 0;
      for (std::size_t i = 0; i < 6; ++i) sum += in.values[c * 6 + i];
      for (std::size_t i = 0; i < 6; ++i) expected.values[c * 6 + i] *= sum / 6;
    }
    expect_near(run(m.bytes(y), as_nhwc(in)), as_nhwc(expected));
  }
}

TEST(OnnxImport, ConstantsPerChannel) {
  const Image in = image(2, 2, 3);
  OnnxModel m({1, 2, 2, 3});
  std::string y = m.node("Mul", {"x", m.floats("scale", {1, 2, 1, 1}, {2, 3})});
  y = m.node("Add", {y, m.floats("shift", {2, 1, 1}, {10, 20})});
  Image expected = in;
  for (std::size_t i = 0; i < 12; ++i)
    expected.values[i] = i < 6 ? in.values[i] * 2 + 10 : in.values[i] * 3 + 20;
  expect_near(run(m.bytes(y), as_nhwc(in)), as_nhwc(expected));
}

TEST(OnnxImport, Concat) {
  const Image in = image(2, 2, 3);
  for (const std::int64_t axis : {1, 2, -1}) {
    OnnxModel m({1, 2, 2, 3});
    const std::string y = m.node("Concat", {"x", m.node("Relu", {"x"}), "x"});
    m.set("axis", axis);
    Image out{axis == 1 ? 6 : 2, axis == 2 ? 6 : 2, axis == -1 ? 9 : 3, {}};
    for (std::int64_t c = 0; c < out.channels; ++c)
      for (std::int64_t row = 0; row < out.height; ++row)
        for (std::int64_t x = 0; x < out.width; ++x) {
          const float value = in.at(c % 2, row % 2, x % 3);
          const bool middle = c / 2 == 1 || row / 2 == 1 || x / 3 == 1;
          out.values.push_back(middle ? std::max(value, 0.0F) : value);
        }
    expect_near(run(m.bytes(y), as_nhwc(in)), as_nhwc(out));
  }
}

TEST(OnnxImport, Pad) {
  const Image in = image(2, 2, 3);
  for (const bool old : {false, true}) {
    OnnxModel m({1, 2, 2, 3}, old ? 9 : 13);
    const D pads{0, 1, 2, 0, 0, 0, 1, 3};
    const std::string y = old ? m.node("Pad", {"x"})
                              : m.node("Pad", {"x", m.integers("pads", pads), m.floats("five", {}, {5})});
    if (old) m.set("pads", pads).set("value", 5.0F).set("mode", "constant");
    Image out{3, 5, 6, {}};
    for (std::int64_t c = -1; c < 2; ++c)
      for (std::int64_t row = -2; row < 3; ++row)
        for (std::int64_t x = 0; x < 6; ++x)
          out.values.push_back(c < 0 || row < 0 || row > 1 || x > 2 ? 5 : in.at(c, row, x));
    expect_near(run(m.bytes(y), as_nhwc(in)), as_nhwc(out));
  }
}

// Pooling from its definition; padding is never looked at.
Image pooled(const Image& in, bool average) {
  Image out{in.channels, 3, 3, {}};  // kernel 2x3, strides 2x2, pads 1, 1, 0, 1
  for (std::int64_t c = 0; c < in.channels; ++c)
    for (std::int64_t oy = 0; oy < 3; ++oy)
      for (std::int64_t ox = 0; ox < 3; ++ox) {
        float sum = 0, most = -INFINITY, count = 0;
        for (std::int64_t y = oy * 2 - 1; y < oy * 2 + 1; ++y)
          for (std::int64_t x = ox * 2 - 1; x < ox * 2 + 2; ++x) {
            if (y < 0 || y >= in.height || x < 0 || x >= in.width) continue;
            sum += in.at(c, y, x);
            most = std::max(most, in.at(c, y, x));
            ++count;
          }
        out.values.push_back(average ? sum / count : most);
      }
  return out;
}

TEST(OnnxImport, Pooling) {
  const Image in = image(3, 5, 5);
  for (const bool average : {false, true}) {
    OnnxModel m({1, 3, 5, 5});
    const std::string y = m.node(average ? "AveragePool" : "MaxPool", {"x"});
    m.set("kernel_shape", D{2, 3}).set("strides", D{2, 2}).set("pads", D{1, 1, 0, 1});
    expect_near(run(m.bytes(y), as_nhwc(in)), as_nhwc(pooled(in, average)));
  }
}

TEST(OnnxImport, MeanOverImages) {
  const Image in = image(2, 2, 3);
  Floats expected(2);
  for (std::size_t i = 0; i < 12; ++i) expected[i / 6] += in.values[i] / 6;
  for (const bool keep : {false, true}) {
    OnnxModel m({1, 2, 2, 3});
    const std::string y = m.node("ReduceMean", {"x"});
    m.set("axes", D{2, -1}).set("keepdims", std::int64_t{keep});
    expect_near(run(m.bytes(keep ? m.node("Squeeze", {y, m.integers("axes", {2, 3})}) : y), as_nhwc(in)),
                expected);
  }
  OnnxModel m({1, 2, 2, 3});
  expect_near(run(m.bytes(m.node("Flatten", {m.node("GlobalAveragePool", {"x"})})), as_nhwc(in)), expected);
}

TEST(OnnxImport, ShapesThatMoveNothing) {
  OnnxModel m({1, 6});
  std::string y = m.node("Unsqueeze", {"x", m.integers("axes", {2, 3})});
  y = m.node("Relu", {y});
  y = m.node("Squeeze", {y, m.integers("back", {2, 3})});
  y = m.node("Transpose", {y});
  m.set("perm", D{0, 1});
  expect_near(run(m.bytes(y), {-1, 2, -3, 4, -5, 6}), {0, 2, 0, 4, 0, 6});
}

TEST(OnnxImport, Softmax) {
  const Image in = image(3, 1, 2);
  OnnxModel m({1, 3, 1, 2});
  const std::string y = m.node("Softmax", {"x"});
  m.set("axis", std::int64_t{1});
  Image expected = in;
  for (std::int64_t x = 0; x < 2; ++x) {
    float sum = 0;
    for (std::int64_t c = 0; c < 3; ++c) sum += std::exp(in.at(c, 0, x));
    for (std::int64_t c = 0; c < 3; ++c) expected.values[index(c * 2 + x)] = std::exp(in.at(c, 0, x)) / sum;
  }
  expect_near(run(m.bytes(y), as_nhwc(in)), as_nhwc(expected));
  OnnxModel old({1, 3}, 9);
  const float sum = std::exp(1.0F) + std::exp(2.0F) + 1;
  expect_near(run(old.bytes(old.node("Softmax", {"x"})), {0, 1, 2}),
              {1 / sum, std::exp(1.0F) / sum, std::exp(2.0F) / sum});
}

// One row; expected sources by hand from ONNX's formulas.
void check_resize(const D& input, const char* mode, const char* round, const std::vector<float>& scales,
                  const std::vector<std::int64_t>& sources) {
  const Image in = image(2, 1, input[3]);
  OnnxModel m(input);
  const std::string y = m.node("Resize", {"x", "", m.floats("scales", {4}, scales)});
  m.set("mode", "nearest").set("coordinate_transformation_mode", mode).set("nearest_mode", round);
  Image out{2, 1, static_cast<std::int64_t>(sources.size()), {}};
  for (std::int64_t c = 0; c < 2; ++c)
    for (const std::int64_t source : sources) out.values.push_back(in.at(c, 0, source));
  expect_near(run(m.bytes(y), as_nhwc(in)), as_nhwc(out));
}

TEST(OnnxImport, ResizeNearest) {
  check_resize({1, 2, 1, 3}, "asymmetric", "floor", {1, 1, 1, 2}, {0, 0, 1, 1, 2, 2});
  check_resize({1, 2, 1, 3}, "half_pixel", "round_prefer_floor", {1, 1, 1, 2}, {0, 0, 1, 1, 2, 2});
  check_resize({1, 2, 1, 4}, "asymmetric", "floor", {1, 1, 1, 0.5F}, {0, 2});
  check_resize({1, 2, 1, 6}, "tf_half_pixel_for_nn", "floor", {1, 1, 1, 0.5F}, {1, 3, 5});
  check_resize({1, 2, 1, 3}, "align_corners", "round_prefer_ceil", {1, 1, 1, 5.0F / 3}, {0, 1, 1, 2, 2});
  OnnxModel m({1, 1, 1, 2}, 9);
  expect_near(run(m.bytes(m.node("Upsample", {"x", m.floats("s", {4}, {1, 1, 2, 2})})), {3, 4}),
              {3, 3, 4, 4, 3, 3, 4, 4});
}

TEST(OnnxImport, WhatDoesNotLeadToTheOutputIsLeftOut) {
  OnnxModel m({1, 2, 2, 3});
  m.node("Tanh", {"x"});
  EXPECT_EQ(import_onnx(m.bytes(m.node("Relu", {"x"})), "test").graph.size(), 2);
}

TEST(OnnxImport, AWholeNetworkLowers) {
  const FloatModel model = import_onnx(small_onnx_model(), "small");
  EXPECT_EQ(model.graph.input_shape(), (Shape{5, 6, 2}));
  const Lowered lowered = lower(model.graph, model.weights);
  const Floats in = pattern(60);
  expect_near(interpret(lowered.graph, lowered.weights, in).back(),
              interpret(model.graph, model.weights, in).back());
}

}  // namespace
}  // namespace mcufit::testing
