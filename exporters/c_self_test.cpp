// SPDX-License-Identifier: Apache-2.0
#include "exporters/c_self_test.h"

#include <fmt/format.h>

#include <algorithm>

#include "blocks/foundation/error.h"
#include "exporters/c_steps.h"
#include "exporters/c_text.h"
#include "exporters/checksums.h"
#include "exporters/row_tables.h"

namespace mcufit {
namespace {

void check_vectors(const QuantizedGraph& graph, const PackageRequest& request) {
  const auto inputs = static_cast<std::size_t>(graph.graph.input_shape().elements());
  const auto outputs = static_cast<std::size_t>(graph.graph.output_shape().elements());
  for (const TestVector& test : request.self_test) {
    if (test.input.size() == inputs && test.output.size() == outputs) continue;
    throw Error(ExitCode::input,
                fmt::format("{}: found a test vector of {} inputs and {} outputs; accepted: {} and {}",
                            request.name, test.input.size(), test.output.size(), inputs, outputs));
  }
}

std::string vectors(std::string_view what, const std::vector<TestVector>& tests,
                    std::vector<std::int8_t> TestVector::*member) {
  std::string text = fmt::format("static const int8_t {}[{}][{}] MCUFIT_IN_FLASH = {{\n", what, tests.size(),
                                 (tests.front().*member).size());
  for (const TestVector& test : tests) text += "    {\n" + c_numbers(test.*member, 8) + "    },\n";
  return text + "};\n\n";
}

// The steps of which each makes its last output whole: a group in tiles is one.
std::ptrdiff_t whole_steps(const Graph& graph, const MemoryPlan& plan) {
  const std::vector<ExecutedStep> steps = executed_steps(graph, plan);
  return std::count_if(steps.begin(), steps.end(), [](const ExecutedStep& step) { return step.last_tile; });
}

// Of the last output of each step: what runs row by row inside of one need not be there afterwards.
std::string checksums(const QuantizedGraph& graph, const MemoryPlan& plan, const PackageRequest& request) {
  std::string text = "static const uint32_t checksums[VECTORS][STEPS] = {\n";
  for (const TestVector& test : request.self_test) {
    const std::vector<std::uint32_t> sums = node_checksums(graph, plan, test.input).steps;
    std::size_t call = 0;
    text += "    {\n";
    for (const ExecutedStep& step : executed_steps(graph.graph, plan)) {
      call += step.nodes.size();
      if (step.last_tile) text += fmt::format("        {:#010x}U,\n", sums[call - 1]);
    }
    text += "    },\n";
  }
  return text + "};\n\n";
}

std::string places(const QuantizedGraph& graph, const MemoryPlan& plan) {
  std::string text =
      "/* The calls of each step and where its last output lies in the arena. */\n"
      "static const struct {\n  int32_t offset, bytes;\n  int calls;\n} places[STEPS] = {\n";
  std::size_t calls = 0;
  for (const ExecutedStep& step : executed_steps(graph.graph, plan)) {
    calls += step.nodes.size();
    if (!step.last_tile) continue;
    const Node& node = graph.graph.node(step.nodes.back());
    text += fmt::format("    {{{}, {}, {}}}, /* {} */\n", plan.placement(step.nodes.back()).offset,
                        node.shape.elements(), calls, c_comment(node.name));
    calls = 0;
  }
  return text + "};\n\n";
}

std::string header(const std::string& name) {
  return guarded(
      name + "_selftest",
      extern_c(fmt::format(
          "/* Runs golden vectors of the reference interpreter; returns how many give other bytes: 0 is "
          "success. */\n"
          "int {0}_selftest(void);\n\n"
          "/* Runs them step by step, a group of calls that run row by row is one; returns the place in "
          "{0}_calls of the\n"
          "   last call of the first whose output differs, or -1 where none does. */\n"
          "int {0}_selftest_call(void);\n",
          name)));
}

constexpr std::string_view kFunctions = R"(static void load(int vector) {{
  int8_t *input = {0}_input();
  int32_t i;
  for (i = 0; i < {1}_INPUT_BYTES; ++i) input[i] = MCUFIT_FLASH_S8(&inputs[vector][i]);
}}

int {0}_selftest(void) {{
  const int8_t *output = {0}_output();
  int failed = 0;
  int vector;
  for (vector = 0; vector < VECTORS; ++vector) {{
    int differs = 0;
    int32_t i;
    load(vector);
    {0}_invoke();
    for (i = 0; i < {1}_OUTPUT_BYTES; ++i) {{
      differs |= output[i] != MCUFIT_FLASH_S8(&outputs[vector][i]);
    }}
    failed += differs;
  }}
  return failed;
}}

static uint32_t crc32_of(const int8_t *bytes, int32_t count) {{
  uint32_t crc = 0xFFFFFFFFU;
  int32_t i;
  int bit;
  for (i = 0; i < count; ++i) {{
    crc ^= (uint8_t)bytes[i];
    for (bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }}
  return ~crc;
}}

int {0}_selftest_call(void) {{
  int8_t *const arena = {0}_input() - {1}_INPUT_OFFSET;
  int vector, step;
  for (vector = 0; vector < VECTORS; ++vector) {{
    const {0}_call *call = {0}_calls;
    load(vector);
    for (step = 0; step < STEPS; ++step) {{
      {0}_run(call, call + places[step].calls, arena);
      call += places[step].calls;
      if (crc32_of(arena + places[step].offset, places[step].bytes) != checksums[vector][step])
        return (int)(call - {0}_calls) - 1;
    }}
  }}
  return -1;
}}
)";

}  // namespace

void add_self_test(const QuantizedGraph& graph, const MemoryPlan& plan, const PackageRequest& request,
                   PackageFiles& files) {
  check_vectors(graph, request);
  if (request.self_test.empty()) return;
  const std::string& name = request.name;
  files[name + "_selftest.h"] = header(name);
  files[name + "_selftest.c"] =
      fmt::format(
          "{0}#include \"{1}_selftest.h\"\n\n#include \"{1}.h\"\n#include "
          "\"{1}_steps.h\"\n#include \"mcufit_runtime.h\"\n\n"
          "#define VECTORS {2}\n#define STEPS {3}\n\n",
          kCLicense, name, request.self_test.size(), whole_steps(graph.graph, plan)) +
      vectors("inputs", request.self_test, &TestVector::input) +
      vectors("outputs", request.self_test, &TestVector::output) + checksums(graph, plan, request) +
      places(graph, plan) + fmt::format(kFunctions, name, upper(name));
}

}  // namespace mcufit
