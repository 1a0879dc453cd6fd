// SPDX-License-Identifier: Apache-2.0
#include "exporters/onnx/node_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "blocks/foundation/error.h"

namespace mcufit::onnx_file {
namespace {

std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

std::string NodeReader::node_name() const {
  if (!node_.name().empty()) return printable(node_.name());
  return fmt::format("{}_{}", lower_case(printable(type())), index_);
}

void NodeReader::refuse(const std::string& message) const {
  throw Error(ExitCode::input, fmt::format("{}: node {} ({}, '{}'): {}", model_, index_, printable(type()),
                                           node_name(), message));
}

void NodeReader::check(std::size_t least_inputs, std::size_t most_inputs,
                       std::initializer_list<std::string_view> attributes) const {
  const auto outputs = std::count_if(node_.output().begin(), node_.output().end(),
                                     [](const std::string& name) { return !name.empty(); });
  if (outputs != 1 || node_.output(0).empty())
    refuse(fmt::format("found {} outputs; supported: the first alone", outputs));
  if (inputs() < least_inputs || inputs() > most_inputs)
    refuse(fmt::format("found {} inputs; accepted: {} to {}", inputs(), least_inputs, most_inputs));
  for (const auto& attribute : node_.attribute()) {
    if (std::find(attributes.begin(), attributes.end(), attribute.name()) == attributes.end())
      refuse(fmt::format("found the attribute '{}', which is not supported", printable(attribute.name())));
  }
}

bool NodeReader::has_input(std::size_t i) const { return i < inputs() && !input(i).empty(); }

const std::string& NodeReader::input(std::size_t i) const { return node_.input(static_cast<int>(i)); }

const proto::AttributeProto* NodeReader::find(std::string_view attribute) const {
  for (const auto& found : node_.attribute())
    if (found.name() == attribute) return &found;
  return nullptr;
}

const proto::AttributeProto* NodeReader::find(std::string_view attribute,
                                              proto::AttributeProto::AttributeType type) const {
  const auto* found = find(attribute);
  if (found != nullptr && found->type() != type)
    refuse(fmt::format("the attribute '{}' has type {}; accepted: {}", attribute,
                       static_cast<int>(found->type()), static_cast<int>(type)));
  return found;
}

std::int64_t NodeReader::integer(std::string_view attribute, std::int64_t otherwise) const {
  const auto* found = find(attribute, proto::AttributeProto::INT);
  return found == nullptr ? otherwise : found->i();
}

float NodeReader::number(std::string_view attribute, float otherwise) const {
  const auto* found = find(attribute, proto::AttributeProto::FLOAT);
  const float value = found == nullptr ? otherwise : found->f();
  if (!std::isfinite(value)) refuse(fmt::format("'{}' is {}; accepted: a finite number", attribute, value));
  return value;
}

std::string NodeReader::text(std::string_view attribute, const std::string& otherwise) const {
  const auto* found = find(attribute, proto::AttributeProto::STRING);
  return found == nullptr ? otherwise : found->s();
}

Dims NodeReader::integers(std::string_view attribute) const {
  const auto* found = find(attribute, proto::AttributeProto::INTS);
  if (found == nullptr) return {};
  return {found->ints().begin(), found->ints().end()};
}

std::vector<float> NodeReader::numbers(std::string_view attribute) const {
  const auto* found = find(attribute, proto::AttributeProto::FLOATS);
  if (found == nullptr) return {};
  return {found->floats().begin(), found->floats().end()};
}

const proto::TensorProto& NodeReader::tensor(std::string_view attribute) const {
  const auto* found = find(attribute, proto::AttributeProto::TENSOR);
  if (found == nullptr) refuse(fmt::format("has no '{}'; supported: constants given as a tensor", attribute));
  return found->t();
}

}  // namespace mcufit::onnx_file
