// SPDX-License-Identifier: Apache-2.0
#include "exporters/tflite/versions.h"

namespace mcufit::tflite {

std::string first_runtime(schema::BuiltinOperator code, int version) {
  using B = schema::BuiltinOperator;
  if (code == B::RESIZE_NEAREST_NEIGHBOR && version >= 3) return "2.3.0";
  if (code == B::RELU || (code == B::FULLY_CONNECTED && version >= 6)) return "2.1.0";
  if (code == B::HARD_SWISH || (code == B::MUL && version >= 3)) return "1.15.0";
  return "1.14.0";
}

}  // namespace mcufit::tflite
