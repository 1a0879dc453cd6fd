// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cost-models/cores.h"
#include "cost-models/target.h"

namespace mcufit {

struct Memory {
  std::int64_t origin = 0;
  std::int64_t bytes = 0;
};

// A program and the Debian package that brings it.
struct Program {
  std::string name;  // empty where none is needed
  std::string package;
};

// Where packages can be run: this machine, or an emulated core on a board of QEMU's. All that differs from
// one to the next stands here, as data.
struct Device {
  std::string name;   // as Target::core has it: "cortex-m4", "rv32"; "host" and "host-clang" are this machine
  std::string board;  // "mps2-an386"
  std::string counts = "instructions";  // what the firmware counts; empty: nothing

  Program compiler;
  std::string tools;  // prefix of size, nm and objdump: "arm-none-eabi-"
  std::string standard = "-std=c99";
  std::vector<std::string> flags;  // of everything that is compiled and linked
  bool fpu = false;                // of the board; a target of this core says for itself
  std::vector<std::string> fpu_flags, no_fpu_flags;

  bool call_graph = true;  // the compiler writes one, so that the stack has a bound

  std::vector<std::string> firmware;        // files of exporters/device/firmware, but for the main program
  std::vector<std::string> firmware_flags;  // after `flags`
  std::vector<std::string> link_flags;

  Program emulator;
  std::vector<std::string> emulator_arguments;  // the firmware's file follows
  bool files_in_text = false;  // the firmware's files come as text on the emulator's output (fw_avr.c)

  // The target's flash and RAM hold the model alone; the firmware lives in the scratch memory. Where there is
  // none, the firmware shares the memories, under the compiler's own linker script. This machine has no
  // memories.
  Memory flash, ram, scratch;
  std::int64_t most_constants = 0;  // bytes of weights and tables that code can reach; 0: all

  bool has_memories() const { return flash.bytes > 0; }
  bool has_linker_script() const { return scratch.bytes > 0; }
  // Which variants of the kernels its compiler takes.
  Isa isa() const;
  // The limits of a package on this device: its target's own where it was made for this core, otherwise the
  // board's memories.
  Target limits_for(const Target& target) const;
};

std::span<const Device> devices();

// Throws Error(device_not_found) naming the known ones.
const Device& find_device(std::string_view name);

// Names the first program that is missing here, with its Debian package; nothing when all are there.
std::optional<Program> missing_program(const Device& device);

// Throws Error(device_not_found) naming the program and the Debian package that brings it.
void require_program(const Program& program);

}  // namespace mcufit
