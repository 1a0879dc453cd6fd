// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/text.h"
#include "blocks/quantized_graph.h"
#include "exporters/onnx/import.h"
#include "exporters/tflite/float_import.h"
#include "exporters/tflite/import.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;

using Rows = std::vector<std::vector<std::string>>;

// A list of operators: its title and its lines, the first of which are headings.
struct Section {
  std::string key, title;
  Rows rows;
};

Section names_section(std::string key, std::string title, const std::vector<std::string>& names) {
  Section section{std::move(key), std::move(title), {{"operator"}}};
  for (const std::string& name : names) section.rows.push_back({name});
  return section;
}

std::vector<Section> sections() {
  Section ops{"ops", "int8 ops of the runtime, interpreter and cost models", {{"op", "limits"}}};
  for (const SupportedOp& op : supported_ops())
    ops.rows.push_back({std::string(op.name), std::string(op.limits)});
  Section tflite{"tflite", "int8 .tflite operators that are imported", {{"operator", "becomes", "limits"}}};
  for (const TfliteOperatorInfo& op : tflite_operators())
    tflite.rows.push_back(
        {std::string(op.name), op.op.empty() ? "-" : std::string(op.op), std::string(op.limits)});
  return {
      std::move(ops), std::move(tflite),
      names_section("tflite_float", "float .tflite operators that are imported", float_tflite_operators()),
      names_section("onnx", "ONNX operators that are imported", onnx_operators())};
}

nlohmann::json json_of(const Section& section) {
  nlohmann::json list = nlohmann::json::array();
  for (std::size_t i = 1; i < section.rows.size(); ++i) {
    nlohmann::json entry;
    for (std::size_t c = 0; c < section.rows[i].size(); ++c) entry[section.rows[0][c]] = section.rows[i][c];
    list.push_back(std::move(entry));
  }
  return list;
}

std::string markdown_of(const Section& section) {
  std::string text = fmt::format("### {}\n\n", section.title);
  for (std::size_t i = 0; i < section.rows.size(); ++i) {
    text += fmt::format("| {} |\n", join(section.rows[i], " | "));
    if (i > 0) continue;
    for (std::size_t c = 0; c < section.rows[0].size(); ++c) text += "|---";
    text += "|\n";
  }
  return text + "\n";
}

class SupportedOpsVerb : public Verb {
 public:
  std::string_view name() const override { return "supported-ops"; }
  std::string_view summary() const override { return "lists the ops of the runtime and of the importers"; }
  std::string_view usage() const override { return "supported-ops [--markdown|--json]"; }
  std::string_view example() const override { return "mcufit supported-ops --markdown"; }

  void add_options(po::options_description& options) const override {
    options.add_options()("markdown", po::bool_switch(), "as Markdown tables");
  }

  ExitCode run(const po::variables_map& options, const std::vector<std::string>&) const override {
    if (options.count("json") > 0) {
      nlohmann::json document;
      for (const Section& s : sections()) document[s.key] = json_of(s);
      std::cout << document.dump(2) << "\n";
      return ExitCode::ok;
    }
    for (const Section& s : sections())
      std::cout << (options["markdown"].as<bool>() ? markdown_of(s)
                                                   : fmt::format("{}\n{}\n", s.title, aligned_table(s.rows)));
    return ExitCode::ok;
  }
};

}  // namespace

const Verb& make_verb_supported_ops() {
  static const SupportedOpsVerb verb;
  return verb;
}

}  // namespace mcufit
