// SPDX-License-Identifier: Apache-2.0
#include "cost-models/bound.h"

#include "cost-models/layout.h"

namespace mcufit {
namespace {

std::int64_t filter_bytes(const Footprint& f) {
  return f.filter_elements + kBytesPerFilterChannel * f.filter_channels;
}

}  // namespace

Overhead overhead_of(const Member& bottom_corner) {
  return {bottom_corner.cost.flash.total() - filter_bytes(bottom_corner.footprint),
          bottom_corner.cost.ram.total() - bottom_corner.cost.ram.arena_bytes};
}

std::int64_t flash_lower_bound(const Footprint& footprint, const Overhead& overhead) {
  return filter_bytes(footprint) + overhead.flash_bytes;
}

std::int64_t ram_lower_bound(const Footprint& footprint, const Overhead& overhead) {
  return footprint.peak_activation_bytes + overhead.ram_bytes;
}

Fit bound(const Footprint& bottom_corner, const Overhead& overhead, const Budget& budget) {
  Fit fit;
  fit.hold(Resource::flash, flash_lower_bound(bottom_corner, overhead), budget.flash_bytes);
  fit.hold(Resource::ram, ram_lower_bound(bottom_corner, overhead), budget.ram_bytes);
  if (budget.macs) fit.hold(Resource::macs, bottom_corner.macs, *budget.macs);
  if (budget.params) fit.hold(Resource::params, bottom_corner.params, *budget.params);
  return fit;
}

}  // namespace mcufit
