// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mcufit {

// How many cycles an instruction takes on average, from documents: nothing that was measured here.
struct CyclesPerInstruction {
  double value = 1;
  std::string source;
};

// A processor core as the instruction set's vendor defines it; what chips are made with it is a Target's.
struct Core {
  std::string name;                   // "cortex-m4", as GCC's -mcpu spells it
  std::vector<std::string> always;    // ISA features that every chip with it has: "dsp"
  std::vector<std::string> optional;  // features that a chip may have
  // The core whose code sizes and latency law stand in, as estimates, where none were measured for this one;
  // itself where they were.
  std::string sibling;
  std::optional<CyclesPerInstruction> cycles;  // nothing where no document says it
  // Its kernels are the variants with DSP instructions, which read wide filters (layout.h); with Helium the
  // others are ahead of them.
  bool dsp_kernels = false;
};

// All of them. Features: divide (in hardware), wide_multiply (32 x 32 to 64 bits), dsp (16-bit pairs), fpu,
// fpu_double, mve (integer vectors), mve_float, compressed, atomic (RISC-V's C and A), xpulp (PULP's
// vectors and hardware loops), simd128 (the vendor's own vectors).
std::span<const Core> cores();
std::vector<std::string> core_names();
std::vector<std::string> feature_names();

// The core of this name, null where there is none.
const Core* find_core(std::string_view name);

}  // namespace mcufit
