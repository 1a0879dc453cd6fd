// SPDX-License-Identifier: Apache-2.0
#include "search/strategy.h"

#include <fmt/format.h>

#include "blocks/foundation/error.h"
#include "blocks/foundation/text.h"

namespace mcufit {

const Strategy& strategy(std::string_view name) {
  std::vector<std::string> names;
  for (const Strategy* s : strategies()) {
    if (s->name() == name) return *s;
    names.emplace_back(s->name());
  }
  throw Error(ExitCode::config, fmt::format("strategy '{}': there is none of this name; accepted: {}{}", name,
                                            join(names), did_you_mean(name, names)));
}

}  // namespace mcufit
