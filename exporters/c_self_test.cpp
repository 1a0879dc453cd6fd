// SPDX-License-Identifier: Apache-2.0
#include "exporters/c_self_test.h"

#include <fmt/format.h>

#include "blocks/foundation/error.h"
#include "cost-models/layout.h"
#include "exporters/c_steps.h"
#include "exporters/c_text.h"
#include "exporters/checksums.h"

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

std::string checksums(const QuantizedGraph& graph, const PackageRequest& request) {
  std::string text =
      fmt::format("static const uint32_t checksums[VECTORS][{}_CALLS] = {{\n", upper(request.name));
  for (const TestVector& test : request.self_test) {
    text += "    {\n";
    for (const std::uint32_t sum : node_checksums(graph, test.input).steps)
      text += fmt::format("        {:#010x}U,\n", sum);
    text += "    },\n";
  }
  return text + "};\n\n";
}

std::string places(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name) {
  std::string text = fmt::format(
      "/* Where each call's output lies in the arena. */\n"
      "static const struct {{\n  int32_t offset, bytes;\n}} places[{}_CALLS] = {{\n",
      upper(name));
  for (const NodeId id : called_nodes(graph.graph)) {
    const Node& node = graph.graph.node(id);
    text += fmt::format("    {{{}, {}}}, /* {} */\n", plan.placement(id).offset, node.shape.elements(),
                        c_comment(node.name));
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
          "/* Runs them call by call; returns the place in {0}_calls of the first whose output differs, or "
          "-1 "
          "where\n"
          "   none does. */\n"
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
  int vector, call;
  for (vector = 0; vector < VECTORS; ++vector) {{
    load(vector);
    for (call = 0; call < {1}_CALLS; ++call) {{
      {0}_run({0}_calls + call, {0}_calls + call + 1, arena);
      if (crc32_of(arena + places[call].offset, places[call].bytes) != checksums[vector][call]) return call;
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
  files[name + "_selftest.c"] = fmt::format(
                                    "{0}#include \"{1}_selftest.h\"\n\n#include \"{1}.h\"\n#include "
                                    "\"{1}_steps.h\"\n#include \"mcufit_runtime.h\"\n\n"
                                    "#define VECTORS {2}\n\n",
                                    kCLicense, name, request.self_test.size()) +
                                vectors("inputs", request.self_test, &TestVector::input) +
                                vectors("outputs", request.self_test, &TestVector::output) +
                                checksums(graph, request) + places(graph, plan, name) +
                                fmt::format(kFunctions, name, upper(name));
}

}  // namespace mcufit
