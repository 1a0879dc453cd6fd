// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/image.h"

#include <fmt/format.h>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "exporters/device/call_graph.h"
#include "exporters/device/compiler_library.h"
#include "exporters/device/toolchain.h"
#include "exporters/embedded_files.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFirmwarePrefix = "mcufit_";  // no package's name starts so

void check_memories(const Target& target, const Device& device) {
  if (target.flash_bytes <= device.flash.bytes && target.ram_bytes <= device.ram.bytes) return;
  throw Error(ExitCode::input,
              fmt::format("target {}: found {} bytes of flash and {} of RAM; the emulated {} has {} and {}",
                          target.name, target.flash_bytes, target.ram_bytes, device.board, device.flash.bytes,
                          device.ram.bytes));
}

// A single array of more than a quarter of the address space is refused by the compiler, so this comes first.
void check_constants(const Manifest& manifest, const Device& device) {
  const std::int64_t bytes = manifest.flash.model_bytes();
  if (device.most_constants == 0 || bytes <= device.most_constants) return;
  throw Error(
      ExitCode::constraint_not_met,
      fmt::format("package {}: found {} bytes of weights and tables; accepted: the {} that code of {} "
                  "can reach; try a smaller network or a larger core",
                  manifest.name, bytes, device.most_constants, device.name));
}

std::string memories(const Target& target, const Device& device) {
  return fmt::format(
      "MEMORY {{\n"
      "  FLASH (rx) : ORIGIN = {:#x}, LENGTH = {}\n"
      "  RAM (rwx) : ORIGIN = {:#x}, LENGTH = {}\n"
      "  SCRATCH (rwx) : ORIGIN = {:#x}, LENGTH = {}\n}}\n",
      device.flash.origin, target.flash_bytes, device.ram.origin, target.ram_bytes, device.scratch.origin,
      device.scratch.bytes);
}

std::string linker_script(const Manifest& manifest, const Target& limits, const Device& device,
                          std::int64_t stack_bound) {
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
      manifest.name, limits.name, memories(limits, device), kFirmwarePrefix, stack_bound);
}

// Where each step's last output lies, and its calls, as the firmware's initialisers.
std::string places(const Manifest& manifest) {
  std::string text;
  for (const ManifestGroup& group : executed_groups(manifest)) {
    const ManifestStep& last = manifest.steps[group.end - 1];
    text += fmt::format("{{{}, {}, {}}}, ", last.offset, last.bytes, group.end - group.begin);
  }
  return text;
}

std::string glue(const Manifest& manifest, std::int64_t samples) {
  return fmt::format(
      "/* SPDX-License-Identifier: Apache-2.0 */\n"
      "#include \"{0}.h\"\n#include \"{0}_steps.h\"\n\n"
      "#define MODEL_FIRMWARE {5}\n"
      "#define MODEL_INPUT {0}_input\n#define MODEL_OUTPUT {0}_output\n#define MODEL_INVOKE {0}_invoke\n"
      "#define MODEL_INPUT_BYTES {1}U\n#define MODEL_OUTPUT_BYTES {2}U\n#define MODEL_SAMPLES {3}U\n"
      "#define MODEL_RUN {0}_run\n#define MODEL_CALL {0}_call\n#define MODEL_STEPS {0}_calls\n#define "
      "MODEL_GROUPS {6}U\n"
      "#define MODEL_ARENA ({0}_input() - {7})\n#define MODEL_ARENA_BYTES {8}UL\n"
      "#define MODEL_PLACES {4}\n",
      manifest.name, manifest.input_bytes, manifest.output_bytes, samples, places(manifest), kFirmwareVersion,
      executed_groups(manifest).size(), manifest.input_offset, manifest.ram.arena_bytes);
}

std::string stem_of(std::string_view file) { return std::string(file.substr(0, file.rfind('.'))); }

// Returns the object's names.
std::vector<std::string> compile_package(const fs::path& package, const Manifest& manifest,
                                         const Toolchain& toolchain, CallGraph& calls) {
  std::vector<std::string> objects;
  for (const std::string& source : manifest.sources) {
    const std::string stem = stem_of(source);
    toolchain.compile(package / source, stem);
    if (toolchain.device().call_graph) calls.add(toolchain.folder() / (stem + ".ci"));
    objects.push_back(stem + ".o");
  }
  return objects;
}

std::vector<std::string> compile_firmware(const fs::path& package, Firmware firmware,
                                          const Toolchain& toolchain) {
  std::vector<std::string> flags = toolchain.device().firmware_flags;
  flags.insert(flags.end(), {"-I.", "-I" + package.string()});
  for (const EmbeddedFile& file : firmware_files()) write_file(toolchain.folder() / file.name, file.content);
  std::vector<std::string> sources = toolchain.device().firmware;
  sources.emplace_back(firmware == Firmware::samples ? "fw_main.c" : "fw_layers.c");
  std::vector<std::string> objects;
  for (const std::string& source : sources) {
    const std::string stem = std::string(kFirmwarePrefix) + stem_of(source);
    toolchain.compile(source, stem, flags);
    objects.push_back(stem + ".o");
  }
  return objects;
}

// The stack of the compiler's library joins the call graph.
std::set<std::string, std::less<>> add_library(const Toolchain& toolchain, CallGraph& calls) {
  const std::vector<std::string> missing = calls.missing();
  if (missing.empty()) return {};
  const CompilerLibrary library(toolchain);
  for (const std::string& symbol : missing) {
    if (library.defines(symbol)) calls.add_leaf(symbol, library.stack_bound(symbol));
  }
  return library.members_for(missing);
}

}  // namespace

Image build_image(const fs::path& package, const Manifest& manifest, const Device& device,
                  const Target& limits, Firmware firmware, std::int64_t samples, const fs::path& work) {
  if (device.has_memories()) check_memories(limits, device);
  check_constants(manifest, device);
  const fs::path sources = fs::absolute(package);
  const Toolchain toolchain(device, limits, work);
  CallGraph calls;
  Image image{.elf = "firmware.elf",
              .map = "firmware.map",
              .compiler = toolchain.compiler(),
              .stack_bound_bytes = std::nullopt,
              .library = {}};
  std::vector<std::string> objects = compile_package(sources, manifest, toolchain, calls);
  if (device.call_graph) {
    image.library = add_library(toolchain, calls);
    image.stack_bound_bytes = calls.stack_bound(manifest.name + "_invoke");
  }
  write_file(work / "mcufit_fw_model.h", glue(manifest, samples));
  for (std::string& object : compile_firmware(sources, firmware, toolchain))
    objects.push_back(std::move(object));
  const std::string script = device.has_linker_script() ? "firmware.ld" : "";
  if (!script.empty())
    write_file(work / script, linker_script(manifest, limits, device, image.stack_bound_bytes.value_or(0)));
  toolchain.link(objects, script, "firmware");
  return image;
}

}  // namespace mcufit
