// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/image.h"

#include <fmt/format.h>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "exporters/device/call_graph.h"
#include "exporters/device/toolchain.h"
#include "exporters/embedded_files.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMiB = 1 << 20;

// The flags keep gcc from calling memcpy and memset, which are not there, and allow calls from the scratch
// memory.
const std::vector<std::string> kFirmwareFlags{"-ffreestanding", "-fno-tree-loop-distribute-patterns",
                                              "-mlong-calls"};
constexpr std::string_view kFirmwarePrefix = "mcufit_";  // no package's name starts so

void check_memories(const Target& target, const Board& board) {
  if (target.flash_bytes <= board.flash_bytes && target.ram_bytes <= board.ram_bytes) return;
  throw Error(ExitCode::input,
              fmt::format("target {}: found {} bytes of flash and {} of RAM; the emulated {} has {} and {}",
                          target.name, target.flash_bytes, target.ram_bytes, board.machine, board.flash_bytes,
                          board.ram_bytes));
}

std::string memories(const Target& target, const Board& board) {
  return fmt::format(
      "MEMORY {{\n"
      "  FLASH (rx) : ORIGIN = {:#x}, LENGTH = {}\n"
      "  RAM (rwx) : ORIGIN = {:#x}, LENGTH = {}\n"
      "  SCRATCH (rwx) : ORIGIN = {:#x}, LENGTH = {}\n}}\n",
      board.flash_origin, target.flash_bytes, board.ram_origin, target.ram_bytes, board.scratch_origin,
      board.scratch_bytes);
}

std::string linker_script(const Manifest& manifest, const Board& board, std::int64_t stack_bound) {
  return fmt::format(
      "/* SPDX-License-Identifier: Apache-2.0 */\n"
      "/* {0} on {1}: the target's flash and RAM hold the model, the firmware has memory of its own. */\n"
      "ENTRY(firmware_reset)\n{2}"
      "SECTIONS {{\n"
      "  .vectors : {{ KEEP(*(.vectors)) }} > FLASH\n"
      "  .firmware : {{ {3}fw_*.o(.text .text.* .rodata .rodata.* .data .data.* .bss .bss.* COMMON) }} > "
      "SCRATCH\n"
      "  firmware_free = ALIGN(8);\n"
      "  firmware_stack_top = ORIGIN(SCRATCH) + LENGTH(SCRATCH);\n"
      "  .model : {{ *(.text .text.* .rodata .rodata.*) }} > FLASH\n"
      "  .model_data : {{ *(.data .data.*) }} > RAM\n"
      "  .model_bss (NOLOAD) : {{\n"
      "    model_arena_start = .;\n"
      "    *(.bss.{0}_arena)\n"
      "    model_arena_end = .;\n"
      "    *(.bss .bss.* COMMON)\n"
      "    . = ALIGN(4);\n"
      "    model_stack_low = .;\n"
      "  }} > RAM\n"
      "  model_stack_top = (ORIGIN(RAM) + LENGTH(RAM)) & ~7;\n"
      "}}\n"
      "ASSERT(SIZEOF(.model_data) == 0, \"the model has initialised data, which no package may have\")\n"
      "ASSERT(model_stack_top >= model_stack_low + {4}, \"mcufit: arena and stack of {4} bytes exceed the "
      "RAM\")\n",
      manifest.name, manifest.target.name, memories(manifest.target, board), kFirmwarePrefix, stack_bound);
}

std::string glue(const Manifest& manifest, std::int64_t samples) {
  return fmt::format(
      "/* SPDX-License-Identifier: Apache-2.0 */\n"
      "#include \"{0}.h\"\n\n"
      "#define MODEL_INPUT {0}_input\n#define MODEL_OUTPUT {0}_output\n#define MODEL_INVOKE {0}_invoke\n"
      "#define MODEL_INPUT_BYTES {1}U\n#define MODEL_OUTPUT_BYTES {2}U\n#define MODEL_SAMPLES {3}U\n",
      manifest.name, manifest.input_bytes, manifest.output_bytes, samples);
}

std::string stem_of(std::string_view file) { return std::string(file.substr(0, file.rfind('.'))); }

// Returns the object's names.
std::vector<std::string> compile_package(const fs::path& package, const Manifest& manifest,
                                         const Toolchain& toolchain, CallGraph& calls) {
  std::vector<std::string> objects;
  for (const std::string& source : manifest.sources) {
    const std::string stem = stem_of(source);
    toolchain.compile(package / source, stem);
    calls.add(toolchain.folder() / (stem + ".ci"));
    objects.push_back(stem + ".o");
  }
  return objects;
}

std::vector<std::string> compile_firmware(const fs::path& package, const Toolchain& toolchain) {
  std::vector<std::string> flags = kFirmwareFlags;
  flags.insert(flags.end(), {"-I.", "-I" + package.string()});
  for (const EmbeddedFile& file : firmware_files()) write_file(toolchain.folder() / file.name, file.content);
  std::vector<std::string> objects;
  for (const EmbeddedFile& file : firmware_files()) {
    if (!file.name.ends_with(".c")) continue;
    const std::string stem = std::string(kFirmwarePrefix) + stem_of(file.name);
    toolchain.compile(std::string(file.name), stem, flags);
    objects.push_back(stem + ".o");
  }
  return objects;
}

}  // namespace

const Board* find_board(const Target& target) {
  static constexpr Board kBoards[] = {
      {"cortex-m3", "mps2-an385", 0, 4 * kMiB, 0x20000000, 4 * kMiB, 0x21000000, 16 * kMiB},
      {"cortex-m4", "mps2-an386", 0, 4 * kMiB, 0x20000000, 4 * kMiB, 0x21000000, 16 * kMiB},
      {"cortex-m7", "mps2-an500", 0, 4 * kMiB, 0x20000000, 4 * kMiB, 0x60000000, 16 * kMiB},
  };
  for (const Board& board : kBoards) {
    if (board.core == target.core) return &board;
  }
  return nullptr;
}

Image build_image(const fs::path& package, const Manifest& manifest, const Board& board, std::int64_t samples,
                  const fs::path& work) {
  check_memories(manifest.target, board);
  const fs::path sources = fs::absolute(package);
  const Toolchain toolchain(manifest.target, work);
  CallGraph calls;
  std::vector<std::string> objects = compile_package(sources, manifest, toolchain, calls);
  const std::int64_t stack_bound = calls.stack_bound(manifest.name + "_invoke");
  write_file(work / "mcufit_fw_model.h", glue(manifest, samples));
  for (std::string& object : compile_firmware(sources, toolchain)) objects.push_back(std::move(object));
  write_file(work / "firmware.ld", linker_script(manifest, board, stack_bound));
  toolchain.link(objects, "firmware.ld", "firmware");
  return {.elf = "firmware.elf",
          .map = "firmware.map",
          .compiler = toolchain.compiler(),
          .stack_bound_bytes = stack_bound};
}

}  // namespace mcufit
