// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "blocks/float_interpreter.h"
#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "exporters/onnx/import.h"
#include "tests/exporters/onnx_model.h"

namespace mcufit::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using D = OnnxModel::Dims;

std::string refusal_of(const std::string& bytes) {
  try {
    import_onnx(bytes, "net.onnx");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input) << error.what();
    return error.what();
  }
  return "accepted";
}

// Why a model over 1x2x4x4 that ends in what `build` gives is refused.
std::string refusal(const std::function<std::string(OnnxModel&)>& build, std::int64_t operator_set = 13) {
  OnnxModel m({1, 2, 4, 4}, operator_set);
  return refusal_of(m.bytes(build(m)));
}

TEST(OnnxImport, NamesNodeReasonAndWhatIsSupported) {
  const std::string message = refusal([](OnnxModel& m) { return m.node("LSTM", {m.node("Relu", {"x"})}); });
  EXPECT_THAT(message, AllOf(HasSubstr("net.onnx: node 1 (LSTM, 'lstm_1')"),
                             HasSubstr("supported: Add, AveragePool"), ::testing::Not(HasSubstr("Linear"))));
}

TEST(OnnxImport, RefusesWhatItWouldComputeOtherwise) {
  using M = OnnxModel;
  const auto conv = [](const D& dims, const std::function<void(M&)>& change) {
    return refusal([&](M& m) {
      std::size_t count = 1;
      for (const std::int64_t extent : dims) count *= static_cast<std::size_t>(extent);
      const std::string y = m.node("Conv", {"x", m.floats("filter", dims, pattern(count))});
      change(m);
      return y;
    });
  };
  EXPECT_THAT(conv({4, 1, 3, 3}, [](M& m) { m.set("group", std::int64_t{4}); }), HasSubstr("4 groups"));
  EXPECT_THAT(conv({4, 3, 3, 3}, [](M&) {}), HasSubstr("reads 2 channels"));
  EXPECT_THAT(conv({4, 2, 3}, [](M&) {}), HasSubstr("a filter 4x2x3"));
  EXPECT_THAT(conv({4, 2, 3, 3}, [](M& m) { m.set("kernel_shape", D{3, 1}); }), HasSubstr("kernel_shape"));
  EXPECT_THAT(conv({4, 2, 3, 3}, [](M& m) { m.set("strides", D{0, 1}); }), HasSubstr("stride 0"));
  EXPECT_THAT(conv({4, 2, 3, 3}, [](M& m) { m.set("strides", D{-1, 1}); }), HasSubstr("stride -1"));
  EXPECT_THAT(conv({4, 2, 3, 3}, [](M& m) { m.set("strides", D{1}); }), HasSubstr("1 strides"));
  EXPECT_THAT(conv({4, 2, 3, 3}, [](M& m) { m.set("pads", D{9, 9, 9, 9}); }), HasSubstr("padding smaller"));
  EXPECT_THAT(conv({4, 2, 3, 3},
                   [](M& m) {
                     m.set("pads", D{1, 1, 1, std::int64_t{1} << 40});
                   }),
              HasSubstr("padding 1099511627776"));
  EXPECT_THAT(conv({4, 2, 5, 5}, [](M&) {}), HasSubstr("does not fit"));
  EXPECT_THAT(conv({4, 2, 3, 3}, [](M& m) { m.set("activation", "Relu"); }),
              HasSubstr("attribute 'activation'"));
  EXPECT_THAT(conv({4, 2, 3, 3}, [](M& m) { m.set("auto_pad", "SAME"); }), HasSubstr("auto_pad 'SAME'"));
  EXPECT_THAT(conv({4, 2, 3, 3}, [](M& m) { m.set("group", 1.0F); }), HasSubstr("has type"));
  const auto pool = [](const std::function<void(M&)>& change) {
    return refusal([&](M& m) {
      const std::string y = m.node("AveragePool", {"x"});
      change(m);
      return y;
    });
  };
  EXPECT_THAT(
      pool([](M& m) {
        m.set("kernel_shape", D{3, 3}).set("pads", D{1, 1, 1, 1}).set("count_include_pad", std::int64_t{1});
      }),
      HasSubstr("averages its padding"));
  EXPECT_THAT(pool([](M& m) {
                m.set("kernel_shape", D{3, 3}).set("strides", D{2, 2}).set("ceil_mode", std::int64_t{1});
              }),
              HasSubstr("ceil_mode"));
  EXPECT_THAT(pool([](M&) {}), HasSubstr("kernel of 0 extents"));
}

TEST(OnnxImport, RefusesOtherNumbersAndShapes) {
  using M = OnnxModel;
  EXPECT_THAT(refusal([](M& m) {
                return m.node("Clip", {"x", m.floats("a", {}, {-1}), m.floats("b", {}, {1})});
              }),
              HasSubstr("clips to [-1, 1]"));
  EXPECT_THAT(refusal([](M& m) { return m.node("HardSigmoid", {"x"}); }), HasSubstr("alpha 0.2"));
  EXPECT_THAT(refusal([](M& m) {
                return m.node("Add", {"x", m.floats("a", {4}, {1, 2, 3, 4})});
              }),
              HasSubstr("in another order"));
  EXPECT_THAT(refusal([](M& m) {
                return m.node("Add", {"x", m.floats("a", {2, 4}, pattern(8))});
              }),
              HasSubstr("one number or one per channel"));
  EXPECT_THAT(refusal([](M& m) {
                return m.node("Add", {"x", m.node("GlobalAveragePool", {"x"})});
              }),
              HasSubstr("adds 1x2x4x4 and 1x2x1x1"));
  EXPECT_THAT(refusal([](M& m) { return m.node("Flatten", {m.node("Relu", {"x"})}); }),
              HasSubstr("in another order"));
  EXPECT_THAT(refusal([](M& m) { return m.node("Softmax", {m.node("Flatten", {"x"})}); }),
              HasSubstr("in another order"));
  EXPECT_THAT(refusal([](M& m) {
                return m.node("Reshape", {"x", m.integers("s", {1, 31})});
              }),
              HasSubstr("as many elements"));
  EXPECT_THAT(refusal([](M& m) {
                return m.node("Reshape", {"x", m.integers("s", {-1, -1})});
              }),
              HasSubstr("several -1"));
  EXPECT_THAT(refusal([](M& m) {
                return m.node("Reshape", {"x", m.integers("s", {1, -7})});
              }),
              HasSubstr("extents"));
  EXPECT_THAT(refusal([](M& m) {
                return m.node("Reshape", {"x", "x"});
              }),
              HasSubstr("constant list of integers"));
  EXPECT_THAT(refusal([](M& m) {
                return m.node("Concat", {"x", m.node("GlobalAveragePool", {"x"})});
              }),
              HasSubstr("cannot concatenate"));
  const auto transposed = [](const D& perm) {
    return refusal([&](M& m) {
      const std::string y = m.node("Transpose", {m.node("Relu", {"x"})});
      m.set("perm", perm);
      return m.node("GlobalAveragePool", {y});
    });
  };
  EXPECT_THAT(transposed({0, 2, 1, 3}), HasSubstr("in another order"));
  EXPECT_THAT(transposed({0, 1, 1, 3}), HasSubstr("no permutation"));
  EXPECT_THAT(transposed({0, 1, 2}), HasSubstr("no permutation"));
  EXPECT_THAT(transposed({0, 1, 2, 4}), HasSubstr("axis 4"));
  EXPECT_THAT(
      refusal([](M& m) {
        const std::string y = m.node("Resize", {"x", "", m.floats("scales", {4}, {1, 1, 1.5F, 1.5F})});
        m.set("nearest_mode", "ceil");
        return y;
      }),
      HasSubstr("copies other pixels"));
  EXPECT_THAT(refusal([](M& m) {
                return m.node("MatMul", {"x", m.floats("w", {4, 3}, pattern(12))});
              }),
              HasSubstr("one row"));
}

TEST(OnnxImport, RefusesWrongTensors) {
  using M = OnnxModel;
  const auto add = [](const D& dims, const std::vector<float>& values,
                      const std::function<void(::onnx::TensorProto&)>& harm) {
    return refusal([&](M& m) {
      const std::string y = m.node("Mul", {"x", m.floats("a", dims, values)});
      harm(*m.proto().mutable_graph()->mutable_initializer(0));
      return y;
    });
  };
  using T = ::onnx::TensorProto;
  EXPECT_EQ(add({1}, {1}, [](T&) {}), "accepted");
  EXPECT_THAT(add({1}, {std::nanf("")}, [](T&) {}), HasSubstr("NaN"));
  EXPECT_THAT(add({1}, {1}, [](T& t) { t.add_float_data(1); }), HasSubstr("accepted: 1 values"));
  EXPECT_THAT(add({1}, {1}, [](T& t) { t.set_raw_data("abc"); }), HasSubstr("3 bytes"));
  EXPECT_THAT(add({1}, {1}, [](T& t) { t.set_dims(0, -1); }), HasSubstr("shape -1"));
  EXPECT_THAT(add({1}, {1}, [](T& t) { t.set_dims(0, std::int64_t{1} << 62); }), HasSubstr("product"));
  EXPECT_THAT(add({1}, {1}, [](T& t) { t.set_data_type(T::DOUBLE); }), HasSubstr("data type 11"));
  EXPECT_THAT(add({1}, {1}, [](T& t) { t.set_data_location(T::EXTERNAL); }), HasSubstr("another file"));
  const auto input = [](const D& dims) {
    OnnxModel m(dims);
    return refusal_of(m.bytes(m.node("Relu", {"x"})));
  };
  EXPECT_THAT(input({1, 2, -1, 4}), HasSubstr("1x2x0x4"));
  EXPECT_THAT(input({2, 2, 4, 4}), HasSubstr("a batch of 1"));
  EXPECT_THAT(input({1, 2, 4, 4, 4}), HasSubstr("5 dimensions"));
  EXPECT_THAT(input({1, 40000, 4, 4}), HasSubstr("40000"));
}

TEST(OnnxImport, RefusesWrongWiring) {
  using M = OnnxModel;
  EXPECT_THAT(refusal([](M& m) { return m.node("Relu", {"nobody"}); }),
              HasSubstr("computed by no node before"));
  EXPECT_THAT(refusal([](M& m) { return m.node("Relu", {m.floats("a", {1}, {1})}); }),
              HasSubstr("is constant"));
  EXPECT_THAT(refusal([](M& m) { return m.node("Relu", {}); }), HasSubstr("found 0 inputs"));
  EXPECT_THAT(refusal([](M& m) { return m.node("Relu", {""}); }), HasSubstr("input 0"));
  EXPECT_THAT(refusal([](M& m) {
                m.node("Relu", {"x"});
                return std::string("missing");
              }),
              HasSubstr("computed by no node"));
  EXPECT_THAT(refusal([](M& m) {
                const std::string y = m.node("Relu", {"x"});
                m.proto().mutable_graph()->mutable_node(0)->set_output(0, "x");
                return std::string("x");
              }),
              HasSubstr("computed twice"));
  EXPECT_THAT(refusal([](M& m) { return m.node("Relu", {"x"}); }, 6), HasSubstr("operator set 6"));
  EXPECT_THAT(refusal([](M& m) { return m.node("Relu", {"x"}); }, 99), HasSubstr("operator set 99"));
  EXPECT_THAT(refusal([](M& m) {
                *m.proto().mutable_graph()->add_input() = m.proto().graph().input(0);
                m.proto().mutable_graph()->mutable_input(1)->set_name("second");
                return m.node("Relu", {"x"});
              }),
              HasSubstr("several inputs"));
}

// Whatever was done to the file: an Error, or a model that verifies and runs.
void import_damaged(const std::string& content) {
  try {
    const FloatModel model = import_onnx(content, "damaged");
    std::int64_t work = 0;
    for (const Node& node : model.graph.nodes) work += node.shape.elements();
    if (work > 100000) return;
    const std::vector<float> input(static_cast<std::size_t>(model.graph.input_shape().elements()));
    interpret(model.graph, model.weights, input);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input) << error.what();
  }
}

TEST(OnnxImport, TruncatedFilesAreRefusedOrSmaller) {
  const std::string whole = small_onnx_model();
  for (std::size_t size = 0; size < whole.size(); ++size) import_damaged(whole.substr(0, size));
}

TEST(OnnxImport, DamagedFilesDoNoHarm) {
  const std::string whole = small_onnx_model();
  ASSERT_LT(whole.size(), 8192U);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {0xff, 0x01, 0x80, 0x10}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      import_damaged(damaged);
    }
  }
}

// Deeper than any model: a subgraph in an attribute of a subgraph, and so on.
TEST(OnnxImport, DeepNestingIsRefused) {
  // Only nesting can be meant: graph (7) { node (1) { attribute (5) { g (6) { node (1) ... } } } }.
  std::string message;
  const char tags[] = {'\x32', '\x2a', '\x0a'};
  for (int i = 0; i < 3001; ++i) {
    std::string length;
    for (std::size_t n = message.size(); true; n >>= 7) {
      length += static_cast<char>((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
      if (n <= 0x7f) break;
    }
    message = (i == 3000 ? '\x3a' : tags[i % 3]) + length + message;
  }
  message = OnnxModel({1, 2}).bytes("x") + message;
  EXPECT_THAT(refusal_of(message), HasSubstr("damaged or no model"));
}

// MCUFIT_UPDATE_GOLDEN=1 writes them. The command line's tests use them too.
TEST(OnnxImport, TheFuzzingCorpusHasTheSmallModels) {
  const auto corpus = std::filesystem::path(MCUFIT_SOURCE_DIR) / "tests/fuzz/corpus/fuzz_onnx";
  for (const bool hard_swish : {true, false}) {
    const std::string whole = small_onnx_model(hard_swish);
    const auto path = corpus / (hard_swish ? "small.onnx" : "plain.onnx");
    if (std::getenv("MCUFIT_UPDATE_GOLDEN") != nullptr) write_file(path, whole);
    EXPECT_EQ(read_file(path), whole);
  }
}

}  // namespace
}  // namespace mcufit::testing
