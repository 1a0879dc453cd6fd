// SPDX-License-Identifier: Apache-2.0
#include "exporters/c_emitter.h"

#include <fmt/format.h>

#include <algorithm>

#include "blocks/foundation/error.h"
#include "blocks/foundation/version.h"
#include "cost-models/layout.h"
#include "exporters/c_self_test.h"
#include "exporters/c_steps.h"
#include "exporters/c_text.h"
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

std::string tensor_macros(const std::string& prefix, const Shape& shape, const Quantization& q) {
  return fmt::format(
      "#define {0}_HEIGHT {1}\n#define {0}_WIDTH {2}\n#define {0}_CHANNELS {3}\n#define {0}_BYTES {4}\n"
      "#define {0}_SCALE {5:#}f\n#define {0}_ZERO_POINT ({6})\n",
      prefix, shape.height, shape.width, shape.channels, shape.elements(), q.scale, q.zero_point);
}

std::string public_header(const QuantizedGraph& graph, const MemoryPlan& plan,
                          const PackageRequest& request) {
  const std::string prefix = upper(request.name);
  const std::string about = fmt::format(
      "/* The network \"{}\" for {}, written by mcufit {}: int8, one sample at a time, NHWC.\n"
      "   real value = SCALE * (stored value - ZERO_POINT).\n\n"
      "   Copy a sample into {}_input(), call {}_invoke(), read {}_output(). Input and output lie in the one "
      "static\n"
      "   arena: invoke overwrites the input, and the output holds until the next sample is copied in. No "
      "heap, no\n"
      "   locks: one call at a time. */\n\n#include <stdint.h>\n\n",
      c_comment(graph.graph.name), c_comment(request.target.name), version(), request.name, request.name,
      request.name);
  const std::string macros =
      tensor_macros(prefix + "_INPUT", graph.graph.input_shape(), graph.nodes.front().output) +
      tensor_macros(prefix + "_OUTPUT", graph.graph.output_shape(), graph.nodes.back().output) +
      fmt::format("#define {}_ARENA_BYTES {}\n\n", prefix, plan.arena_bytes);
  const std::string functions = fmt::format(
      "int8_t *{0}_input(void);        /* {1}_INPUT_BYTES bytes */\n"
      "const int8_t *{0}_output(void); /* {1}_OUTPUT_BYTES bytes */\n"
      "void {0}_invoke(void);\n",
      request.name, prefix);
  return guarded(request.name, about + macros + extern_c(functions));
}

std::string model_source(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name) {
  return fmt::format(
      "{4}#include \"{0}.h\"\n#include \"{0}_steps.h\"\n\n"
      "/* The tensors, placed by the memory plan in manifest.json; a union for the alignment. */\n"
      "static union {{\n  int32_t words[{1}_ARENA_BYTES / 4];\n  int8_t bytes[{1}_ARENA_BYTES];\n}} "
      "{0}_arena;\n\n"
      "int8_t *{0}_input(void) {{ return {0}_arena.bytes + {2}; }}\n\n"
      "const int8_t *{0}_output(void) {{ return {0}_arena.bytes + {3}; }}\n\n"
      "void {0}_invoke(void) {{ {0}_run({0}_calls, 0, {0}_arena.bytes); }}\n",
      name, upper(name), plan.placement(0).offset, plan.placement(graph.graph.size() - 1).offset, kCLicense);
}

// "conv2d_s8" of package "model": "MODEL_CONV2D_S8".
std::string kernel_macro(const std::string& name, std::string_view kernel) {
  return upper(name) + "_" + upper(kernel);
}

// The kernels that calls name: all but the one that orders calls.
std::vector<std::string> called_kernels(const Graph& graph, const MemoryPlan& plan) {
  std::vector<std::string> called;
  for (const std::string& kernel : kernels_of(graph, plan)) {
    if (kernel != kRowOrder) called.push_back(kernel);
  }
  return called;
}

std::string steps_header(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name) {
  std::string kernels;
  int number = 0;
  for (const std::string& kernel : called_kernels(graph.graph, plan))
    kernels += fmt::format("#define {} {}\n", kernel_macro(name, kernel), ++number);
  const NodeId nodes = graph.graph.size();
  const std::string macros = fmt::format(
      "#include <stdint.h>\n\n"
      "/* The kernels in use. */\n{2}\n"
      "#define {1}_CALLS {3}\n"
      "#define {1}_INPUT_OFFSET {4} /* of {0}_input(), bytes from the arena's start */\n"
      "#define {1}_OUTPUT_OFFSET {5}\n\n",
      name, upper(name), kernels, kernel_calls(graph.graph, plan).size(), plan.placement(0).offset,
      plan.placement(nodes - 1).offset);
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
      "void {0}_run(const {0}_call *call, const {0}_call *end, int8_t *arena);\n",
      name, upper(name));
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

constexpr std::string_view kRunWhole =
    R"(void {0}_run(const {0}_call *call, const {0}_call *end, int8_t *arena) {{
  const call_rows whole = {{arena, 0, 0}};
  {0}_dispatch(call, end, &whole);
}}
)";

constexpr std::string_view kRunRows = R"(/* How far each call of the group that runs is. */
static mcufit_row_progress {0}_progress[{1}];

/* Runs `group` until number `goal` of it has made all rows that are kept of it. */
static MCUFIT_VERBATIM void {0}_run_rows(const {0}_call *group, int16_t goal, int8_t *arena) {{
  const mcufit_row_call *calls = {0}_row_calls + (group - {0}_calls);
  call_rows rows;
  int16_t at = goal;
  rows.arena = arena;
  while ({0}_progress[goal].done < calls[goal].kept) {{
    mcufit_row_progress *progress;
    at = mcufit_row_order(calls, {0}_row_needs, {0}_progress, at);
    progress = {0}_progress + at;
    rows.first = progress->done;
    rows.end = ++progress->done;
    {0}_dispatch(group + at, group + at + 1, &rows);
    if (at != goal) at = progress->asker;
  }}
}}

/* The last call's output first: it drives the others. */
static MCUFIT_VERBATIM void {0}_run_group(const {0}_call *group, int8_t *arena) {{
  int16_t goal;
  for (goal = 0; goal < group->group; ++goal) {0}_progress[goal].done = 0;
  {0}_run_rows(group, (int16_t)(group->group - 1), arena);
  for (goal = 0; goal < group->group; ++goal) {0}_run_rows(group, goal, arena);
}}

void {0}_run(const {0}_call *call, const {0}_call *end, int8_t *arena) {{
  const call_rows whole = {{arena, 0, 0}};
  for (; call != end && call->kernel != 0; ++call) {{
    if (call->group == 0) {{
      {0}_dispatch(call, call + 1, &whole);
    }} else {{
      {0}_run_group(call, arena);
      call += call->group - 1;
    }}
  }}
}}
)";

// The constants by which groups run.
std::string row_tables_text(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name) {
  const RowTables tables = row_tables(graph, plan);
  std::string calls, needs;
  for (const mcufit_row_call& call : tables.calls)
    calls += fmt::format("    {{{}, {}}},\n", call.first_need, call.kept);
  for (std::size_t i = 0; i < tables.needs.size(); ++i) {
    const mcufit_row_need& need = tables.needs[i];
    const auto resize = tables.resizes[i];
    needs += fmt::format("    {{{}, {}, {}, {}, {}}},\n", need.from, need.stride, need.reach, need.most,
                         resize ? fmt::format("{}_n{}_rows", name, *resize) : "0");
  }
  return fmt::format(
      "static const mcufit_row_call {0}_row_calls[{1}] = {{\n{2}}};\n\n"
      "static const mcufit_row_need {0}_row_needs[{3}] = {{\n{4}}};\n\n",
      name, tables.calls.size(), calls, tables.needs.size(), needs);
}

// The steps' constants and the list of calls.
std::string calls_source(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name) {
  std::string steps, calls;
  for (const ExecutedStep& step : executed_steps(graph.graph, plan)) {
    for (const NodeId id : step.nodes) {
      const KernelCall call{.node = id, .tile = step.tile};
      const StepText text = step_text(graph, plan, call, name);
      const std::size_t group = step.by_rows && id == step.nodes.front() ? step.nodes.size() : 0;
      steps += text.step + "\n";
      calls += fmt::format("    {{&{}, {}, {}, {}}}, /* {} */\n", step_name(call, name), text.end,
                           kernel_macro(name, text.kernel), group, c_comment(graph.graph.node(id).name));
    }
  }
  return fmt::format("{0}const {1}_call {1}_calls[{2}_CALLS + 1] = {{\n{3}    {{0, 0, 0, 0}}}};\n\n", steps,
                     name, upper(name), calls);
}

// By rows where the plan asks for it; packages without groups have nothing of it.
std::string run_source(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name) {
  if (!has_row_steps(plan)) return fmt::format(kRunWhole, name);
  return row_tables_text(graph, plan, name) + fmt::format(kRunRows, name, longest_row_step(plan));
}

std::string steps_source(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name) {
  std::string adapters, dispatch;
  for (const std::string& kernel : called_kernels(graph.graph, plan)) {
    adapters += adapter(name, kernel);
    dispatch += fmt::format("    {}(call, rows);\n", adapter_name(name, kernel));
  }
  return fmt::format(
      "{0}#include \"{1}_steps.h\"\n\n#include \"{1}_weights.h\"\n#include \"mcufit_runtime.h\"\n\n"
      "{2}"
      "/* What calls compute: rows [first, end), or all where `end` is 0. */\n"
      "typedef struct {{\n  int8_t *arena;\n  int16_t first, end;\n}} call_rows;\n\n{3}"
      "/* No pointer to a function is read from data: what can run is what is written here. */\n"
      "static MCUFIT_VERBATIM void {1}_dispatch(const {1}_call *call, const {1}_call *end,\n"
      "                                         const call_rows *rows) {{\n"
      "  for (; call != end && call->kernel != 0; ++call) {{\n{4}  }}\n}}\n\n{5}",
      kCLicense, name, calls_source(graph, plan, name), adapters, dispatch, run_source(graph, plan, name));
}

void add_weights(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name,
                 PackageFiles& files) {
  std::string tables, externals;
  for (const NodeId id : called_nodes(graph.graph)) {
    const StepText text = step_text(graph, plan, {.node = id}, name);
    tables += text.tables;
    externals += text.externals;
  }
  files[name + "_weights.h"] = guarded(name + "_weights", "#include <stdint.h>\n\n" + externals);
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
  for (const std::string_view isa : kKernelIsas) {
    const std::string_view text = kernel_text(fmt::format("{}_{}.c", kernel, isa));
    if (!text.empty())
      variants +=
          fmt::format("#{} defined(MCUFIT_ISA_{})\n{}", variants.empty() ? "if" : "elif", upper(isa), text);
  }
  if (variants.empty()) return std::string(portable);
  return fmt::format("{}#include \"mcufit_isa.h\"\n\n{}#else\n{}#endif\n", kCLicense, variants, portable);
}

void add_runtime(const QuantizedGraph& graph, const MemoryPlan& plan, PackageFiles& files) {
  for (const EmbeddedFile& file : runtime_files()) {
    if (file.name.ends_with(".h")) files.emplace(file.name, file.content);
  }
  for (const std::string& kernel : kernels_of(graph.graph, plan))
    files.emplace(fmt::format("mcufit_{}.c", kernel), kernel_source(kernel));
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

PackageFiles emit_c(const QuantizedGraph& graph, const MemoryPlan& plan, const PackageRequest& request) {
  check_package_name(request.name);
  if (plan.arena_bytes % 4 != 0) {
    throw Error(ExitCode::internal,
                fmt::format("{}: the arena's {} bytes are no multiple of 4", request.name, plan.arena_bytes));
  }
  PackageFiles files;
  files[request.name + ".h"] = public_header(graph, plan, request);
  files[request.name + ".c"] = model_source(graph, plan, request.name);
  files[request.name + "_steps.h"] = steps_header(graph, plan, request.name);
  files[request.name + "_steps.c"] = steps_source(graph, plan, request.name);
  add_weights(graph, plan, request.name, files);
  add_self_test(graph, plan, request, files);
  add_runtime(graph, plan, files);
  return files;
}

}  // namespace mcufit
