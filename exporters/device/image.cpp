// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/image.h"

#include <fmt/format.h>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "cost-models/layout.h"
#include "exporters/c_interface.h"
#include "exporters/c_text.h"
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

// Where each call's output lies, as the firmware's initialisers.
std::string places(const Manifest& manifest) {
  std::string text;
  for (const ManifestStep& step : manifest.steps) {
    text += fmt::format("{{{}, {}, {}, {}, {}, {}, {}}}, ", step.offset, step.row_stride, step.row_bytes(),
                        std::int64_t{step.columns.begin} * step.shape.channels, step.shape.height,
                        step.ring_rows > 0 ? step.ring_rows : step.shape.height, sums_rows(step) ? 1 : 0);
  }
  return text;
}

constexpr std::string_view kGlue = R"(/* SPDX-License-Identifier: Apache-2.0 */
#include "{0}.h"
#include "{0}_steps.h"

#define MODEL_FIRMWARE {1}
#define MODEL_SAMPLES {2}U
#define MODEL_INPUT_BYTES {3}U
#define MODEL_OUTPUT_BYTES {4}U
#define MODEL_OUTPUT {0}_output
#define MODEL_ARENA ((int8_t *){0}_output() - {5})
#define MODEL_ARENA_BYTES {6}UL
#define MODEL_RUN {0}_run
#define MODEL_CALL {0}_call
#define MODEL_STEPS {0}_calls
#define MODEL_CALLS {7}
#define MODEL_PLACES {8}
#define MODEL_STREAMED {9}
#define MODEL_INPUT {0}_input
#define MODEL_INVOKE {0}_invoke
#define MODEL_START {0}_start
#define MODEL_NEXT_INPUT_ROW {0}_next_input_row
#define MODEL_NEXT_INPUT_PIECE {0}_next_input_piece
#define MODEL_INPUT_PIECE {0}_input_piece
#define MODEL_FEED_ROW {0}_feed_row
#define MODEL_INVOKE_FROM {0}_invoke_from
#define MODEL_ROW_BYTES {10}U
#define MODEL_PIXEL_BYTES {12}U
#define MODEL_INPUT_ROW {13}_INPUT_ROW
#define MODEL_GROUPED {11}
#define MODEL_BEGIN {0}_begin
#define MODEL_ADVANCE {0}_advance
#define MODEL_PROGRESS {0}_progress
)";

std::string glue(const Manifest& manifest, const Device& device, std::int64_t samples) {
  const ManifestStep& first = manifest.steps.front();
  const bool streamed = streams_input(manifest), grouped = kernels_of(manifest).contains(kRowOrder);
  const std::int64_t row_bytes = std::int64_t{first.shape.width} * first.shape.channels;
  return fmt::format(kGlue, manifest.name, kFirmwareVersion, samples, manifest.input_bytes,
                     manifest.output_bytes, manifest.output_offset, arena_bytes(manifest, device.isa()),
                     manifest.steps.size(), places(manifest), streamed ? 1 : 0, streamed ? row_bytes : 0,
                     grouped ? 1 : 0, streamed ? first.shape.channels : 0, upper(manifest.name));
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
  sources.emplace_back("fw_inference.c");
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
    image.stack_bound_bytes = calls.stack_bound(outermost_function(streams_input(manifest), manifest.name));
  }
  write_file(work / "mcufit_fw_model.h", glue(manifest, device, samples));
  for (std::string& object : compile_firmware(sources, firmware, toolchain))
    objects.push_back(std::move(object));
  const std::string script = device.has_linker_script() ? "firmware.ld" : "";
  if (!script.empty())
    write_file(work / script, linker_script(manifest, limits, device, image.stack_bound_bytes.value_or(0)));
  toolchain.link(objects, script, "firmware");
  return image;
}

}  // namespace mcufit
