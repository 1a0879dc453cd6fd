// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "exporters/c_emitter.h"
#include "exporters/package.h"

namespace mcufit {

// The text of manifest.json for a package of these files.
std::string emit_manifest(const PackageFiles& files, const QuantizedGraph& graph, const Cost& cost,
                          const PackageRequest& request);

}  // namespace mcufit
