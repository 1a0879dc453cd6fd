// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "search/subspaces.h"

namespace mcufit {

// The `top` best sub-spaces with how many of their samples fit and the quartiles of MACs.
std::string subspace_text(const Family& family, const std::vector<Subspace>& ranked, std::size_t top,
                          std::int32_t samples);

// All of them, each with its cumulative distribution of MACs at every twentieth of the samples that fit.
nlohmann::json subspace_json(const Family& family, const std::vector<Subspace>& ranked, std::int32_t samples);

}  // namespace mcufit
