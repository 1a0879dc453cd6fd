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

// The instruction sets that kernels have variants for, beside those in portable C. A core runs of each kernel
// its variant, where there is one: exporters/runtime/mcufit_isa.h decides that for a compiler's flags.
// Kernels for dsp read wide filters (layout.h).
enum class Isa { portable, mve, dsp, v6m, rv32 };

// "portable", "mve", ...: as the files of the variants are named.
std::string_view to_string(Isa isa);

// All of them, portable first; and those that kernels have variants for, the one that a core prefers before
// the others that it runs too.
std::span<const Isa> isas();
std::span<const Isa> variant_isas();

// The one of this name; nothing where there is none.
std::optional<Isa> find_isa(std::string_view name);

// A processor core as the instruction set's vendor defines it; what chips are made with it is a Target's.
struct Core {
  std::string name;                   // "cortex-m4", as GCC's -mcpu spells it
  std::vector<std::string> always;    // ISA features that every chip with it has: "dsp"
  std::vector<std::string> optional;  // features that a chip may have
  // The core whose code sizes and latency law stand in, as estimates, where none were measured for this one;
  // itself where they were.
  std::string sibling;
  std::optional<CyclesPerInstruction> cycles;  // nothing where no document says it
  // Which variants of the kernels it runs.
  Isa isa = Isa::portable;
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
