// SPDX-License-Identifier: Apache-2.0
#include "exporters/onnx/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/files.h"
#include "blocks/foundation/text.h"
#include "exporters/tflite/export.h"
#include "search/cli/network_source.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;

struct Format {
  std::string_view name, about;
  std::string (*write)(const QuantizedGraph&);
};

constexpr Format kFormats[] = {
    {"tflite", "TensorFlow Lite, int8", export_tflite},
    {"onnx", "ONNX with QuantizeLinear and DequantizeLinear", export_onnx},
};

const Format& format_named(const std::string& name) {
  std::vector<std::string> names;
  for (const Format& f : kFormats) {
    if (f.name == name) return f;
    names.emplace_back(f.name);
  }
  throw Error(ExitCode::usage, fmt::format("--format: found '{}'; accepted: {}{}", name, join(names),
                                           did_you_mean(name, names)));
}

std::string format_help() {
  std::string text;
  for (const Format& f : kFormats) text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", f.name, f.about);
  return text;
}

class ExportVerb : public Verb {
 public:
  std::string_view name() const override { return "export"; }
  std::string_view summary() const override {
    return "writes a package's or model's int8 network as .tflite or .onnx";
  }
  std::string_view usage() const override { return "export SOURCE --format tflite|onnx --output FILE"; }
  std::string_view example() const override {
    return "mcufit export runs/fashion-nrf52840/package --format onnx --output net.onnx";
  }
  std::size_t most_arguments() const override { return 1; }

  void add_options(po::options_description& options) const override {
    options.add_options()("format", po::value<std::string>()->required(), format_help().c_str())(
        "output", po::value<std::string>()->required(), "the file to write");
  }

  ExitCode run(const po::variables_map& options, const std::vector<std::string>& arguments) const override {
    if (arguments.empty())
      throw Error(ExitCode::usage,
                  fmt::format("mcufit export: found no source; accepted: a package, a .tflite or int8 .onnx "
                              "file; usage: mcufit {}",
                              usage()));
    const Format& format = format_named(options["format"].as<std::string>());
    const std::string output = options["output"].as<std::string>();
    const QuantizedGraph graph = load_quantized(arguments[0]);
    const std::string content = format.write(graph);
    write_file(output, content);
    if (options.count("json") > 0) {
      const nlohmann::json j = {
          {"source", arguments[0]},  {"format", format.name},     {"file", output},
          {"bytes", content.size()}, {"sha256", sha256(content)}, {"nodes", graph.graph.size()}};
      std::cout << j.dump(2) << "\n";
    } else {
      std::cout << fmt::format("{}: {} nodes, {} bytes ({})\n", output, graph.graph.size(),
                               with_separators(static_cast<std::int64_t>(content.size())), format.about);
    }
    return ExitCode::ok;
  }
};

}  // namespace

const Verb& make_verb_export() {
  static const ExportVerb verb;
  return verb;
}

}  // namespace mcufit
