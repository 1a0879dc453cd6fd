// SPDX-License-Identifier: Apache-2.0
#include "exporters/c_emitter.h"

#include <fmt/format.h>

#include <algorithm>

#include "blocks/foundation/error.h"
#include "cost-models/layout.h"
#include "exporters/c_interface.h"
#include "exporters/c_run.h"
#include "exporters/c_scratch.h"
#include "exporters/c_self_test.h"
#include "exporters/c_steps.h"
#include "exporters/c_text.h"
#include "exporters/checksums.h"
#include "exporters/embedded_files.h"
#include "exporters/row_tables.h"

namespace mcufit {
namespace {

constexpr std::size_t kMostNameLength = 48;

// Of C99 and C++20, since the header serves both.
constexpr std::string_view kReserved[] = {
    "alignas",   "alignof",   "and",       "asm",      "auto",     "bitand",   "bitor",    "bool",
    "break",     "case",      "catch",     "char",     "class",    "compl",    "concept",  "const",
    "consteval", "constexpr", "constinit", "continue", "decltype", "default",  "delete",   "do",
    "double",    "else",      "enum",      "explicit", "export",   "extern",   "false",    "float",
    "for",       "friend",    "goto",      "if",       "inline",   "int",      "long",     "main",
    "mutable",   "namespace", "new",       "noexcept", "not",      "nullptr",  "operator", "or",
    "private",   "protected", "public",    "register", "requires", "restrict", "return",   "short",
    "signed",    "sizeof",    "static",    "struct",   "switch",   "template", "this",     "throw",
    "true",      "try",       "typedef",   "typeid",   "typename", "union",    "unsigned", "using",
    "virtual",   "void",      "volatile",  "while",    "xor"};

// "conv2d_s8" of package "model": "MODEL_CONV2D_S8".
std::string kernel_macro(const std::string& name, std::string_view kernel) {
  return upper(name) + "_" + upper(kernel);
}

// What calls name: all but the kernel that orders calls, and with it what runs no kernel, kInputRow.
std::vector<std::string> named_kernels(const Graph& graph, const MemoryPlan& plan) {
  std::vector<std::string> named;
  for (const std::string& kernel : kernels_of(graph, plan)) {
    if (kernel != kRowOrder) named.push_back(kernel);
  }
  return named;
}

std::vector<std::string> called_kernels(const Graph& graph, const MemoryPlan& plan) {
  std::vector<std::string> called = named_kernels(graph, plan);
  std::erase(called, kInputRow);
  return called;
}

std::string steps_header(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name) {
  std::string kernels;
  int number = 0;
  for (const std::string& kernel : named_kernels(graph.graph, plan))
    kernels += fmt::format("#define {} {}\n", kernel_macro(name, kernel), ++number);
  const NodeId nodes = graph.graph.size();
  const std::string macros = fmt::format(
      "#include <stdint.h>\n\n{6}"
      "/* What calls name: kernels{7}. */\n{2}\n"
      "#define {1}_CALLS {3}\n"
      "#define {1}_INPUT_OFFSET {4} /* of the input, bytes from the arena's start */\n"
      "#define {1}_OUTPUT_OFFSET {5}\n\n",
      name, upper(name), kernels, kernel_calls(graph.graph, plan).size(), plan.placement(0).offset,
      plan.placement(nodes - 1).offset, has_row_steps(plan) ? "#include \"mcufit_runtime.h\"\n\n" : "",
      streams_input(plan) ? ", and the rows of the input, which the sender delivers" : "");
  const std::string declarations = fmt::format(
      "/* A kernel, its constants, and the outputs [0, end) that it computes: rows, or a fully-connected "
      "layer's\n"
      "   elements. */\n"
      "typedef struct {{\n  const void *step;\n  int16_t end;\n  uint8_t kernel;\n"
      "  uint8_t group; /* where a group of calls starts that run row by row: how many there are; else 0 */\n"
      "}} {0}_call;\n\n"
      "/* In order of execution; one without a kernel ends them. */\n"
      "extern const {0}_call {0}_calls[{1}_CALLS + 1];\n\n"
      "/* Runs the calls from `call` on, up to `end` or, where that is null, to the last. Groups run whole. "
      "*/\n"
      "void {0}_run(const {0}_call *call, const {0}_call *end, int8_t *arena);\n{2}",
      name, upper(name), row_declarations(plan, name));
  return guarded(name + "_steps", macros + extern_c(declarations));
}

// Each kernel has a function that runs the calls of this kernel and leaves the others alone, so that each
// kernel adds the same bytes to <name>_dispatch(), whichever others there are. A fully-connected layer counts
// outputs and is one row, so it always runs whole.
std::string adapter(const std::string& name, std::string_view kernel) {
  const bool whole = kernel == "fully_connected_s8";
  return fmt::format(
      "static MCUFIT_VERBATIM void {0}(const {1}_call *call, const call_rows *rows) {{\n"
      "  if (call->kernel == {2}) mcufit_{3}(call->step, rows->arena, {4});\n}}\n\n",
      adapter_name(name, kernel), name, kernel_macro(name, kernel), kernel,
      whole ? "0, call->end" : "rows->first, rows->end == 0 ? call->end : rows->end");
}

// The steps' constants and the list of calls.
std::string calls_source(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name,
                         bool wide_filters) {
  std::string steps, calls;
  for (const ExecutedStep& step : executed_steps(graph.graph, plan)) {
    for (const NodeId id : step.nodes) {
      const KernelCall call{.node = id, .tile = step.tile};
      const StepText text = step_text(graph, plan, call, name, wide_filters);
      const std::size_t group = step.by_rows && id == step.nodes.front() ? step.nodes.size() : 0;
      steps += text.step + "\n";
      calls += fmt::format("    {{&{}, {}, {}, {}}}, /* {} */\n", step_name(call, name), text.end,
                           kernel_macro(name, text.kernel), group, c_comment(graph.graph.node(id).name));
    }
  }
  return fmt::format("{0}const {1}_call {1}_calls[{2}_CALLS + 1] = {{\n{3}    {{0, 0, 0, 0}}}};\n\n", steps,
                     name, upper(name), calls);
}

std::string steps_source(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name,
                         bool wide_filters) {
  std::string adapters, dispatch;
  for (const std::string& kernel : called_kernels(graph.graph, plan)) {
    adapters += adapter(name, kernel);
    dispatch += fmt::format("    {}(call, rows);\n", adapter_name(name, kernel));
  }
  const std::string interface =
      has_scratch_behind(graph.graph, plan) ? fmt::format("#include \"{}.h\"\n", name) : "";
  return fmt::format(
      "{0}#include \"{1}_steps.h\"\n\n{6}#include \"{1}_weights.h\"\n#include \"mcufit_runtime.h\"\n\n"
      "{7}{2}"
      "/* What calls compute: rows [first, end), or all where `end` is 0. */\n"
      "typedef struct {{\n  int8_t *arena;\n  int16_t first, end;\n}} call_rows;\n\n{3}"
      "/* No pointer to a function is read from data: what can run is what is written here. */\n"
      "static MCUFIT_VERBATIM void {1}_dispatch(const {1}_call *call, const {1}_call *end,\n"
      "                                         const call_rows *rows) {{\n"
      "  for (; call != end && call->kernel != 0; ++call) {{\n{4}  }}\n}}\n\n{5}",
      kCLicense, name, calls_source(graph, plan, name, wide_filters), adapters, dispatch,
      run_source(graph, plan, name), interface, scratch_macro(graph.graph, plan, name));
}

void add_weights(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name,
                 bool wide_filters, PackageFiles& files) {
  std::string tables, externals;
  for (const NodeId id : called_nodes(graph.graph)) {  // a streamed input has no tables
    const StepText text = step_text(graph, plan, {.node = id}, name, wide_filters);
    tables += text.tables;
    externals += text.externals;
  }
  files[name + "_weights.h"] =
      guarded(name + "_weights", "#include <stdint.h>\n\n#include \"mcufit_isa.h\"\n\n" + externals);
  files[name + "_weights.c"] = fmt::format(
      "{}#include \"{}_weights.h\"\n\n#include \"mcufit_runtime.h\"\n\n{}", kCLicense, name, tables);
}

// The text that was built into the program, none where the kernel has no such variant.
std::string_view kernel_text(const std::string& file) {
  for (const EmbeddedFile& f : runtime_files()) {
    if (f.name == file) return f.content;
  }
  return {};
}

// The variants of a kernel one after the other, of which the compiler takes the first that the core runs.
std::string kernel_source(const std::string& kernel) {
  const std::string_view portable = kernel_text(kernel + ".c");
  if (portable.empty())
    throw Error(ExitCode::internal,
                fmt::format("runtime: the source of kernel {} was not built into this program", kernel));
  std::string variants;
  for (const Isa isa : variant_isas()) {
    const std::string_view text = kernel_text(fmt::format("{}_{}.c", kernel, to_string(isa)));
    if (!text.empty())
      variants += fmt::format("#{} defined({})\n{}", variants.empty() ? "if" : "elif", isa_macro(isa), text);
  }
  if (variants.empty()) return std::string(portable);
  return fmt::format("{}#include \"mcufit_isa.h\"\n\n{}#else\n{}#endif\n", kCLicense, variants, portable);
}

void add_runtime(const QuantizedGraph& graph, const MemoryPlan& plan, PackageFiles& files) {
  for (const EmbeddedFile& file : runtime_files()) {
    if (file.name.ends_with(".h")) files.emplace(file.name, file.content);
  }
  std::vector<std::string> kernels = called_kernels(graph.graph, plan);
  if (has_row_steps(plan)) kernels.emplace_back(kRowOrder);
  for (const std::string& kernel : kernels)
    files.emplace(fmt::format("mcufit_{}.c", kernel), kernel_source(kernel));
}

// A network may look at nothing but padding.
void check_input(const Graph& graph, const MemoryPlan& plan) {
  if (!streams_input(plan) || bytes_made(graph, plan).front() > 0) return;
  throw Error(ExitCode::input,
              fmt::format("{}: found no row of the input that the network reads; accepted with the input row "
                          "by row: networks that read one; try the input whole",
                          graph.name));
}

}  // namespace

std::string adapter_name(std::string_view package, std::string_view kernel) {
  return fmt::format("{}_run_{}", package, kernel);
}

void check_package_name(std::string_view name) {
  const auto lower = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool identifier = !name.empty() && name.size() <= kMostNameLength && lower(name.front()) &&
                          name.front() != '_' &&
                          std::all_of(name.begin(), name.end(), [&](char c) { return lower(c) || digit(c); });
  const bool free = std::find(std::begin(kReserved), std::end(kReserved), name) == std::end(kReserved) &&
                    !name.starts_with("mcufit");
  if (identifier && free) return;
  throw Error(
      ExitCode::input,
      fmt::format(
          "package name: found '{}'; accepted: a lower-case C identifier of at most {} characters that is "
          "no keyword and does not start with mcufit; try 'model'",
          name, kMostNameLength));
}

PackageFiles emit_c(const QuantizedGraph& graph, const MemoryPlan& plan, const PackageRequest& request,
                    bool wide_filters) {
  check_package_name(request.name);
  if (plan.arena_bytes % 4 != 0) {
    throw Error(ExitCode::internal,
                fmt::format("{}: the arena's {} bytes are no multiple of 4", request.name, plan.arena_bytes));
  }
  check_input(graph.graph, plan);
  check_scratch(graph.graph, plan);
  PackageFiles files;
  files[request.name + ".h"] = public_header(graph, plan, request);
  files[request.name + ".c"] = model_source(graph, plan, request.name);
  files[request.name + "_steps.h"] = steps_header(graph, plan, request.name);
  files[request.name + "_steps.c"] = steps_source(graph, plan, request.name, wide_filters);
  add_weights(graph, plan, request.name, wide_filters, files);
  add_self_test(graph, plan, request, files);
  add_runtime(graph, plan, files);
  return files;
}

}  // namespace mcufit
