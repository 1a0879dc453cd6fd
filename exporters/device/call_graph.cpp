// SPDX-License-Identifier: Apache-2.0
#include "exporters/device/call_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "blocks/foundation/error.h"
#include "blocks/foundation/files.h"
#include "blocks/foundation/text.h"

namespace mcufit {
namespace {

constexpr std::string_view kPointerCall = "__indirect_call";

// The text between the quotes behind `key: `.
std::optional<std::string_view> quoted(std::string_view line, std::string_view key) {
  const std::size_t start = line.find(fmt::format("{}: \"", key));
  if (start == std::string_view::npos) return std::nullopt;
  const std::size_t first = start + key.size() + 3;
  const std::size_t end = line.find('"', first);
  if (end == std::string_view::npos) return std::nullopt;
  return line.substr(first, end - first);
}

// Static functions without the folder that their file was compiled in.
std::string short_name(std::string_view title) {
  const std::size_t slash = title.rfind('/');
  return std::string(slash == std::string_view::npos ? title : title.substr(slash + 1));
}

// "184 bytes (static)" in a node's label.
struct Frame {
  std::int64_t bytes = 0;
  bool bounded = false;
};

std::optional<Frame> frame_of(std::string_view label) {
  const std::size_t unit = label.find(" bytes (");
  if (unit == std::string_view::npos) return std::nullopt;
  const std::size_t first = label.substr(0, unit).find_last_not_of("0123456789") + 1;
  Frame frame;
  if (std::from_chars(label.data() + first, label.data() + unit, frame.bytes).ec != std::errc())
    return std::nullopt;
  const std::string_view kind = label.substr(unit + 8);
  frame.bounded = kind.starts_with("static)") || kind.starts_with("dynamic,bounded)");
  return frame;
}

}  // namespace

void CallGraph::add(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  if (!text.starts_with("graph: {")) {
    throw Error(ExitCode::input,
                fmt::format("{}: is no call graph of gcc -fcallgraph-info=su", file.string()));
  }
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = std::string_view(text).substr(start, end - start);
    start = end + 1;
    if (const auto title = quoted(line, "title"); title && line.starts_with("node:")) {
      const auto frame = frame_of(quoted(line, "label").value_or(""));
      if (!frame) continue;  // declared here, defined elsewhere
      Function& function = functions_[short_name(*title)];
      function.frame_bytes = frame->bytes;
      function.bounded = frame->bounded;
    } else if (line.starts_with("edge:")) {
      const auto from = quoted(line, "sourcename"), to = quoted(line, "targetname");
      if (from && to) functions_[short_name(*from)].callees.push_back(short_name(*to));
    }
  }
}

const CallGraph::Function& CallGraph::find(std::string_view function) const {
  const auto found = functions_.find(function);
  if (found != functions_.end()) return found->second;
  throw Error(ExitCode::internal,
              fmt::format("stack bound: {} is called but was not compiled with the package", function));
}

std::vector<std::string> CallGraph::missing() const {
  std::set<std::string> missing;
  for (const auto& [name, function] : functions_) {
    for (const std::string& callee : function.callees) {
      if (callee != kPointerCall && !functions_.contains(callee)) missing.insert(callee);
    }
  }
  return {missing.begin(), missing.end()};
}

void CallGraph::add_leaf(const std::string& function, std::int64_t stack_bytes) {
  functions_[function] = {.frame_bytes = stack_bytes, .bounded = true, .callees = {}};
}

std::int64_t CallGraph::deepest(const std::string& name, std::vector<std::string>& path) const {
  const Function& function = find(name);
  if (!function.bounded || std::find(path.begin(), path.end(), name) != path.end()) {
    throw Error(ExitCode::internal,
                fmt::format("stack bound: {} has none ({}); called from {}", name,
                            function.bounded ? "recursion" : "a frame of variable size", join(path)));
  }
  path.push_back(name);
  std::int64_t below = 0;
  for (const std::string& callee : function.callees) {
    if (callee == kPointerCall) {
      throw Error(ExitCode::internal,
                  fmt::format("stack bound: {} calls through a pointer, so it has none", name));
    }
    below = std::max(below, deepest(callee, path));
  }
  path.pop_back();
  return function.frame_bytes + below;
}

std::int64_t CallGraph::stack_bound(std::string_view function) const {
  std::vector<std::string> path;
  return deepest(std::string(function), path);
}

std::int64_t CallGraph::frame_bytes(std::string_view function) const { return find(function).frame_bytes; }

}  // namespace mcufit
