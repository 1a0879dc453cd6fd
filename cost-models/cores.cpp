// SPDX-License-Identifier: Apache-2.0
#include "cost-models/cores.h"

#include <algorithm>
#include <array>

namespace mcufit {
namespace {

using Words = std::vector<std::string>;

// Cycles of the inner loop of a dot product of bytes (12 loads, 8 multiply-accumulates, 4 others, one taken
// branch) by the timing tables of the core's manual, memory without wait states.
std::optional<CyclesPerInstruction> by_manual(double cycles, const char* source) {
  return CyclesPerInstruction{cycles, source};
}

// Where the manual has no timing table, the Cortex-M4's, by the ratio of the two cores' CoreMark per MHz:
// both execute the same instructions.
std::optional<CyclesPerInstruction> by_coremark(double coremark_per_mhz, const char* source) {
  constexpr double kCortexM4 = 1.3, kCortexM4Coremark = 3.42;
  return CyclesPerInstruction{kCortexM4 * kCortexM4Coremark / coremark_per_mhz, source};
}

std::vector<Core> make_cores() {
  const Words thumb2{"divide", "wide_multiply"};
  const Words with_dsp{"divide", "wide_multiply", "dsp"};
  const Words rv32{"divide", "wide_multiply", "compressed"};
  const Words vectors{"fpu", "fpu_double", "mve", "mve_float"};
  const auto m0 = by_manual(1.6, "Arm DDI 0432C, Cortex-M0 TRM, 3.3: loads 2 cycles, taken branches 3");
  return {
      {"cortex-m0", {}, {}, "cortex-m0", m0, Isa::v6m},
      {"cortex-m0plus",
       {},
       {},
       "cortex-m0",
       by_manual(1.5, "Arm DDI 0484C, Cortex-M0+ TRM, 3.3: loads 2 cycles, taken branches 2"),
       Isa::v6m},
      {"cortex-m3",
       thumb2,
       {},
       "cortex-m3",
       by_manual(1.6,
                 "Arm DDI 0337I, Cortex-M3 TRM, 3.3: loads 2 cycles, pipelined 1, MLA 2, branches 2 to 4")},
      {"cortex-m4",
       with_dsp,
       {"fpu"},
       "cortex-m4",
       by_manual(1.3,
                 "Arm DDI 0439D, Cortex-M4 TRM, 3.3: loads 2 cycles, pipelined 1, MLA 1, branches 2 to 4"),
       Isa::dsp},
      {"cortex-m7",
       with_dsp,
       {"fpu", "fpu_double"},
       "cortex-m7",
       by_coremark(5.01, "Cortex-M4's by CoreMark/MHz, 5.01 to 3.42 (Arm, Cortex-M processor comparison)"),
       Isa::dsp},
      {"cortex-m33",
       thumb2,
       {"dsp", "fpu"},
       "cortex-m33",
       by_coremark(4.02, "Cortex-M4's by CoreMark/MHz, 4.02 to 3.42 (Arm, Cortex-M processor comparison)"),
       Isa::dsp},
      {"cortex-m55", with_dsp, vectors, "cortex-m55",
       by_coremark(4.2, "Cortex-M4's by CoreMark/MHz, 4.2 to 3.42 (Arm, Cortex-M processor comparison)"),
       Isa::mve},
      {"cortex-m85", with_dsp, vectors, "cortex-m55",
       by_coremark(6.28, "Cortex-M4's by CoreMark/MHz, 6.28 to 3.42 (Arm, Cortex-M processor comparison)"),
       Isa::mve},
      {"rv32",
       rv32,
       {"atomic", "fpu", "xpulp"},
       "rv32",
       by_manual(1.2,
                 "PULP, RI5CY user manual: loads 1 cycle and 1 more where used next, taken branches 3; "
                 "it stands in for other single-issue RV32 cores"),
       Isa::rv32},
      {"rv64", rv32, {"atomic", "fpu", "fpu_double"}, "rv32", std::nullopt},
      {"avr", {}, {}, "cortex-m3", std::nullopt},
      {"xtensa-lx6", thumb2, {"fpu"}, "rv32", std::nullopt},
      {"xtensa-lx7", thumb2, {"fpu", "simd128"}, "rv32", std::nullopt},
  };
}

}  // namespace

std::string_view to_string(Isa isa) {
  constexpr std::array<std::string_view, 5> names = {"portable", "mve", "dsp", "v6m", "rv32"};
  return names[static_cast<std::size_t>(isa)];
}

std::span<const Isa> isas() {
  static constexpr std::array<Isa, 5> all = {Isa::portable, Isa::mve, Isa::dsp, Isa::v6m, Isa::rv32};
  return all;
}

std::span<const Isa> variant_isas() { return isas().subspan(1); }

std::optional<Isa> find_isa(std::string_view name) {
  const auto found = std::ranges::find_if(isas(), [&](Isa isa) { return to_string(isa) == name; });
  return found == isas().end() ? std::nullopt : std::optional(*found);
}

std::span<const Core> cores() {
  static const std::vector<Core> all = make_cores();
  return all;
}

std::vector<std::string> core_names() {
  std::vector<std::string> names;
  for (const Core& core : cores()) names.push_back(core.name);
  return names;
}

std::vector<std::string> feature_names() {
  return {"divide",    "wide_multiply", "dsp",    "fpu",   "fpu_double", "mve",
          "mve_float", "compressed",    "atomic", "xpulp", "simd128"};
}

const Core* find_core(std::string_view name) {
  const auto all = cores();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Core& core) { return core.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace mcufit
