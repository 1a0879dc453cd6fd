// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/devices.h"

#include <fmt/format.h>

#include <algorithm>

#include "blocks/foundation/error.h"
#include "blocks/foundation/subprocess.h"
#include "blocks/foundation/text.h"

namespace mcufit {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

std::vector<std::string> qemu_arguments(const std::string& machine, const char* instruction_count) {
  return {"-M",
          machine,
          "-nographic",
          "-monitor",
          "none",
          "-serial",
          "none",
          "-semihosting-config",
          "enable=on,target=native",
          "-icount",
          instruction_count,
          "-kernel"};
}

// A timer of the board that the firmware counts with: its ticks times `numerator / denominator` are
// instructions, each of which takes 128 ns under -icount shift=7.
struct Timer {
  std::int64_t address = 0;
  const char* kind = "COUNTER_CMSDK";
  int numerator = 0, denominator = 0;
};

constexpr Timer k25MHz{0x40000000, "COUNTER_CMSDK", 5, 16};
constexpr Timer k20MHz{0x50000000, "COUNTER_CMSDK", 25, 64};
constexpr Timer k32MHz{0x58000000, "COUNTER_SSE", 125, 512};

struct ArmBoard {
  const char* core;
  const char* machine;
  const char* fpu = "";  // what -mfpu says; empty: the board has none
  Timer timer;
  Memory flash, ram, scratch;
};

// The flags keep gcc from calling memcpy and memset, which are not there, and allow calls from the scratch
// memory.
Device arm(const ArmBoard& b) {
  const std::string core = b.core;
  Device d;
  d.name = core;
  d.board = b.machine;
  d.compiler = {"arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi"};
  d.tools = "arm-none-eabi-";
  d.flags = {"-mcpu=" + core, "-mthumb"};
  d.fpu = *b.fpu != 0;
  d.fpu_flags = {"-mfloat-abi=hard", fmt::format("-mfpu={}", d.fpu ? b.fpu : "auto")};
  d.no_fpu_flags = {"-mfloat-abi=soft"};
  d.firmware = {"fw_report.c", "fw_memory.c", "fw_semihosting.c", "fw_counter.c", "fw_arm.c"};
  d.firmware_flags = {"-ffreestanding",
                      "-fno-tree-loop-distribute-patterns",
                      "-mlong-calls",
                      fmt::format("-DCOUNTER_TIMER={:#x}", b.timer.address),
                      fmt::format("-DCOUNTER_KIND={}", b.timer.kind),
                      fmt::format("-DCOUNTER_NUMERATOR={}", b.timer.numerator),
                      fmt::format("-DCOUNTER_DENOMINATOR={}", b.timer.denominator)};
  d.emulator = {"qemu-system-arm", "qemu-system-arm"};
  d.emulator_arguments = qemu_arguments(b.machine, "shift=7");
  d.flash = b.flash;
  d.ram = b.ram;
  d.scratch = b.scratch;
  return d;
}

// QEMU has no board with as much memory and a Cortex-M0, so code for it runs on a Cortex-M3, which executes
// all that a Cortex-M0 does. The firmware is the Cortex-M3's, so that what is linked from the compiler's
// library is the model's alone.
Device cortex_m0() {
  Device d = arm({"cortex-m0",
                  "mps2-an385",
                  "",
                  k25MHz,
                  {0, 4 * kMiB},
                  {0x20000000, 4 * kMiB},
                  {0x21000000, 16 * kMiB}});
  d.flags.emplace_back("-fno-tree-loop-distribute-patterns");
  d.firmware_flags.insert(d.firmware_flags.begin(), "-mcpu=cortex-m3");
  return d;
}

// -mno-relax: the linker would otherwise shorten calls by how far they go, and sizes would depend on the
// model.
Device rv32() {
  Device d;
  d.name = "rv32";
  d.board = "virt";
  d.compiler = {"riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf"};
  d.tools = "riscv64-unknown-elf-";
  d.flags = {"-march=rv32imac",
             "-mabi=ilp32",
             "-misa-spec=2.2",
             "-mno-relax",
             "-msmall-data-limit=0",
             "-ffreestanding",
             "-fno-tree-loop-distribute-patterns"};
  d.firmware = {"fw_report.c", "fw_memory.c", "fw_semihosting.c", "fw_counter.c", "fw_riscv.c"};
  d.emulator = {"qemu-system-riscv32", "qemu-system-misc"};
  d.emulator_arguments = qemu_arguments("virt", "shift=0");
  d.emulator_arguments.insert(d.emulator_arguments.begin(), {"-bios", "none"});
  d.flash = {0x80000000, 16 * kMiB};
  d.ram = {0x81000000, 16 * kMiB};
  d.scratch = {0x82000000, 32 * kMiB};
  return d;
}

// simavr counts cycles as the chip does. The compiler writes no call graph, so the stack has no bound.
Device avr() {
  Device d;
  d.name = "avr";
  d.board = "atmega2560";
  d.counts = "cycles";
  d.compiler = {"avr-gcc", "gcc-avr avr-libc"};
  d.tools = "avr-";
  d.standard = "-std=gnu99";
  d.flags = {"-mmcu=atmega2560"};
  d.call_graph = false;
  d.firmware = {"fw_report.c", "fw_avr.c"};
  d.emulator = {"simavr", "simavr"};
  d.emulator_arguments = {"-m", "atmega2560", "-f", "16000000"};
  d.files_in_text = true;
  d.flash = {0, std::int64_t{256} * 1024};
  d.ram = {0x200, std::int64_t{8} * 1024};
  d.most_constants = std::int64_t{60} * 1024;
  d.link_flags = {fmt::format("-Wl,--defsym=__TEXT_REGION_LENGTH__={}", d.flash.bytes),
                  fmt::format("-Wl,--defsym=__DATA_REGION_LENGTH__={}", d.ram.bytes)};
  return d;
}

Device host(const char* name, const Program& compiler) {
  Device d;
  d.name = name;
  d.board = "this machine";
  d.counts = "";
  d.compiler = compiler;
  d.flags = {"-fno-pic"};
  d.firmware = {"fw_report.c", "fw_host.c"};
  d.call_graph = false;
  d.link_flags = {"-no-pie"};
  return d;
}

std::vector<Device> make_devices() {
  const Memory code{0, 4 * kMiB}, data{0x20000000, 4 * kMiB}, psram{0x21000000, 16 * kMiB};
  return {cortex_m0(),
          arm({"cortex-m3", "mps2-an385", "", k25MHz, code, data, psram}),
          arm({"cortex-m4", "mps2-an386", "fpv4-sp-d16", k25MHz, code, data, psram}),
          arm({"cortex-m7", "mps2-an500", "fpv5-sp-d16", k25MHz, code, data, {0x60000000, 16 * kMiB}}),
          arm({"cortex-m33",
               "mps2-an505",
               "fpv5-sp-d16",
               k20MHz,
               {0x10000000, 4 * kMiB},
               {0x38000000, 4 * kMiB},
               {0x80000000, 16 * kMiB}}),
          arm({"cortex-m55",
               "mps3-an547",
               "auto",
               k32MHz,
               {0x10000000, kMiB / 2},
               {0x30000000, kMiB / 2},
               {0x70000000, 16 * kMiB}}),
          rv32(),
          avr(),
          host("host", {"gcc", "gcc"}),
          host("host-clang", {"clang-14", "clang-14"})};
}

}  // namespace

Isa Device::isa() const {
  const Core* core = find_core(name);
  return core == nullptr ? Isa::portable : core->isa;
}

Target Device::limits_for(const Target& target) const {
  if (target.core == name || !has_memories()) return target;
  Target limits = target;
  limits.name = name;
  limits.board = board;
  limits.core = name;
  limits.features.clear();
  limits.fpu = fpu;
  limits.regions.clear();
  limits.flash_bytes = flash.bytes;
  limits.ram_bytes = ram.bytes;
  limits.reserved_flash_bytes = limits.reserved_ram_bytes = limits.reserved_stack_bytes = 0;
  return limits;
}

std::span<const Device> devices() {
  static const std::vector<Device> all = make_devices();
  return all;
}

const Device& find_device(std::string_view name) {
  std::vector<std::string> names;
  for (const Device& device : devices()) {
    if (device.name == name) return device;
    names.push_back(device.name);
  }
  throw Error(
      ExitCode::device_not_found,
      fmt::format("device '{}': there is none of this name; accepted: {}{}; the package itself is good "
                  "for any core",
                  name, join(names), did_you_mean(std::string(name), names)));
}

std::optional<Program> missing_program(const Device& device) {
  for (const Program& program : {device.compiler, device.emulator}) {
    if (!program.name.empty() && !find_program(program.name)) return program;
  }
  return std::nullopt;
}

void require_program(const Program& program) {
  if (program.name.empty() || find_program(program.name)) return;
  throw Error(ExitCode::device_not_found,
              fmt::format("{}: no such program in PATH; on Debian `apt-get install {}` brings it",
                          program.name, program.package));
}

}  // namespace mcufit
