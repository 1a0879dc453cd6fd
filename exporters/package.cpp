// SPDX-License-Identifier: Apache-2.0
#include "exporters/package.h"

#include <fmt/format.h>

#include <optional>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "exporters/c_emitter.h"
#include "exporters/manifest.h"
#include "exporters/scratch_folder.h"
#include "exporters/tflite/export.h"

namespace mcufit {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& folder, const std::string& message) {
  throw Error(ExitCode::io, fmt::format("{}: {}; choose another folder", folder.string(), message));
}

void check_replaceable(const fs::path& folder) {
  if (!fs::exists(fs::symlink_status(folder))) return;
  if (fs::is_symlink(folder) || !fs::is_directory(folder))
    refuse(folder, "found something that is no folder");
  if (!fs::is_empty(folder) && !fs::is_regular_file(folder / "manifest.json")) {
    refuse(folder, "found a folder with other things than a package in it");
  }
}

void put(const fs::path& folder, const PackageFiles& files) {
  check_replaceable(folder);
  const ScratchFolder scratch(folder.parent_path());  // on the same file system, so that a rename does
  const fs::path fresh = scratch.path() / "new";
  for (const auto& [name, content] : files) write_file(fresh / name, content);
  if (fs::exists(folder)) fs::rename(folder, scratch.path() / "old");
  fs::rename(fresh, folder);
}

// The network in the form in which it can be read again; nothing where the format cannot say it.
std::optional<std::string> model_file(const QuantizedGraph& graph) {
  try {
    return export_tflite(graph);
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) throw;
    return std::nullopt;
  }
}

}  // namespace

void write_package(const fs::path& folder, const QuantizedGraph& graph, const Cost& cost,
                   const PackageRequest& request) {
  verify(graph);
  verify(cost.plan, graph.graph);
  PackageFiles files = emit_c(graph, cost.plan, request, cost.wide_filters());
  if (auto model = model_file(graph)) files[request.name + ".tflite"] = std::move(*model);
  files["manifest.json"] = emit_manifest(files, graph, cost, request);
  try {
    const fs::path place = fs::absolute(folder).lexically_normal();
    put(place.has_filename() ? place : place.parent_path(), files);
  } catch (const fs::filesystem_error& e) {
    refuse(folder, fmt::format("cannot be written: {}", e.code().message()));
  }
}

}  // namespace mcufit
