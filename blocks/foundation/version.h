// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace mcufit {

std::string_view version();   // "0.1.0"
std::string_view commit();    // short hash of the commit this was built from; "unknown" outside a checkout
std::string_view compiler();  // "gcc 12.2.0"

}  // namespace mcufit
