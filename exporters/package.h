// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "blocks/quantized_graph.h"
#include "cost-models/plan.h"
#include "cost-models/price.h"
#include "cost-models/row_schedule.h"
#include "cost-models/target.h"
#include "exporters/checksums.h"

namespace mcufit {

// A golden vector: an input and the bytes that the reference interpreter gives for it.
struct TestVector {
  std::vector<std::int8_t> input;
  std::vector<std::int8_t> output;
};

// What goes into a package besides the network.
struct PackageRequest {
  std::string name;  // a lower-case C identifier, prefix of every symbol and file: "fashion_nrf52840"
  Target target;
  std::vector<TestVector> self_test;  // compiled into NAME_selftest.c; without any that file is left out
  const nlohmann::json* provenance = nullptr;  // copied into manifest.json under "provenance"; may be null
};

// The deployable network, a folder of C99 sources that compile alone:
//
// - NAME.h: shapes, scales, zero points, arena size, NAME_input(), NAME_invoke(), NAME_output(); where the
//   plan streams the input NAME_start(), NAME_next_input_row(), NAME_feed_row() in the place of the first
//   two, and NAME_next_input_piece(), which says what part of the sample is asked for: of tiles in turn all
//   rows
// - NAME.c: these functions and the one static arena
// - NAME_steps.c, .h: what is called, in which order, with which constants
// - NAME_weights.c, .h: filters, biases, requantization tables, all const
// - NAME_selftest.c, .h: golden vectors and NAME_selftest(), which returns the number of differing vectors
// - mcufit_*.h, mcufit_*.c: the runtime, the needed kernels only
// - NAME.tflite: the same network, where that format can say it; what `mcufit export` and `analyze` read
// - manifest.json: every file's SHA-256 and size, the ledger, the plan, by how many bytes the arena is longer
//   on cores of other instruction sets, tool version, target, symbols
//
// Equal arguments give equal bytes in every file. The folder is written beside its place and renamed into it;
// a package there is replaced, any other folder with something in it is not. Throws Error(io), Error(input)
// for a graph the runtime cannot hold (16-bit extents).
void write_package(const std::filesystem::path& folder, const QuantizedGraph& graph, const Cost& cost,
                   const PackageRequest& request);

// One kernel call as manifest.json has it.
struct ManifestStep {
  NodeId node = 0;
  std::int32_t plan_step = 0;  // calls that run row by row together have the same
  bool by_rows = false;
  std::string name;  // the node's: "stage1/expand"
  std::string op;
  std::string kernel;
  Shape shape;  // of the output
  std::int64_t macs = 0;
  std::int32_t tile = 0;    // of a group in tiles
  ColumnRange columns;      // of the output, that the call makes
  std::int64_t offset = 0;  // of the first of them, in the arena
  std::int64_t row_stride = 0;
  std::int64_t bytes = 0;
  std::int64_t filter_bytes = 0;  // of the node's packed filter
  std::int32_t ring_rows = 0;     // 0: the whole output, else a rolling line buffer

  // That the call makes of a row.
  std::int64_t row_bytes() const { return std::int64_t{columns.width()} * shape.channels; }
};

// True for a call that adds up the rows of its input and writes its output, of one row, with the last.
bool sums_rows(const ManifestStep& step);

// What kernels work with in the arena.
struct ManifestScratch {
  Isa kernels = Isa::portable;               // whose is in the plan
  std::map<Isa, std::int64_t> bytes_behind;  // by which the arena is longer for the others
};

// What manifest.json says that a validation needs.
struct Manifest {
  std::string name;
  Target target;
  std::vector<ManifestStep> steps;       // in order of execution
  std::int64_t output_offset = 0;        // in the arena
  std::vector<NodeChecksums> self_test;  // of the vectors in NAME_selftest.c
  std::int64_t input_bytes = 0;
  std::int64_t output_bytes = 0;
  std::vector<std::string> sources;  // the .c files, sorted
  FlashLedger flash;
  RamLedger ram;
  ManifestScratch scratch;
};

// Of the package as it is compiled for a core of this instruction set.
std::int64_t arena_bytes(const Manifest& manifest, Isa isa);

// True when the package takes its input row by row; its first call is the input then, and the first of each
// further tile that takes it.
bool streams_input(const Manifest& manifest);

// The calls [begin, end) of a manifest that run together, a step of the plan or one tile of it.
struct ManifestGroup {
  std::size_t begin = 0, end = 0;
};
std::vector<ManifestGroup> executed_groups(const Manifest& manifest);

// The kernels that a package has, kRowOrder among them.
std::set<std::string, std::less<>> kernels_of(const Manifest& manifest);

// Throws Error(input) when manifest.json is not one, a file it names is missing or its hash differs.
Manifest read_manifest(const std::filesystem::path& folder);

}  // namespace mcufit
