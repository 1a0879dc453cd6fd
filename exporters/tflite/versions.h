// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tflite_schema_generated.h>

#include <string>

namespace mcufit::tflite {

// The first TensorFlow that runs an operator in the version that we write (TensorFlow's runtime_version.cc);
// as text the larger is the later one.
std::string first_runtime(schema::BuiltinOperator code, int version);

}  // namespace mcufit::tflite
