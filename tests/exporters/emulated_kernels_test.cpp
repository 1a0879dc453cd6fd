// SPDX-License-Identifier: Apache-2.0
// The kernels of emulated cores, in the variants that their instructions select, against the portable ones on
// this machine: random layouts, rings of rows, misaligned tensors and filters, rows in random portions,
// exactly the scratch that the variant asks for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "blocks/builder.h"
#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/lower.h"
#include "cost-models/cores.h"
#include "cost-models/plan.h"
#include "cost-models/target.h"
#include "exporters/c_emitter.h"
#include "exporters/c_text.h"
#include "exporters/device/devices.h"
#include "exporters/device/emulation.h"
#include "exporters/device/toolchain.h"
#include "exporters/interleaved_filter.h"
#include "exporters/scratch_folder.h"
#include "exporters/steps.h"
#include "tests/exporters/drawn_convolution.h"
#include "tests/exporters/step_arena.h"
#include "tests/kernel_variants.h"

namespace mcufit::testing {
namespace {

namespace fs = std::filesystem;

constexpr int kOps = kTestedKernels.size();
constexpr int kCasesPerOp = 500;

// Bytes from a word's start to the arena's.
std::size_t drawn_misalignment(Random& random) {
  return random.below(2) == 0 ? 0 : static_cast<std::size_t>(random.between(1, 3));
}

// A call's scratch, whose bytes here are those before the call, and the arena around it as it must be left.
struct Expected {
  std::vector<std::int8_t> arena;
  Scratch scratch;
};

// Kernel calls of an instruction set as the firmware reads them, and what each must leave.
struct Cases {
  Isa isa = Isa::portable;
  std::string bytes;
  std::vector<Expected> expected;

  void word(std::int64_t value) {
    const auto narrowed = static_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(narrowed >> shift));
  }
  void words(const std::vector<std::int32_t>& values) {
    for (const std::int32_t value : values) word(value);
  }
  void raw(const std::vector<std::int8_t>& values) { bytes.append(values.begin(), values.end()); }

  void view(const mcufit_view& v) { words({v.offset, v.row_stride, v.pixel_stride, v.ring_rows}); }

  void tables(Random& random, const ConvolutionTables& t, const mcufit_requantization& q) {
    word(random.below(2) == 0 ? 0 : random.between(1, 3));
    word(std::ssize(t.filter));
    word(std::ssize(t.bias));
    raw(t.filter);
    words(t.bias);
    words(t.multiplier);
    raw(t.shift);
    words({q.output_zero_point, q.output_min, q.output_max, q.short_form});
  }

  // What steps with a window start with.
  template <typename Fields>
  void windowed(const Fields& s) {
    view(s.input);
    view(s.output);
    const mcufit_window& w = s.window;
    words({w.input_height, w.input_width, w.input_channels, w.output_width, w.output_channels,
           w.kernel_height, w.kernel_width, w.stride_height, w.stride_width, w.dilation_height,
           w.dilation_width, w.pad_top, w.pad_left});
  }

  // The filter in the other order, and the number by which the step says it.
  void interleaved(Random& random, const InterleavedFilter& filter, int order) {
    const bool taken = filter.outputs > 0 && random.below(4) != 0;
    word(taken ? order : 0);
    word(std::ssize(filter.bytes));
    if (taken) raw(filter.bytes);
  }

  void fields(Random& random, const Conv2dStep& s) {
    convolution(random, s.fields, s.tables);
    interleaved(random, interleave(s), 1);
  }
  void fields(Random& random, const DepthwiseConv2dStep& s) {
    convolution(random, s.fields, s.tables);
    const bool wide = random.below(2) == 0;
    interleaved(random, wide ? widen(s) : interleave(s), wide ? 2 : 1);
  }
  void fields(Random&, const AveragePool2dStep& s) {
    windowed(s.fields);
    words({s.fields.output_min, s.fields.output_max});
  }

  void convolution(Random& random, const mcufit_conv2d_s8_step& s, const ConvolutionTables& t) {
    windowed(s);
    word(s.input_zero_point);
    tables(random, t, s.requantization);
  }

  // The call's range, its scratch and its arena, and what the kernel of this machine makes of it, which works
  // without.
  void call(const RuntimeStep& step, std::int16_t first, std::int16_t end, std::vector<std::int8_t> arena,
            std::size_t misaligned, const Scratch& scratch) {
    words({first, end});
    word(static_cast<std::int64_t>(scratch.offset));
    word(static_cast<std::int64_t>(scratch.bytes));
    word(static_cast<std::int64_t>(misaligned));
    word(std::ssize(arena));
    raw(arena);
    run_step(step, arena.data(), first, end);
    expected.push_back({std::move(arena), scratch});
  }

  void call(Random& random, const RuntimeStep& step, std::int16_t first, std::int16_t end,
            std::vector<std::int8_t> arena) {
    call(step, first, end, std::move(arena), drawn_misalignment(random), {});
  }
};

// Mostly small, every third with as many channels as wide registers and blocks of them have lanes for.
Shape drawn_shape(Random& random) {
  if (random.below(3) != 0) return random_shape(random, 9, 17);
  return {static_cast<std::int32_t>(random.between(1, 5)), static_cast<std::int32_t>(random.between(1, 5)),
          static_cast<std::int32_t>(random.between(1, random.below(4) == 0 ? 25 : 9) * 8)};
}

// A layout without gaps, as the plan gives it, or one of the test's own.
mcufit_view laid_out(Random& random, Arena& arena, Shape shape, bool dense, std::int32_t ring_rows) {
  if (!dense) return arena.allocate(shape, ring_rows);
  const std::vector<std::int8_t> fill = random_bytes(random, shape.elements() + 8);
  const auto offset = static_cast<std::int32_t>((arena.bytes.size() + 3) / 4 * 4);
  arena.bytes.resize(static_cast<std::size_t>(offset));
  arena.bytes.insert(arena.bytes.end(), fill.begin(), fill.end());
  return {offset, shape.width * shape.channels, narrow(shape.channels), narrow(shape.height)};
}

template <typename Step>
void add_windowed(Random& random, Cases& cases, int kind, Shape in, const Op& op) {
  const QuantizedGraph graph = single_op_graph(random, in, op);
  const Shape out = graph.graph.output_shape();
  auto step = std::get<Step>(make_step(graph, stacked_plan(graph.graph), 1));
  const mcufit_window& w = step.fields.window;
  const std::int32_t span = (w.kernel_height - 1) * w.dilation_height + 1;
  const bool dense = random.below(2) == 0;
  Arena arena(random);
  const auto ring =
      span >= in.height ? in.height : static_cast<std::int32_t>(random.between(span, in.height));
  step.fields.input = laid_out(random, arena, in, dense, ring);
  step.fields.output = laid_out(random, arena, out, dense, out.height);
  const bool one_row = step.fields.input.ring_rows < in.height || random.below(3) == 0;
  const auto first = static_cast<std::int16_t>(random.between(0, out.height - 1));
  const auto end = static_cast<std::int16_t>(one_row ? first + 1 : random.between(first + 1, out.height));
  const std::size_t misaligned = drawn_misalignment(random);
  const Scratch scratch = arena.allocate_scratch(graph.graph, cases.isa, misaligned);
  cases.word(kind);
  cases.fields(random, step);
  cases.call(RuntimeStep(step), first, end, arena.bytes, misaligned, scratch);
}

void add_fully_connected(Random& random, Cases& cases) {
  const FullyConnected op{static_cast<std::int32_t>(random.between(1, random.below(3) == 0 ? 70 : 17)),
                          random.below(4) != 0, random_activation(random)};
  const QuantizedGraph graph = single_op_graph(random, drawn_shape(random), op);
  const MemoryPlan plan = stacked_plan(graph.graph);
  const auto step = std::get<FullyConnectedStep>(make_step(graph, plan, 1));
  const auto first = static_cast<std::int16_t>(random.between(0, step.end - 1));
  cases.word(2);
  const mcufit_fully_connected_s8_step& f = step.fields;
  cases.words({f.input_offset, f.output_offset, f.input_elements, f.output_elements});
  cases.tables(random, step.tables, f.requantization);
  const InterleavedFilter filter = interleave(step);
  cases.interleaved(random, filter, filter.outputs);
  cases.call(random, RuntimeStep(step), first, narrow(random.between(first + 1, step.end)),
             random_bytes(random, plan.arena_bytes));
}

void add_add(Random& random, Cases& cases) {
  const Shape shape = drawn_shape(random);
  const QuantizedGraph graph = add_graph(random, shape, random_activation(random));
  auto step = std::get<AddStep>(make_step(graph, stacked_plan(graph.graph), 2));
  const bool dense = random.below(2) == 0;
  Arena arena(random);
  mcufit_add_s8_step& f = step.fields;
  f.input1 = laid_out(random, arena, shape, dense, shape.height);
  f.input2 = laid_out(random, arena, shape, dense, shape.height);
  const auto where = random.below(3);
  f.output = where == 0 ? f.input1 : where == 1 ? f.input2 : arena.allocate(shape);
  cases.word(3);
  cases.view(f.input1);
  cases.view(f.input2);
  cases.view(f.output);
  cases.words({f.width, f.channels, f.multiplier1, f.multiplier2, f.output_multiplier, f.shift1, f.shift2,
               f.output_shift, f.zero_point1, f.zero_point2, f.output_zero_point, f.output_min,
               f.output_max});
  cases.call(random, RuntimeStep(step), 0, step.end, arena.bytes);
}

// Now and then wider than what a kernel of depthwise_conv2d gathers at once.
Shape drawn_depthwise_shape(Random& random) {
  Shape shape = drawn_shape(random);
  if (random.below(10) == 0) shape.width = static_cast<std::int32_t>(random.between(60, 150));
  return shape;
}

// 3x3, 5x5 or 7x7 with padding around in many cases.
void add_depthwise(Random& random, Cases& cases, Activation activation) {
  const Shape in = drawn_depthwise_shape(random);
  const auto half = static_cast<std::int32_t>(random.between(1, 3));
  const bool usual = random.below(3) == 0;
  const Window window = usual ? square_window(2 * half + 1, 1, half) : random_window(random, in);
  const auto multiplier = static_cast<std::int32_t>(random.below(4) == 0 ? random.between(2, 5) : 1);
  add_windowed<DepthwiseConv2dStep>(random, cases, 1, in,
                                    DepthwiseConv2d{window, random.below(4) != 0, activation, multiplier});
}

void add_conv2d(Random& random, Cases& cases) {
  if (random.below(2) == 0) {
    const DrawnConvolution drawn = drawn_convolution(random);
    add_windowed<Conv2dStep>(random, cases, 0, drawn.input, drawn.op);
    return;
  }
  const Shape in = drawn_shape(random);
  const Window window = random.below(3) == 0 ? square_window(1, 1, 0) : random_window(random, in);
  const auto outputs = static_cast<std::int32_t>(random.between(1, random.below(5) == 0 ? 80 : 17));
  add_windowed<Conv2dStep>(random, cases, 0, in,
                           Conv2d{outputs, window, random.below(4) != 0, random_activation(random)});
}

void add_case(Random& random, Cases& cases, int kind) {
  if (kind == 0) add_conv2d(random, cases);
  if (kind == 1) add_depthwise(random, cases, random_activation(random));
  if (kind == 2) add_fully_connected(random, cases);
  if (kind == 3) add_add(random, cases);
  if (kind == 4) {
    const Shape in = drawn_shape(random);
    const Window window = random.below(3) == 0 ? square_window(1, 1, 0) : random_window(random, in);
    add_windowed<AveragePool2dStep>(random, cases, 4, in, AveragePool2d{window, random_activation(random)});
  }
}

Cases drawn_cases(Isa isa) {
  const std::uint64_t seed = test_seed();
  Cases cases;
  cases.isa = isa;
  cases.word(std::int64_t{kOps} * kCasesPerOp);
  for (int i = 0; i < kOps * kCasesPerOp; ++i) {
    Random random(seed, {static_cast<std::uint64_t>(i)});
    add_case(random, cases, i % kOps);
  }
  return cases;
}

// Everything in the firmware's own memory but for the vectors and the code.
std::string linker_script(const Device& device) {
  return "MEMORY {\n  FLASH (rx) : ORIGIN = " + std::to_string(device.flash.origin) +
         ", LENGTH = " + std::to_string(device.flash.bytes) +
         "\n  SCRATCH (rwx) : ORIGIN = " + std::to_string(device.scratch.origin) +
         ", LENGTH = " + std::to_string(device.scratch.bytes) +
         "\n}\nENTRY(firmware_reset)\nSECTIONS {\n  .vectors : { KEEP(*(.vectors)) } > FLASH\n"
         "  .text : { *(.text .text.* .rodata .rodata.*) } > FLASH\n"
         "  .bss : { *(.data .data.* .bss .bss.* COMMON) } > SCRATCH\n"
         "  firmware_stack_top = ORIGIN(SCRATCH) + LENGTH(SCRATCH);\n}\n";
}

// A network of the ops that are tested, whose package brings their kernels.
PackageFiles package_of_kernels() {
  GraphBuilder b("kernels", {4, 4, 4});
  NodeId x = b.conv2d("conv", b.input(), 4, square_window(3, 1, 1));
  x = b.add("add", x, b.depthwise_conv2d("depthwise", x, square_window(3, 1, 1)));
  b.fully_connected("classifier", b.global_average_pool("pool", x), 3);
  const Graph graph = b.finish();
  const Lowered lowered = lower(graph, zero_weights(graph));
  QuantizedGraph quantized{lowered.graph, {}};
  for (const NodeWeights& w : lowered.weights.nodes) {
    QuantizedNode& node = quantized.nodes.emplace_back();
    node.filter.resize(w.filter.size());
    if (!w.filter.empty()) node.filter_scales.assign(w.bias.size(), 1.0F);
    node.bias.resize(w.bias.size());
  }
  PackageRequest request;
  request.name = "kernels";
  return emit_c(quantized, plan(quantized.graph), request);
}

Image built(const Toolchain& toolchain, const std::vector<std::string>& kernel_flags = {}) {
  const fs::path source(MCUFIT_SOURCE_DIR);
  const fs::path runtime = source / "exporters/runtime";
  std::vector<std::string> objects;
  const PackageFiles package = package_of_kernels();
  for (const auto& [name, content] : package) write_file(toolchain.folder() / name, content);
  for (const auto& [name, content] : package) {
    if (!name.starts_with("mcufit_") || !name.ends_with(".c")) continue;
    toolchain.compile(toolchain.folder() / name, name, kernel_flags);
    objects.push_back(name + ".o");
  }
  std::vector<std::string> flags = toolchain.device().firmware_flags;
  const fs::path firmware = source / "exporters/device/firmware";
  flags.insert(flags.end(), {"-I" + runtime.string(), "-I" + firmware.string()});
  for (const std::string& file : {std::string("fw_semihosting.c"), toolchain.device().firmware.back()}) {
    toolchain.compile(firmware / file, file, flags);
    objects.push_back(file + ".o");
  }
  // What calls the kernels is of their core, where the firmware is of another one.
  std::erase_if(flags, [](const std::string& flag) { return flag.starts_with("-mcpu="); });
  toolchain.compile(source / "tests/exporters/emulated_kernels.c", "cases", flags);
  objects.emplace_back("cases.o");
  write_file(toolchain.folder() / "cases.ld", linker_script(toolchain.device()));
  toolchain.link(objects, "cases.ld", "cases");
  Image image;
  image.elf = "cases.elf";
  return image;
}

// Packages of this core take the instruction set's variants, and not those of a richer one.
void expect_selects(const Toolchain& toolchain, Isa isa) {
  std::string text = "#include \"mcufit_isa.h\"\n#if ";
  for (const Isa preferred : variant_isas()) {
    if (preferred == isa) break;
    text += "defined(" + isa_macro(preferred) + ") || ";
  }
  text += "!defined(" + isa_macro(isa) + ")\n#error \"other variants\"\n#endif\ntypedef int selected;\n";
  write_file(toolchain.folder() / "selected.c", text);
  EXPECT_NO_THROW(toolchain.compile("selected.c", "selected",
                                    {"-I" + (fs::path(MCUFIT_SOURCE_DIR) / "exporters/runtime").string()}))
      << to_string(isa);
}

std::vector<const char*> variant_cores() {
  std::vector<const char*> cores;
  for (const VariantCore& v : kVariantCores) cores.push_back(v.core);
  return cores;
}

Target target_of(const Device& device) {
  Target target;
  target.core = device.name;
  target.fpu = device.fpu;
  return target;
}

// The arenas that both calls of a case left, the first of which starts at byte `at` of the results.
void expect_results(const std::string& results, std::size_t at, const Expected& expected) {
  const std::size_t size = expected.arena.size();
  ASSERT_GE(results.size(), at + 2 * size);
  const auto begin = results.begin() + static_cast<std::ptrdiff_t>(at);
  const auto half = begin + static_cast<std::ptrdiff_t>(size);
  std::vector<std::int8_t> found(begin, half);
  expect_stable(found, {half, half + static_cast<std::ptrdiff_t>(size)}, expected.arena, expected.scratch);
  restore(found, expected.arena, expected.scratch);
  ASSERT_EQ(found, expected.arena);
}

class EmulatedKernels : public ::testing::TestWithParam<const char*> {};

TEST_P(EmulatedKernels, EqualThePortableOnes) {
  const Device& device = find_device(GetParam());
  if (missing_program(device)) GTEST_SKIP() << missing_program(device)->name << " is not installed";
  const ScratchFolder scratch(fs::temp_directory_path());
  const Toolchain toolchain(device, target_of(device), scratch.path());
  expect_selects(toolchain, find_core(device.name)->isa);
  const Image image = built(toolchain);
  const Cases cases = drawn_cases(device.isa());
  ASSERT_EQ(cases.expected.size(), std::size_t{kOps} * kCasesPerOp) << "a kind of kTestedKernels has no case";
  write_file(scratch.path() / "cases.bin", cases.bytes);
  run_image(image, device, scratch.path());
  const std::string results = read_file(scratch.path() / "results.bin");
  std::size_t at = 0;
  for (std::size_t i = 0; i < cases.expected.size() && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(case_name(test_seed(), static_cast<int>(i)));
    expect_results(results, at, cases.expected[i]);
    at += 2 * cases.expected[i].arena.size();
  }
  ASSERT_EQ(results.size(), at);
}

TEST(VariantCores, RunTheirInstructionSet) {
  for (const VariantCore& v : kVariantCores) EXPECT_EQ(to_string(find_core(v.core)->isa), v.isa) << v.core;
}

// Filters are interleaved for the kernel that this core has where the compiler optimizes.
TEST(InterleavedKernels, DoNotLinkWithObjectsForTheOtherOrder) {
  const Device& device = find_device("cortex-m4");
  if (missing_program(device)) GTEST_SKIP() << missing_program(device)->name << " is not installed";
  const ScratchFolder scratch(fs::temp_directory_path());
  const Toolchain toolchain(device, target_of(device), scratch.path());
  EXPECT_NO_THROW(built(toolchain));
  EXPECT_THAT([&] { built(toolchain, {"-O0"}); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("mcufit_conv2d_s8_interleaved")));
}

// What calls this one may have no room in the arena for what it works with.
TEST(ArmV6MKernels, DoNotLinkWithObjectsForPortableOnes) {
  const Device& device = find_device("cortex-m0");
  if (missing_program(device)) GTEST_SKIP() << missing_program(device)->name << " is not installed";
  const ScratchFolder scratch(fs::temp_directory_path());
  const Toolchain toolchain(device, target_of(device), scratch.path());
  EXPECT_THAT([&] { built(toolchain, {"-Os"}); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("mcufit_conv2d_s8_v6m")));
}

INSTANTIATE_TEST_SUITE_P(Cores, EmulatedKernels, ::testing::ValuesIn(variant_cores()));

}  // namespace
}  // namespace mcufit::testing
