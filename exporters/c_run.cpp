// SPDX-License-Identifier: Apache-2.0
#include "exporters/c_run.h"

#include <fmt/format.h>

#include "cost-models/layout.h"
#include "exporters/row_tables.h"

namespace mcufit {
namespace {

constexpr std::string_view kRunWhole =
    R"(void {0}_run(const {0}_call *call, const {0}_call *end, int8_t *arena) {{
  const call_rows whole = {{arena, 0, 0}};
  {0}_dispatch(call, end, &whole);
}}
)";

constexpr std::string_view kRowDeclarations = R"(
/* How far each call of the group that runs is. */
extern mcufit_row_progress {0}_progress[{1}];

/* Starts a group that runs row by row, of which `group` is the first call. */
void {0}_begin(const {0}_call *group);

/* Runs the next call of the group that was begun, one row; returns its place in the group, or -1 where all are
   done. What an input's call does, the sender does between this call and the next. */
int16_t {0}_advance(const {0}_call *group, int8_t *arena);
)";

constexpr std::string_view kRunRows = R"(mcufit_row_progress {0}_progress[{1}];

/* The place of the group that the calls are for, and the one to go on from. */
static mcufit_row_goal {0}_goal;

MCUFIT_VERBATIM void {0}_begin(const {0}_call *group) {{
  int16_t place;
  for (place = 0; place < group->group; ++place) {0}_progress[place].done = 0;
  {0}_goal.place = {0}_goal.at = (int16_t)(group->group - 1);
}}

/* The last call's output first: it drives the others. Then what else is kept of the group, in order. */
MCUFIT_VERBATIM int16_t {0}_advance(const {0}_call *group, int8_t *arena) {{
  const mcufit_row_call *calls = {0}_row_calls + (group - {0}_calls);
  mcufit_row_goal goal = {0}_goal;
  mcufit_row_progress *progress;
  call_rows rows;
  int16_t at;
  while ({0}_progress[goal.place].done >= calls[goal.place].kept) {{
    if (++goal.place == group->group) goal.place = 0;
    if (goal.place == group->group - 1) return -1;
    goal.at = goal.place;
  }}
  at = mcufit_row_order(calls, {0}_row_needs, {0}_progress, goal.at);
  progress = {0}_progress + at;
  {0}_goal.place = goal.place;
  {0}_goal.at = at == goal.place ? at : progress->asker;
  rows.arena = arena;
  rows.first = progress->done;
  rows.end = ++progress->done;
  {0}_dispatch(group + at, group + at + 1, &rows);
  return at;
}}

void {0}_run(const {0}_call *call, const {0}_call *end, int8_t *arena) {{
  const call_rows whole = {{arena, 0, 0}};
  for (; call != end && call->kernel != 0; ++call) {{
    if (call->group == 0) {{
      {0}_dispatch(call, call + 1, &whole);
    }} else {{
      {0}_begin(call);
      while ({0}_advance(call, arena) >= 0) {{
      }}
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

}  // namespace

std::string run_source(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name) {
  if (!has_row_steps(plan)) return fmt::format(kRunWhole, name);
  return row_tables_text(graph, plan, name) + fmt::format(kRunRows, name, longest_row_step(plan));
}

std::string row_declarations(const MemoryPlan& plan, const std::string& name) {
  return has_row_steps(plan) ? fmt::format(kRowDeclarations, name, longest_row_step(plan)) : "";
}

}  // namespace mcufit
