// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace mcufit {

// The closed equations of the PhiNets paper (Paissan, Ancilotto, Farella, ACM TECS 21(5), 2022) and their
// inverse. They are a first guess: stem, squeeze-excite, batch-norm and head are left out and widths are not
// rounded. price_member() has the exact figures.

// What the equations hold fixed.
struct PhiNetFrame {
  std::int32_t height = 112;  // of the first block's input, H0 and W0
  std::int32_t width = 112;
  std::int32_t base_width = 24;  // C0; it doubles at block 3 and at each down-sampling block
  std::int32_t num_layers = 7;
  std::vector<std::int32_t> downsampling{5, 7};
  std::int32_t kernel = 3;
};

struct PhiNetKnobs {
  double alpha = 1;
  double beta = 1;
  double t_zero = 6;
};

struct PhiNetDemands {
  double params = 0;
  double macs = 0;
  double ram_bytes = 0;
};

// Params = sum over blocks of 2 a^2 t_B C_B^2 + a t_B C_B K^2 with t_B = t0 (1 + (b - 1) B / N); MACs the
// same times each block's output pixels; RAM = H0 W0 (t0 + a t0 + C0).
PhiNetDemands phinet_demands(const PhiNetKnobs& knobs, const PhiNetFrame& frame);

// One solution of the equations. The MAC equation in alpha is not monotone, so that there may be several.
struct PhiNetRoot {
  PhiNetKnobs knobs;
  bool plausible = false;  // beta in [.3, 2] and t_zero in [1, 8]
};

// Every root with alpha in [.01, 8], ascending in alpha; empty where no network of this frame meets all three
// demands. Throws Error(input) when a demand is not positive and finite or the frame has no block.
std::vector<PhiNetRoot> invert_phinet_equations(const PhiNetDemands& demands, const PhiNetFrame& frame);

}  // namespace mcufit
