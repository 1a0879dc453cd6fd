// SPDX-License-Identifier: Apache-2.0

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/files.h"
#include "blocks/foundation/random.h"
#include "blocks/foundation/text.h"
#include "cost-models/layout.h"
#include "exporters/c_emitter.h"
#include "exporters/fast_interpreter.h"
#include "exporters/test_vectors.h"
#include "search/cli/float_import.h"
#include "search/cli/network_source.h"
#include "search/cli/plan_choice.h"
#include "search/cli/report.h"
#include "search/cli/rewrite_report.h"
#include "search/cli/shortage_report.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

constexpr std::size_t kSelfTestVectors = 2;
constexpr std::int64_t kMostModelBytes = std::int64_t{256} << 20;

// "Kws DS-CNN.tflite" as kws_ds_cnn, "8bit.tflite" as net_8bit.
std::string package_name(const fs::path& model) {
  std::string name = model.stem().string().substr(0, 40);
  for (char& c : name) {
    const auto letter = static_cast<unsigned char>(c);
    c = std::isalnum(letter) != 0 ? static_cast<char>(std::tolower(letter)) : '_';
  }
  const bool starts_well = !name.empty() && std::isalpha(static_cast<unsigned char>(name.front())) != 0;
  return starts_well && !name.starts_with("mcufit") ? name : "net_" + name;
}

std::vector<TestVector> random_vectors(const QuantizedGraph& graph, std::size_t count, std::uint64_t seed) {
  std::vector<std::vector<std::int8_t>> inputs(count);
  for (std::size_t i = 0; i < count; ++i) {
    Random random(seed, {i});
    inputs[i].resize(static_cast<std::size_t>(graph.graph.input_shape().elements()));
    for (std::int8_t& byte : inputs[i]) byte = static_cast<std::int8_t>(random.between(-128, 127));
  }
  const auto outputs = FastInterpreter(graph).run_all(inputs);
  std::vector<TestVector> vectors;
  for (std::size_t i = 0; i < count; ++i) vectors.push_back({inputs[i], outputs[i]});
  return vectors;
}

void check_fit(const std::string& model, const Graph& lowered, const Cost& cost, const Target& target,
               const Budget& budget) {
  const auto report = report_shortage(lowered, cost, budget, load_code_sizes(target), nullptr);
  if (!report) return;
  std::string ways = to_string(*report);
  ways.pop_back();  // the message ends the line
  const bool ram = report->shortage.binding == Resource::ram;
  throw Error(ExitCode::constraint_not_met,
              fmt::format("{}: needs {} bytes of {}; accepted: the {} that {} leaves; {}", model,
                          with_separators(ram ? cost.ram.total() : cost.flash.total()), ram ? "RAM" : "flash",
                          with_separators(ram ? budget.ram_bytes : budget.flash_bytes), target.name, ways));
}

std::string tensor_text(const Shape& shape, const Quantization& q) {
  return fmt::format("{} int8 (scale {}, zero point {})", to_string(shape), q.scale, q.zero_point);
}

// What was imported and where it went.
struct Imported {
  QuantizedGraph graph;  // as it is packaged
  Cost cost;
  Rewritten rewrites;
  std::vector<std::string> notes;  // what differs from the file
  std::string wide_filters_note;   // why they change nothing, where they do not
  std::string name;
  fs::path package, vectors;

  std::string text(std::size_t vector_count, std::uint64_t seed) const {
    const Graph& g = graph.graph;
    std::string remarks;
    for (const std::string& note : notes) remarks += fmt::format("  note    {}\n", note);
    return fmt::format("{}: {} nodes, {} MACs\n  input   {}{}\n  output  {}\n{}\n{}", name, g.size(),
                       with_separators(cost.macs), tensor_text(g.input_shape(), graph.nodes.front().output),
                       streams_input(cost.plan) ? ", row by row" : "",
                       tensor_text(g.output_shape(), graph.nodes.back().output), remarks,
                       rewrite_table(rewrites) + "\n" + ledger_table(cost.flash, cost.ram, nullptr)) +
           wide_filters_note + fmt::format("runs     {}\n", describe(cost)) +
           fmt::format(
               "\npackage  {}\nvectors  {} ({} random inputs, seed {})\nnext     mcufit validate {}\n",
               package.string(), vectors.string(), vector_count, seed, package.string());
  }

  nlohmann::json json() const {
    return {{"name", name},
            {"input_streamed", streams_input(cost.plan)},
            {"graph", to_json(graph.graph)},
            {"cost", to_json(cost)},
            {"rewrites", to_json(rewrites)},
            {"notes", notes},
            {"package", package.string()},
            {"vectors", vectors.string()}};
  }
};

class ImportVerb : public Verb {
 public:
  std::string_view name() const override { return "import"; }
  std::string_view summary() const override {
    return "makes a package of an int8 TensorFlow Lite model, or reads a float .tflite or .onnx model";
  }
  std::string_view usage() const override {
    return "import MODEL.tflite|MODEL.onnx [--target NAME] [--output FOLDER] [options]";
  }
  std::string_view example() const override {
    return "mcufit import model.tflite --target nrf52840 --output runs/model/package";
  }
  std::size_t most_arguments() const override { return 1; }

  void add_options(po::options_description& options) const override {
    options.add_options()("target", po::value<std::string>()->default_value("nrf52840"),
                          "the package's, a name or file (`mcufit targets`)")(
        "samples", po::value<std::string>(),
        "quantize a float model by the ranges over these inputs (raw float32, NHWC)")(
        "output", po::value<std::string>(),
        "the package's folder, vectors.bin goes beside it (default: NAME/package); a float model's folder "
        "(default: NAME)")("name", po::value<std::string>(),
                           "prefix of the package's symbols (default: the model file's name)")(
        "vectors", po::value<int>()->default_value(16), "random inputs with the interpreter's outputs")(
        "seed", po::value<std::uint64_t>()->default_value(1), "of the random inputs")(
        "no-rewrite", po::value<std::string>()->default_value("none"), rewrite_help().c_str());
    add_plan_options(options);
    add_input_option(options);
  }

  ExitCode run(const po::variables_map& options, const std::vector<std::string>& arguments) const override {
    if (arguments.empty())
      throw Error(ExitCode::usage, fmt::format("mcufit import: no model given; usage: mcufit {}", usage()));
    const int count = options["vectors"].as<int>();
    if (count < 1 || count > 10000)
      throw Error(ExitCode::usage, fmt::format("--vectors: found {}; accepted: 1 to 10000", count));
    const auto seed = options["seed"].as<std::uint64_t>();
    const std::string content = read_file(arguments[0], kMostModelBytes);
    Imported imported;
    imported.name =
        options.count("name") > 0 ? options["name"].as<std::string>() : package_name(arguments[0]);
    check_package_name(imported.name);
    const bool is_float = is_float_model(arguments[0], content);
    if (is_float && options.count("samples") == 0)
      return keep_float(options, folder(options, imported.name), arguments[0], content);
    const Target target = load_target(options["target"].as<std::string>());
    TfliteModel model;
    if (is_float) {
      model.graph = quantize_float_model(import_float_model(arguments[0], content),
                                         options["samples"].as<std::string>());
    } else {
      model = read_quantized(arguments[0], content);
    }
    imported.notes = model.notes;
    imported.rewrites = rewrite(model.graph, skip_rewrites(options["no-rewrite"].as<std::string>()));
    imported.graph = imported.rewrites.graph;
    Budget budget = derive(target, {});
    read_plan_options(options, budget);
    const Graph& lowered = imported.graph.graph;
    const CodeSizesForTarget code = load_code_sizes(target);
    imported.cost = price_package(options, lowered, code, budget);
    imported.wide_filters_note = wide_filters_note(budget, code, &imported.cost);
    check_fit(arguments[0], lowered, imported.cost, target, budget);
    imported.package = folder(options, fs::path(imported.name) / "package");
    const nlohmann::json provenance = {{"model_sha256", sha256(content)}, {"seed", seed}};
    write(imported, target, random_vectors(model.graph, static_cast<std::size_t>(count), seed), provenance);
    std::cout << (options.count("json") > 0 ? imported.json().dump(2) + "\n"
                                            : imported.text(static_cast<std::size_t>(count), seed));
    return ExitCode::ok;
  }

 private:
  static fs::path folder(const po::variables_map& options, const fs::path& otherwise) {
    return options.count("output") > 0 ? fs::path(options["output"].as<std::string>()) : otherwise;
  }

  // A float model is kept as it is, to be trained or quantized later.
  static ExitCode keep_float(const po::variables_map& options, const fs::path& folder,
                             const std::string& file, std::string_view content) {
    const FloatModel model = import_float_model(file, content);
    write_float_model(folder, model);
    std::cout << (options.count("json") > 0 ? float_model_json(model, folder).dump(2) + "\n"
                                            : float_model_text(model, folder));
    return ExitCode::ok;
  }

  static void write(Imported& imported, const Target& target, const std::vector<TestVector>& vectors,
                    const nlohmann::json& provenance) {
    const std::vector<TestVector> self_test(
        vectors.begin(),
        vectors.begin() + static_cast<std::ptrdiff_t>(std::min(kSelfTestVectors, vectors.size())));
    // Of "folder/package/" too the vectors go into "folder".
    const fs::path folder = (imported.package / ".").lexically_normal().parent_path();
    imported.vectors = folder.parent_path() / "vectors.bin";
    write_package(imported.package, imported.graph, imported.cost,
                  {imported.name, target, self_test, &provenance});
    write_vectors(imported.vectors, vectors);
  }
};

}  // namespace

const Verb& make_verb_import() {
  static const ImportVerb verb;
  return verb;
}

}  // namespace mcufit
