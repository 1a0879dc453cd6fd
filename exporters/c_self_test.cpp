// SPDX-License-Identifier: Apache-2.0
#include "exporters/c_self_test.h"

#include <fmt/format.h>

#include <algorithm>

#include "blocks/foundation/error.h"
#include "cost-models/layout.h"
#include "exporters/c_steps.h"
#include "exporters/c_text.h"
#include "exporters/checksums.h"
#include "exporters/tile_columns.h"

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

std::string checksums(const QuantizedGraph& graph, const MemoryPlan& plan, const PackageRequest& request) {
  std::string text =
      fmt::format("static const uint32_t checksums[VECTORS][{}_CALLS] = {{\n", upper(request.name));
  for (const TestVector& test : request.self_test) {
    text += "    {\n";
    for (const std::uint32_t sum : node_checksums(graph, plan, test.input).steps)
      text += fmt::format("        {:#010x}U,\n", sum);
    text += "    },\n";
  }
  return text + "};\n\n";
}

std::string places(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name) {
  std::string text = fmt::format(
      "/* Where each call's output lies: the row_bytes of row r that it makes at offset + r % ring_rows * "
      "row_stride.\n   Running sums have theirs after the last row of their input. */\n"
      "static const struct {{\n  int32_t offset, row_stride, row_bytes;\n  int16_t rows, ring_rows;\n"
      "  int8_t sums;\n}} places[{}_CALLS] = {{\n",
      upper(name));
  for (const KernelCall& call : kernel_calls(graph.graph, plan)) {
    const Node& node = graph.graph.node(call.node);
    const Placement& place = plan.placement(call.node);
    const TileColumns::Part made = made_part(graph.graph, plan, call);
    text += fmt::format("    {{{}, {}, {}, {}, {}, {}}}, /* {} */\n", place.offset + made.start,
                        made.row_bytes, std::int64_t{made.columns.width()} * node.shape.channels,
                        node.shape.height, place.ring_rows > 0 ? place.ring_rows : node.shape.height,
                        place.sums_bytes > 0 ? 1 : 0, c_comment(node.name));
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
          "/* Runs them call by call, row by row inside of groups, and compares the checksum of what each "
          "call made;\n"
          "   returns the place in {0}_calls of the first one that differs, or -1 where none does. */\n"
          "int {0}_selftest_call(void);\n",
          name)));
}

// With the input whole.
constexpr std::string_view kLoad = R"(/* Puts in the input; returns the arena. */
static int8_t *load(int vector) {{
  int8_t *input = {0}_input();
  int32_t i;
  for (i = 0; i < {1}_INPUT_BYTES; ++i) input[i] = MCUFIT_FLASH_S8(&inputs[vector][i]);
  return input - {1}_INPUT_OFFSET;
}}

static void infer(int vector) {{
  (void)load(vector);
  {0}_invoke();
}}

)";

// With the input row by row.
constexpr std::string_view kFeed = R"(static void put_piece(int vector, {0}_input_piece piece, int8_t *to) {{
  const int32_t pixel = (int32_t)piece.row * {1}_INPUT_WIDTH + piece.first_column;
  const int8_t *from = &inputs[vector][pixel * {1}_INPUT_CHANNELS];
  int32_t i;
  for (i = 0; i < (int32_t)piece.columns * {1}_INPUT_CHANNELS; ++i) to[i] = MCUFIT_FLASH_S8(&from[i]);
}}

/* Begins; returns the arena. */
static int8_t *load(int vector) {{
  (void)vector;
  {0}_start();
  return {0}_next_input_row() - {1}_INPUT_OFFSET;
}}

static void infer(int vector) {{
  {0}_start();
  do {{
    put_piece(vector, {0}_next_input_piece(), {0}_next_input_row());
  }} while ({0}_feed_row() == 0);
}}

)";

constexpr std::string_view kSelfTest = R"(int {0}_selftest(void) {{
  const int8_t *output = {0}_output();
  int failed = 0;
  int vector;
  for (vector = 0; vector < VECTORS; ++vector) {{
    int differs = 0;
    int32_t i;
    infer(vector);
    for (i = 0; i < {1}_OUTPUT_BYTES; ++i) {{
      differs |= output[i] != MCUFIT_FLASH_S8(&outputs[vector][i]);
    }}
    failed += differs;
  }}
  return failed;
}}

static uint32_t sums[MOST_CALLS]; /* of the rows that each call of a step made so far */

static int8_t *place_of(int call, int16_t row, int8_t *arena) {{
  return arena + places[call].offset + row % places[call].ring_rows * places[call].row_stride;
}}

static void add_row(uint32_t *sum, int call, int16_t row, int8_t *arena) {{
  const int8_t *byte = place_of(call, row, arena);
  const int8_t *end = byte + places[call].row_bytes;
  int bit;
  while (byte != end) {{
    *sum ^= (uint8_t)*byte++;
    for (bit = 0; bit < 8; ++bit) *sum = (*sum >> 1) ^ ((*sum & 1U) != 0 ? 0xEDB88320U : 0U);
  }}
}}

/* Returns the number of calls. */
static int run_call(int call, int8_t *arena) {{
  int16_t row;
  {0}_run({0}_calls + call, {0}_calls + call + 1, arena);
  for (row = 0; row < places[call].rows; ++row) add_row(sums, call, row, arena);
  return 1;
}}

)";

constexpr std::string_view kGroup = R"(static int run_group(int first, int vector, int8_t *arena) {{
  const {0}_call *group = {0}_calls + first;
  int16_t place;
  (void)vector;
  {0}_begin(group);
  while ((place = {0}_advance(group, arena)) >= 0) {{
    const int call = first + place;
    const int16_t row = (int16_t)({0}_progress[place].done - 1);
{2}    if (places[call].sums == 0) {{
      add_row(sums + place, call, row, arena);
    }} else if (row + 1 == group[place].end) {{
      add_row(sums + place, call, 0, arena);
    }}
  }}
  return group->group;
}}

)";

// Inside of that.
constexpr std::string_view kPutPiece = R"(    if (group[place].kernel == {1}_INPUT_ROW) {{
      const mcufit_input_row_step *input = (const mcufit_input_row_step *)group->step;
      const {0}_input_piece piece = {{row, input->first_column, input->columns}};
      put_piece(vector, piece, place_of(call, row, arena));
    }}
)";

constexpr std::string_view kSelfTestCall = R"(int {0}_selftest_call(void) {{
  int vector;
  for (vector = 0; vector < VECTORS; ++vector) {{
    int8_t *arena = load(vector);
    int call = 0;
    while (call < {1}_CALLS) {{
      int i, calls;
      for (i = 0; i < MOST_CALLS; ++i) sums[i] = 0xFFFFFFFFU;
      calls = {2};
      for (i = 0; i < calls; ++i, ++call) {{
        if (~sums[i] != checksums[vector][call]) return call;
      }}
    }}
  }}
  return -1;
}}
)";

std::string functions(const MemoryPlan& plan, const std::string& name) {
  const bool streamed = streams_input(plan), groups = has_row_steps(plan);
  const std::string macro = upper(name);
  return fmt::format(fmt::runtime(streamed ? kFeed : kLoad), name, macro) +
         fmt::format(kSelfTest, name, macro) +
         (groups ? fmt::format(kGroup, name, macro, streamed ? fmt::format(kPutPiece, name, macro) : "")
                 : "") +
         fmt::format(kSelfTestCall, name, macro,
                     groups ? fmt::format("{}_calls[call].group != 0 ? run_group(call, vector, arena) : "
                                          "run_call(call, arena)",
                                          name)
                            : "run_call(call, arena)");
}

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
          "#define VECTORS {2}\n#define MOST_CALLS {3} /* of a step */\n\n",
          kCLicense, name, request.self_test.size(), std::max<std::int64_t>(longest_row_step(plan), 1)) +
      vectors("inputs", request.self_test, &TestVector::input) +
      vectors("outputs", request.self_test, &TestVector::output) + checksums(graph, plan, request) +
      places(graph, plan, name) + functions(plan, name);
}

}  // namespace mcufit
