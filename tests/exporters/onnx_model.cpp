// SPDX-License-Identifier: Apache-2.0
#include "tests/exporters/onnx_model.h"

namespace mcufit::testing {

using ::onnx::AttributeProto;
using ::onnx::TensorProto;

OnnxModel::OnnxModel(const Dims& input, std::int64_t operator_set) {
  model_.set_ir_version(7);
  model_.set_producer_name("test");
  model_.add_opset_import()->set_version(operator_set);
  model_.mutable_graph()->set_name("graph");
  auto* x = model_.mutable_graph()->add_input();
  x->set_name("x");
  auto* type = x->mutable_type()->mutable_tensor_type();
  type->set_elem_type(TensorProto::FLOAT);
  type->mutable_shape();
  for (const std::int64_t extent : input) {
    auto* dim = type->mutable_shape()->add_dim();
    if (extent < 0) dim->set_dim_param("N");
    if (extent >= 0) dim->set_dim_value(extent);
  }
}

std::string OnnxModel::floats(const std::string& name, const Dims& dims, const std::vector<float>& values) {
  auto* tensor = model_.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(TensorProto::FLOAT);
  for (const std::int64_t extent : dims) tensor->add_dims(extent);
  // Both ways in which files hold values.
  if (name.size() % 2 == 0)
    tensor->set_raw_data(values.data(), values.size() * sizeof(float));
  else
    for (const float value : values) tensor->add_float_data(value);
  return name;
}

std::string OnnxModel::integers(const std::string& name, const std::vector<std::int64_t>& values) {
  auto* tensor = model_.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(TensorProto::INT64);
  tensor->add_dims(static_cast<std::int64_t>(values.size()));
  for (const std::int64_t value : values) tensor->add_int64_data(value);
  return name;
}

std::string OnnxModel::node(const std::string& type, const std::vector<std::string>& inputs) {
  auto* node = model_.mutable_graph()->add_node();
  node->set_op_type(type);
  for (const std::string& input : inputs) node->add_input(input);
  node->add_output("t" + std::to_string(++outputs_));
  return node->output(0);
}

AttributeProto& OnnxModel::attribute(const std::string& name) {
  auto* node = model_.mutable_graph()->mutable_node(model_.graph().node_size() - 1);
  auto* added = node->add_attribute();
  added->set_name(name);
  return *added;
}

OnnxModel& OnnxModel::set(const std::string& name, std::int64_t value) {
  AttributeProto& added = attribute(name);
  added.set_type(AttributeProto::INT);
  added.set_i(value);
  return *this;
}

OnnxModel& OnnxModel::set(const std::string& name, float value) {
  AttributeProto& added = attribute(name);
  added.set_type(AttributeProto::FLOAT);
  added.set_f(value);
  return *this;
}

OnnxModel& OnnxModel::set(const std::string& name, const char* value) {
  AttributeProto& added = attribute(name);
  added.set_type(AttributeProto::STRING);
  added.set_s(value);
  return *this;
}

OnnxModel& OnnxModel::set(const std::string& name, const Dims& values) {
  AttributeProto& added = attribute(name);
  added.set_type(AttributeProto::INTS);
  for (const std::int64_t value : values) added.add_ints(value);
  return *this;
}

std::string OnnxModel::bytes(const std::string& output) {
  model_.mutable_graph()->clear_output();
  auto* y = model_.mutable_graph()->add_output();
  y->set_name(output);
  y->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::FLOAT);
  return model_.SerializeAsString();
}

std::vector<float> pattern(std::size_t count, int salt) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] =
        static_cast<float>((i * 37 + static_cast<std::size_t>(salt) * 11 + i * i % 17) % 101) / 50.0F - 1;
  return values;
}

std::string small_onnx_model(bool hard_swish) {
  using D = OnnxModel::Dims;
  OnnxModel m({-1, 2, 5, 6});
  std::string x =
      m.node("Conv", {"x", m.floats("w0", {4, 2, 3, 3}, pattern(72)), m.floats("b0", {4}, pattern(4))});
  m.set("pads", D{1, 1, 1, 1}).set("strides", D{2, 2});
  x = m.node("BatchNormalization",
             {x, m.floats("gamma", {4}, {1, 2, 3, 4}), m.floats("beta", {4}, pattern(4)),
              m.floats("mean", {4}, pattern(4)), m.floats("variance", {4}, {1, 2, 1, 2})});
  const std::string shortcut = m.node("Clip", {x, m.floats("zero", {}, {0}), m.floats("six", {}, {6})});
  x = m.node("Conv", {shortcut, m.floats("w1", {4, 1, 3, 3}, pattern(36, 1))});
  m.set("group", std::int64_t{4}).set("auto_pad", "SAME_UPPER");
  if (hard_swish) {
    const std::string gate = m.node("HardSigmoid", {x});
    m.set("alpha", 1.0F / 6);
    x = m.node("Mul", {gate, x});
  }
  x = m.node("Add", {x, shortcut});
  x = m.node("MaxPool", {x});
  m.set("kernel_shape", D{2, 2});
  x = m.node("Reshape", {x, m.integers("shape", {0, -1})});
  x = m.node("MatMul", {x, m.floats("w2", {16, 3}, pattern(48, 2))});
  x = m.node("Add", {x, m.floats("b2", {3}, pattern(3, 3))});
  return m.bytes(m.node("Softmax", {x}));
}

}  // namespace mcufit::testing
