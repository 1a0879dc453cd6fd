// SPDX-License-Identifier: Apache-2.0
#include "exporters/c_interface.h"

#include <fmt/format.h>

#include <algorithm>

#include "blocks/foundation/version.h"
#include "cost-models/layout.h"
#include "exporters/c_scratch.h"
#include "exporters/c_steps.h"
#include "exporters/c_text.h"
#include "exporters/checksums.h"
#include "exporters/tile_columns.h"

namespace mcufit {
namespace {

std::string tensor_macros(const std::string& prefix, const Shape& shape, const Quantization& q) {
  return fmt::format(
      "#define {0}_HEIGHT {1}\n#define {0}_WIDTH {2}\n#define {0}_CHANNELS {3}\n#define {0}_BYTES {4}\n"
      "#define {0}_SCALE {5:#}f\n#define {0}_ZERO_POINT ({6})\n",
      prefix, shape.height, shape.width, shape.channels, shape.elements(), q.scale, q.zero_point);
}

constexpr std::string_view kWholeUse =
    R"(   Copy a sample into {0}_input(), call {0}_invoke(), read {0}_output(). Input and output lie in the one static
   arena: invoke overwrites the input, and the output holds until the next sample is copied in. No heap, no
   locks: one call at a time. */
)";

constexpr std::string_view kWholeFunctions =
    R"(int8_t *{0}_input(void);        /* {1}_INPUT_BYTES bytes */
const int8_t *{0}_output(void); /* {1}_OUTPUT_BYTES bytes */
void {0}_invoke(void);
)";

constexpr std::string_view kRowsUse =
    R"(   The input comes row by row, a camera's line or an audio frame at a time, and never exists whole:

     {0}_start();
     do {{
       int8_t *row = {0}_next_input_row();
       ... write {1}_INPUT_ROW_BYTES bytes to row ...
     }} while ({0}_feed_row() == 0);
     ... read {0}_output() ...

   Rows are the sample's first {1}_INPUT_ROWS, from the top; the network reads no others. A row's place is
   free for it from the call before until it is fed, and then changes. {0}_invoke_from() does the same with a
   sample that lies elsewhere. All is in the one static arena, and the output holds until the next start. No
   heap, no locks: one call at a time. */
)";

constexpr std::string_view kPiecesUse =
    R"(   The input comes in pieces of rows and never exists whole: the network works on {1}_INPUT_TILES tiles of it,
   upright strips, one after the other, and asks in each for all rows, of each for the pixels of the strip:

     {0}_start();
     do {{
       const {0}_input_piece piece = {0}_next_input_piece();
       int8_t *to = {0}_next_input_row();
       ... write piece.columns pixels of row piece.row, from piece.first_column on, to `to`:
           piece.columns * {1}_INPUT_CHANNELS bytes, {1}_INPUT_PIECE_BYTES at most ...
     }} while ({0}_feed_row() == 0);
     ... read {0}_output() ...

   So the source must give any part of the sample, and each row {1}_INPUT_TILES times: flash, RAM outside, a
   camera that holds a still. Strips overlap. Rows are the sample's first {1}_INPUT_ROWS, from the top. A
   piece's place is free for it from the call before until it is fed, and then changes. {0}_invoke_from()
   does the same with a sample that lies elsewhere. All is in the one static arena, and the output holds until
   the next start. No heap, no locks: one call at a time. */
)";

constexpr std::string_view kPiece =
    R"(/* Pixels of the sample: `columns` of one row, from `first_column` on. */
typedef struct {{
  int16_t row, first_column, columns;
}} {0}_input_piece;

)";

constexpr std::string_view kRowsFunctions = R"(/* Begins a sample, whatever became of the one before. */
void {0}_start(void);

/* Where the next row, or piece of one, goes; null where none is asked for: before the first start, and when the
   output is ready. */
int8_t *{0}_next_input_row(void);

/* Which part of the sample that is; no columns where none is asked for. Of {1}_INPUT_TILES tiles in turn
   all rows in order, in a single tile whole rows. */
{0}_input_piece {0}_next_input_piece(void);

/* It was written: runs all that the rows so far allow, after the last one to the network's end. Returns 1
   when the output is ready, else 0. */
int {0}_feed_row(void);

/* A whole sample from elsewhere, of which the first {1}_INPUT_ROWS rows are read. */
void {0}_invoke_from(const int8_t *sample);

const int8_t *{0}_output(void); /* {1}_OUTPUT_BYTES bytes */
)";

constexpr std::string_view kArena =
    R"(/* The tensors, placed by the memory plan in manifest.json; a union for the alignment. */
static union {{
  int32_t words[{1}_ARENA_BYTES / 4];
  int8_t bytes[{1}_ARENA_BYTES];
}} {0}_arena;

)";

constexpr std::string_view kWholeSource =
    R"(int8_t *{0}_input(void) {{ return {0}_arena.bytes + {2}; }}

const int8_t *{0}_output(void) {{ return {0}_arena.bytes + {3}; }}

void {0}_invoke(void) {{ {0}_run({0}_calls, 0, {0}_arena.bytes); }}
)";

constexpr std::string_view kRowsSource = R"(static int8_t *{0}_next; /* null where no row is asked for */

/* The group that takes the input; of several, one for each tile of it, the one that runs. */
static const {0}_call *{0}_tile;

#define INPUT_STEP ((const mcufit_input_row_step *){0}_tile->step)

/* Runs all that the rows so far allow; `row` is where the tile's next one goes. Place 0 is the input's. */
static MCUFIT_VERBATIM int {0}_run_up_to(int8_t *row) {{
  int16_t place;
  while ((place = {0}_advance({0}_tile, {0}_arena.bytes)) != 0) {{
    if (place > 0) continue;
    {0}_tile += {0}_tile->group;
    if ({0}_tile->kernel != {1}_INPUT_ROW) {{
      {0}_next = 0;
      {0}_run({0}_tile, 0, {0}_arena.bytes);
      return 1;
    }}
    {0}_begin({0}_tile);
    row = {0}_arena.bytes + INPUT_STEP->rows.offset;
  }}
  {0}_next = row;
  return 0;
}}

MCUFIT_VERBATIM void {0}_start(void) {{
  {0}_tile = {0}_calls;
  {0}_begin({0}_tile);
  (void){0}_run_up_to({0}_arena.bytes + INPUT_STEP->rows.offset);
}}

MCUFIT_VERBATIM int8_t *{0}_next_input_row(void) {{ return {0}_next; }}

MCUFIT_VERBATIM {0}_input_piece {0}_next_input_piece(void) {{
  {0}_input_piece piece = {{0, 0, 0}};
  if ({0}_next != 0) {{
    piece.row = (int16_t)({0}_progress->done - 1);
    piece.first_column = INPUT_STEP->first_column;
    piece.columns = INPUT_STEP->columns;
  }}
  return piece;
}}

MCUFIT_VERBATIM int {0}_feed_row(void) {{
  const mcufit_view *rows;
  int8_t *row = {0}_next, *first;
  if (row == 0) return 1;
  rows = &INPUT_STEP->rows;
  first = {0}_arena.bytes + rows->offset;
  row += rows->row_stride;
  if (row - first == rows->ring_rows * rows->row_stride) row = first;
  return {0}_run_up_to(row);
}}

void {0}_invoke_from(const int8_t *sample) {{
  int8_t *to;
  {0}_start();
  while ((to = {0}_next_input_row()) != 0) {{
    const {0}_input_piece piece = {0}_next_input_piece();
    const int32_t pixel = INPUT_STEP->rows.pixel_stride;
    const int8_t *from = sample + piece.row * INPUT_STEP->sample_stride + piece.first_column * pixel;
    const int8_t *end = from + piece.columns * pixel;
    while (from != end) *to++ = *from++;
    (void){0}_feed_row();
  }}
}}

const int8_t *{0}_output(void) {{ return {0}_arena.bytes + {3}; }}
)";

// What the sender delivers, as macros.
std::string streamed_macros(const Graph& graph, const MemoryPlan& plan, const std::string& prefix) {
  const Shape& input = graph.input_shape();
  const std::int64_t row_bytes = std::int64_t{input.width} * input.channels;
  const auto tiles = static_cast<std::int32_t>(plan.steps.front().tile_cuts.size()) + 1;
  std::int64_t columns = 0;
  for (std::int32_t tile = 0; tile < tiles; ++tile)
    columns = std::max<std::int64_t>(columns, made_part(graph, plan, {.tile = tile}).columns.width());
  const std::string whole_rows =
      tiles == 1 ? fmt::format("#define {}_INPUT_ROW_BYTES {}\n", prefix, row_bytes) : "";
  return fmt::format(
             "#define {0}_INPUT_ROWS {1}\n#define {0}_INPUT_TILES {2}\n#define {0}_INPUT_PIECE_BYTES {3}\n",
             prefix, bytes_made(graph, plan).front() / row_bytes, tiles, columns * input.channels) +
         whole_rows;
}

}  // namespace

std::string public_header(const QuantizedGraph& graph, const MemoryPlan& plan,
                          const PackageRequest& request) {
  const std::string prefix = upper(request.name);
  const Shape& input = graph.graph.input_shape();
  const bool streamed = streams_input(plan);
  const std::string_view streamed_use = plan.steps.front().tile_cuts.empty() ? kRowsUse : kPiecesUse;
  const std::string about = fmt::format(
      "/* The network \"{}\" for {}, written by mcufit {}: int8, one sample at a time, NHWC.\n"
      "   real value = SCALE * (stored value - ZERO_POINT).\n\n",
      c_comment(graph.graph.name), c_comment(request.target.name), version());
  const std::string use =
      fmt::format(fmt::runtime(streamed ? streamed_use : kWholeUse), request.name, prefix);
  std::string macros = tensor_macros(prefix + "_INPUT", input, graph.nodes.front().output);
  if (streamed) macros += streamed_macros(graph.graph, plan, prefix);
  macros += tensor_macros(prefix + "_OUTPUT", graph.graph.output_shape(), graph.nodes.back().output) +
            arena_macros(graph.graph, plan, request.name);
  const std::string functions =
      fmt::format(fmt::runtime(streamed ? kRowsFunctions : kWholeFunctions), request.name, prefix);
  const std::string piece = streamed ? fmt::format(kPiece, request.name) : "";
  const std::string includes = has_scratch_behind(graph.graph, plan)
                                   ? "\n#include <stdint.h>\n\n#include \"mcufit_isa.h\"\n\n"
                                   : "\n#include <stdint.h>\n\n";
  return guarded(request.name, about + use + includes + macros + extern_c(piece + functions));
}

std::string model_source(const QuantizedGraph& graph, const MemoryPlan& plan, const std::string& name) {
  const bool streamed = streams_input(plan);
  const std::int64_t output = plan.placement(graph.graph.size() - 1).offset;
  return fmt::format("{1}#include \"{0}.h\"\n#include \"{0}_steps.h\"\n{2}\n", name, kCLicense,
                     streamed ? "#include \"mcufit_runtime.h\"\n" : "") +
         fmt::format(kArena, name, upper(name)) +
         fmt::format(fmt::runtime(streamed ? kRowsSource : kWholeSource), name, upper(name),
                     plan.placement(0).offset, output);
}

std::string outermost_function(bool input_streamed, const std::string& name) {
  return name + (input_streamed ? "_invoke_from" : "_invoke");
}

}  // namespace mcufit
