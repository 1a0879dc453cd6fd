// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/text.h"
#include "exporters/device/device.h"
#include "exporters/device/devices.h"
#include "exporters/test_vectors.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;
using nlohmann::json;

// Of a package's folder, "runs/model/package" or "runs/model/package/": what lies in runs/model.
fs::path beside(const std::string& package, const char* name) {
  return fs::absolute(fs::path(package) / ".").lexically_normal().parent_path().parent_path() / name;
}

std::string ratio(std::int64_t counted, std::int64_t macs) {
  return macs == 0 ? "-" : fmt::format("{:.2f}", static_cast<double>(counted) / static_cast<double>(macs));
}

// What one count fills of a row: the number, and how many for each multiply-accumulate.
void add_count(std::vector<std::string>& row, std::int64_t counted, std::int64_t macs) {
  row.push_back(with_separators(counted));
  row.push_back(ratio(counted, macs));
}

std::string layers_text(const LayersReport& report) {
  const std::string unit = report.counts;
  const bool cycles = !report.cycle_source.empty();
  std::vector<std::vector<std::string>> rows{{"node", "name", "op", "output", "MACs", unit, unit + "/MAC"}};
  if (cycles) rows[0].insert(rows[0].end(), {"modelled cycles", "cycles/MAC"});
  std::int64_t macs = 0, of_layers = 0;
  for (const LayerRun& run : report.layers) {
    const ManifestStep& s = run.step;
    macs += s.macs;
    of_layers += run.cycles;
    rows.push_back({std::to_string(s.node), s.name, s.op, to_string(s.shape), with_separators(s.macs)});
    add_count(rows.back(), run.instructions, s.macs);
    if (cycles) add_count(rows.back(), run.cycles, s.macs);
  }
  rows.push_back({"", "outside of the layers", "", "", "", with_separators(report.overhead()), ""});
  if (cycles)
    rows.back().insert(rows.back().end(), {with_separators(report.cycles_per_inference - of_layers), ""});
  rows.push_back({"", "inference", "", "", with_separators(macs)});
  add_count(rows.back(), report.instructions_per_inference, macs);
  if (cycles) add_count(rows.back(), report.cycles_per_inference, macs);
  const std::string source = cycles ? "cycles by: " + report.cycle_source + "\n" : "";
  return report.device + "\n" + source + "\n" + aligned_table(rows);
}

// One package on one device: what it took, or why it could not be run.
struct Cell {
  std::string model, device;
  std::optional<DeviceReport> report;
  std::string reason;

  std::vector<std::string> row() const {
    if (!report) return {model, device, reason, "", "", "", "", "", "", "", ""};
    const FlashLedger& flash = report->linked.flash;
    const bool counted = !report->counts.empty();
    const std::string count = counted ? with_separators(report->instructions_per_inference) : "-";
    return {model,
            device,
            report->first_mismatch ? "DIFFERS" : "equal",
            count,
            counted ? report->counts : "-",
            with_separators(report->linked.arena_bytes),
            counted ? with_separators(report->stack_bytes) : "-",
            with_separators(flash.model_bytes() + flash.wider_filter_bytes),
            with_separators(flash.step_bytes),
            with_separators(flash.code_bytes),
            with_separators(flash.total())};
  }

  json to_json() const {
    json j = {{"model", model}, {"device", device}};
    if (report) j["report"] = mcufit::to_json(*report);
    if (!report) j["reason"] = reason;
    return j;
  }
};

class BenchVerb : public Verb {
 public:
  std::string_view name() const override { return "bench"; }
  std::string_view summary() const override {
    return "counts a package's instructions layer by layer, or packages on every device";
  }
  std::string_view usage() const override {
    return "bench PACKAGE [--device NAME] [--cycles], or bench PACKAGE... --device all";
  }
  std::string_view example() const override { return "mcufit bench runs/fashion-nrf52840/package"; }
  std::size_t most_arguments() const override { return 1000; }

  void add_options(po::options_description& options) const override {
    options.add_options()(
        "device", po::value<std::string>()->default_value(""),
        "where to run, a name of `mcufit validate --list`, or all (default: the core of the "
        "package's target)")("work", po::value<std::string>(),
                             "keeps firmware and maps (default: bench, beside the package)")(
        "cycles",
        "also models cycles, by the timing table of the core's manual (cortex-m0, cortex-m4; needs gcc)");
  }

  ExitCode run(const po::variables_map& options, const std::vector<std::string>& arguments) const override {
    if (arguments.empty())
      throw Error(ExitCode::usage, fmt::format("mcufit bench: no package given; usage: mcufit {}", usage()));
    const auto work = [&](const std::string& package) {
      return options.count("work") > 0 ? fs::path(options["work"].as<std::string>())
                                       : beside(package, "bench");
    };
    const bool as_json = options.count("json") > 0;
    const std::string device = options["device"].as<std::string>();
    const bool cycles = options.count("cycles") > 0;
    if (device == "all" && cycles)
      throw Error(ExitCode::usage, "--cycles: found --device all; accepted: one device, layer by layer");
    if (device == "all") return compare(arguments, work, as_json);
    json all = json::array();
    for (const std::string& package : arguments) {
      const auto vectors = read_vectors(beside(package, "vectors.bin"), read_manifest(package));
      const LayersReport report =
          run_layers({package, work(package), device, nullptr, cycles}, vectors.front().input);
      if (report.counts.empty())
        throw Error(ExitCode::usage,
                    fmt::format("--device: found {}, where nothing is counted; accepted: an emulated core of "
                                "`mcufit validate --list`, or all",
                                report.core));
      all.push_back(to_json(report));
      if (!as_json) std::cout << layers_text(report);
    }
    if (as_json) std::cout << (all.size() == 1 ? all[0] : all).dump(2) << "\n";
    return ExitCode::ok;
  }

 private:
  static Cell measure(const std::string& package, const Device& device, const fs::path& work) {
    const Manifest manifest = read_manifest(package);
    Cell cell{.model = manifest.name, .device = device.name, .report = std::nullopt, .reason = {}};
    try {
      const auto vectors = read_vectors(beside(package, "vectors.bin"), manifest);
      cell.report = validate({package, work / device.name, device.name, nullptr}, vectors);
    } catch (const Error& error) {
      if (error.code() == ExitCode::constraint_not_met) {
        cell.reason = "does not fit";
      } else if (error.code() == ExitCode::device_not_found) {
        cell.reason = "not installed";
      } else {
        throw;
      }
    }
    return cell;
  }

  static ExitCode compare(const std::vector<std::string>& packages,
                          const std::function<fs::path(const std::string&)>& work, bool as_json) {
    std::vector<std::vector<std::string>> rows{{"model", "device", "golden vectors", "per inference",
                                                "count of", "arena B", "stack B", "model B", "steps B",
                                                "code B", "flash B"}};
    json all = json::array();
    bool equal = true;
    for (const std::string& package : packages) {
      for (const Device& device : devices()) {
        const Cell cell = measure(package, device, work(package));
        equal &= !cell.report || !cell.report->first_mismatch;
        rows.push_back(cell.row());
        all.push_back(cell.to_json());
      }
    }
    std::cout << (as_json ? all.dump(2) + "\n" : aligned_table(rows));
    return equal ? ExitCode::ok : ExitCode::validation_mismatch;
  }
};

}  // namespace

const Verb& make_verb_bench() {
  static const BenchVerb verb;
  return verb;
}

}  // namespace mcufit
