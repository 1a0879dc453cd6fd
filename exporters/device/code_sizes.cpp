// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "blocks/builder.h"
#include "blocks/foundation/error.h"
#include "blocks/foundation/text.h"
#include "blocks/lower.h"
#include "cost-models/layout.h"
#include "cost-models/unshared_plan.h"
#include "exporters/c_emitter.h"
#include "exporters/device/call_graph.h"
#include "exporters/device/compiler_library.h"
#include "exporters/device/device.h"
#include "exporters/device/toolchain.h"
#include "exporters/scratch_folder.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kName = "measured";

// Weights are of no consequence here.
QuantizedGraph with_zeros(const Graph& graph) {
  const Lowered lowered = lower(graph, zero_weights(graph));
  QuantizedGraph quantized{lowered.graph, {}};
  for (NodeId id = 0; id < lowered.graph.size(); ++id) {
    const auto channels = static_cast<std::size_t>(lowered.graph.node(id).shape.channels);
    const NodeWeights& w = lowered.weights.nodes[static_cast<std::size_t>(id)];
    QuantizedNode node;
    node.filter.resize(w.filter.size());
    if (!node.filter.empty()) node.filter_scales.assign(channels, 1.0F);
    node.bias.resize(w.bias.size());
    const Op& op = lowered.graph.node(id).op;
    if (std::holds_alternative<Softmax>(op) || std::holds_alternative<Activate>(op))
      node.output = kUnitOutput;
    quantized.nodes.push_back(std::move(node));
  }
  return quantized;
}

// With every kernel, and pointwise layers to make it longer.
QuantizedGraph network(int more_layers) {
  GraphBuilder b("code_sizes", {8, 8, 4});
  NodeId x = b.conv2d("conv", b.input(), 4, square_window(3, 1, 1));
  x = b.depthwise_conv2d("depthwise", x, square_window(3, 1, 1));
  for (int i = 0; i < more_layers; ++i) x = b.pointwise(fmt::format("pointwise{}", i), x, 4);
  const NodeId branch = b.pointwise("branch", x, 4);
  x = b.add("add", x, branch);
  x = b.mul("mul", x, b.activate("lookup", x, Activation::sigmoid));
  x = b.pad("pad", b.max_pool2d("max_pool", x, square_window(2, 2, 0)), {1, 1, 1, 1});
  x = b.concatenation("concatenation", {x, x}, Axis::channels);
  x = b.mean("mean", b.resize_nearest_neighbor("resize", x, 3, 3));
  x = b.global_average_pool("average_pool", x);
  b.softmax("softmax", b.fully_connected("classifier", x, 3));
  return with_zeros(b.finish());
}

// With one kernel.
QuantizedGraph one_layer() {
  GraphBuilder b("code_sizes", {4, 4, 1});
  b.fully_connected("classifier", b.input(), 3);
  return with_zeros(b.finish());
}

// With two.
QuantizedGraph two_layers() {
  GraphBuilder b("code_sizes", {4, 4, 1});
  b.global_average_pool("pool", b.depthwise_conv2d("depthwise", b.input(), square_window(3, 1, 1)));
  return with_zeros(b.finish());
}

// The steps of a plan that runs everything behind the input as one group.
MemoryPlan one_group(const Graph& lowered, Isa isa) {
  std::vector<Step> steps{{.nodes = {0}}, {.nodes = {}, .by_rows = true}};
  for (NodeId id = 1; id < lowered.size(); ++id) steps[1].nodes.push_back(id);
  return unshared_plan(lowered, std::move(steps), isa);
}

// The same with the input in the group.
MemoryPlan fed_group(const Graph& lowered, Isa isa) {
  std::vector<Step> steps{{.nodes = {}, .by_rows = true}};
  for (NodeId id = 0; id < lowered.size(); ++id) steps[0].nodes.push_back(id);
  return unshared_plan(lowered, std::move(steps), isa);
}

// With what only groups have.
QuantizedGraph sums() {
  GraphBuilder b("code_sizes", {8, 8, 4});
  const NodeId x = b.conv2d("conv", b.input(), 4, square_window(3, 1, 1));
  const NodeId mean = b.mean("mean", x), average = b.global_average_pool("average_pool", x);
  b.fully_connected("classifier", b.concatenation("both", {mean, average}, Axis::channels), 3);
  return with_zeros(b.finish());
}

// Bytes of an object's sections, as `size -A` lists them.
std::map<std::string, std::int64_t> sections_of(const Toolchain& toolchain, const std::string& object) {
  std::map<std::string, std::int64_t> sections;
  std::istringstream lines(toolchain.run_tool("size", {"-A", object}));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    std::int64_t bytes = 0;
    if (words >> name >> bytes && name.starts_with('.')) sections[name] = bytes;
  }
  return sections;
}

std::int64_t sum_of(const std::map<std::string, std::int64_t>& sections, std::string_view prefix) {
  std::int64_t sum = 0;
  for (const auto& [name, bytes] : sections) {
    if (name.starts_with(prefix)) sum += bytes;
  }
  return sum;
}

// A package of one such network, compiled.
struct Compiled {
  std::map<std::string, std::map<std::string, std::int64_t>> objects;  // sections by object's stem
  CallGraph calls;
  std::int64_t steps = 0;
  std::set<std::string, std::less<>> kernels;

  std::int64_t section(const std::string& stem, const std::string& name) const {
    const auto& sections = objects.at(stem);
    const auto found = sections.find(name);
    if (found != sections.end()) return found->second;
    throw Error(ExitCode::internal, fmt::format("code sizes: {}.o has no section {}", stem, name));
  }
};

Compiled compile(const QuantizedGraph& graph, MemoryPlan plan, const Target& target,
                 const Toolchain& toolchain, const CompilerLibrary& library) {
  Cost cost;
  cost.plan = std::move(plan);
  PackageRequest request;
  request.name = kName;
  request.target = target;
  const fs::path package = toolchain.folder() / "package";
  write_package(package, graph, cost, request);
  Compiled compiled;
  compiled.steps = std::ssize(kernel_calls(graph.graph, cost.plan));
  compiled.kernels = kernels_of(graph.graph, cost.plan);
  for (const std::string& source : read_manifest(package).sources) {
    const std::string stem = source.substr(0, source.rfind('.'));
    const bool is_kernel = stem.starts_with("mcufit_");  // the same in every package, so once is enough
    if (!is_kernel || !fs::exists(toolchain.folder() / (stem + ".o")))
      toolchain.compile(package / source, stem);
    compiled.objects[stem] = sections_of(toolchain, stem + ".o");
    compiled.calls.add(toolchain.folder() / (stem + ".ci"));
  }
  for (const std::string& symbol : compiled.calls.missing())
    compiled.calls.add_leaf(symbol, library.stack_bound(symbol));
  return compiled;
}

// What <name>_dispatch() has for each kernel: the call of its adapter.
std::int64_t dispatch_bytes(const Compiled& base, const Compiled& one) {
  const std::string name(kName);
  const auto all = [&](const Compiled& c) {
    return c.section(name + "_steps", ".text." + name + "_dispatch");
  };
  return (all(base) - all(one)) / (std::ssize(base.kernels) - std::ssize(one.kernels));
}

CodeSizes sizes_of(const Compiled& c, const Compiled& longer, std::int64_t dispatch) {
  const std::string name(kName);
  const std::string calls = ".rodata." + name + "_calls";
  CodeSizes sizes;
  const std::int64_t list = c.section(name + "_steps", calls);
  sizes.invoke_step_bytes = (longer.section(name + "_steps", calls) - list) / (longer.steps - c.steps);
  sizes.invoke_base_bytes = c.section(name, ".text." + name + "_invoke") +
                            c.section(name + "_steps", ".text." + name + "_run") +
                            c.section(name + "_steps", ".text." + name + "_dispatch") -
                            std::ssize(c.kernels) * dispatch + list - c.steps * sizes.invoke_step_bytes;
  sizes.accessor_bytes =
      c.section(name, ".text." + name + "_input") + c.section(name, ".text." + name + "_output");
  sizes.invoke_stack_bytes = c.calls.frame_bytes(name + "_invoke") + c.calls.frame_bytes(name + "_run") +
                             c.calls.frame_bytes(fmt::format("{0}_steps.c:{0}_dispatch", name));
  return sizes;
}

// The adapter through which the list of calls reaches a kernel counts as the kernel's, and so does its call.
KernelCode kernel_code(const Compiled& c, std::string_view kernel, std::int64_t dispatch,
                       const Toolchain& toolchain, const CompilerLibrary& library) {
  const std::string name(kName);
  CallGraph alone;
  alone.add(toolchain.folder() / fmt::format("mcufit_{}.ci", kernel));
  std::map<std::string, std::int64_t, std::less<>> members;
  for (const std::string& member : library.members_for(alone.missing()))
    members[member] = library.bytes(member);
  const std::string adapter = adapter_name(name, kernel);
  const auto& sections = c.objects.at(fmt::format("mcufit_{}", kernel));
  return {.text_bytes = sum_of(sections, ".text") + c.section(name + "_steps", ".text." + adapter) + dispatch,
          .rodata_bytes = sum_of(sections, ".rodata"),
          .stack_bytes = c.calls.stack_bound(fmt::format("{}_steps.c:{}", name, adapter)),
          .library = std::move(members)};
}

// The order of calls counts with what the functions that run it have more than those of a package without
// groups.
void add_row_order(const Compiled& plain, const Compiled& rows, CodeSizes& sizes) {
  const std::string name(kName), source = name + "_steps";
  KernelCode code{.text_bytes = sum_of(rows.objects.at(fmt::format("mcufit_{}", kRowOrder)), ".text"),
                  .rodata_bytes = 0,
                  .stack_bytes = rows.calls.stack_bound(fmt::format("mcufit_{}", kRowOrder)),
                  .library = {}};
  sizes.invoke_rows_stack_bytes = sizes.invoke_stack_bytes - plain.calls.frame_bytes(name + "_run") +
                                  rows.calls.frame_bytes(name + "_run");
  for (const char* function : {"_begin", "_advance"})
    code.text_bytes += rows.section(source, ".text." + name + function);
  sizes.invoke_rows_stack_bytes += rows.calls.frame_bytes(name + "_advance");
  code.text_bytes += rows.section(source, ".text." + name + "_run");
  code.text_bytes -= plain.section(source, ".text." + name + "_run");
  sizes.kernels[std::string(kRowOrder)] = std::move(code);
}

// A streamed input counts with what its functions have more than those of a package with the input whole.
void add_input_row(const Compiled& rows, const Compiled& fed, CodeSizes& sizes) {
  const std::string name(kName);
  KernelCode& code = sizes.kernels[std::string(kInputRow)];
  code.text_bytes = sum_of(fed.objects.at(name), ".text") - sum_of(rows.objects.at(name), ".text");
  const auto frame = [&](const char* function) { return fed.calls.frame_bytes(name + function); };
  sizes.invoke_from_stack_bytes = sizes.invoke_rows_stack_bytes - rows.calls.frame_bytes(name + "_invoke") +
                                  frame("_invoke_from") + std::max(frame("_start"), frame("_feed_row")) +
                                  fed.calls.frame_bytes(fmt::format("{0}.c:{0}_run_up_to", name));
}

// What price() charges for it must be what the compiler made of it, or the law is wrong.
void check_law(const CodeSizes& sizes, const Compiled& c) {
  std::int64_t predicted = sizes.accessor_bytes + sizes.invoke_base_bytes + c.steps * sizes.invoke_step_bytes;
  for (const std::string& name : c.kernels) {
    const KernelCode& kernel = sizes.kernels.find(name)->second;
    predicted += kernel.text_bytes + kernel.rodata_bytes;
  }
  std::int64_t found = 0;
  for (const auto& [stem, sections] : c.objects) {
    found += sum_of(sections, ".text");
    if (stem.starts_with("mcufit_")) found += sum_of(sections, ".rodata");
  }
  found += c.section(fmt::format("{}_steps", kName), fmt::format(".rodata.{}_calls", kName));
  if (predicted == found) return;
  throw Error(
      ExitCode::internal,
      fmt::format("code sizes: a network of {} steps and {} kernels has {} bytes of code; the law says {}",
                  c.steps, c.kernels.size(), found, predicted));
}

}  // namespace

CodeSizes measure_code_sizes(const Target& target) {
  const Device& device = find_device(target.core);
  if (!device.call_graph) {
    throw Error(
        ExitCode::usage,
        fmt::format("code sizes of {}: {} writes no call graph, so nothing exact can be said; accepted: "
                    "the emulated Arm and RISC-V cores",
                    target.core, device.compiler.name));
  }
  const ScratchFolder scratch(fs::temp_directory_path());
  const Toolchain toolchain(device, target, scratch.path());
  const CompilerLibrary library(toolchain);
  const auto compiled = [&](const QuantizedGraph& graph) {
    return compile(graph, plan(graph.graph, device.isa()), target, toolchain, library);
  };
  const auto grouped = [&](const QuantizedGraph& graph) {
    return compile(graph, one_group(graph.graph, device.isa()), target, toolchain, library);
  };
  const Compiled base = compiled(network(0));
  const std::int64_t dispatch = dispatch_bytes(base, compiled(one_layer()));
  CodeSizes sizes = sizes_of(base, compiled(network(1)), dispatch);
  for (const std::string& kernel : base.kernels)
    sizes.kernels[kernel] = kernel_code(base, kernel, dispatch, toolchain, library);
  const Compiled rows = grouped(sums());
  for (const char* kernel : {"average_pool2d_rows_s8", "mean_rows_s8"})
    sizes.kernels[kernel] = kernel_code(rows, kernel, dispatch, toolchain, library);
  add_row_order(base, rows, sizes);
  const auto fed = [&](const QuantizedGraph& graph) {
    return compile(graph, fed_group(graph.graph, device.isa()), target, toolchain, library);
  };
  add_input_row(rows, fed(sums()), sizes);
  sizes.core = target.core;
  sizes.compiler = toolchain.compiler();
  sizes.flags = join(toolchain.flags(), " ");
  for (const QuantizedGraph& graph :
       {network(0), network(1), network(20), network(300), one_layer(), two_layers()}) {
    check_law(sizes, compiled(graph));
  }
  for (const QuantizedGraph& graph : {network(0), two_layers(), sums()}) {
    check_law(sizes, grouped(graph));
    check_law(sizes, fed(graph));
  }
  return sizes;
}

}  // namespace mcufit
