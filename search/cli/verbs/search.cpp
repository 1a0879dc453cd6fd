// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/files.h"
#include "search/cli/interruption.h"
#include "search/cli/report.h"
#include "search/cli/search_run.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;

class SearchVerb : public Verb {
 public:
  std::string_view name() const override { return "search"; }
  std::string_view summary() const override {
    return "runs a job: from a target's limits to a trained, packaged, validated network";
  }
  std::string_view usage() const override { return "search JOB.json [options]"; }
  std::string_view example() const override { return "mcufit search configs/jobs/fashion-nrf52840.json"; }
  std::size_t most_arguments() const override { return 1; }

  void add_options(po::options_description& options) const override {
    options.add_options()("run-folder", po::value<std::string>(),
                          "where everything of the run goes (default: runs/<job name>)")(
        "workers", po::value<int>(), "trials side by side (default: the job's); does not change results")(
        "fresh", "discard an earlier study in the run folder")("quiet,q", "no progress");
  }

  ExitCode run(const po::variables_map& options, const std::vector<std::string>& arguments) const override {
    if (arguments.empty())
      throw Error(ExitCode::usage, "mcufit search: no job given; usage: mcufit search JOB.json");
    const Job job = load_job(arguments[0]);
    RunOptions run;
    run.folder =
        options.count("run-folder") > 0 ? options["run-folder"].as<std::string>() : "runs/" + job.name;
    run.workers = options.count("workers") > 0 ? options["workers"].as<int>() : job.workers;
    run.fresh = options.count("fresh") > 0;
    if (run.workers < 1 || run.workers > 256) {
      throw Error(ExitCode::usage, fmt::format("--workers: found {}; accepted: 1 to 256", run.workers));
    }
    const Interruption interruption;
    Progress progress(options.count("quiet") > 0);
    try {
      return finish(run_search(job, run, progress), run, options.count("json") > 0, arguments[0]);
    } catch (const Error& error) {
      if (error.code() != ExitCode::interrupted) throw;
      std::cerr << "\ninterrupted; everything finished so far is kept. Go on with:\n  "
                << resuming_command(arguments[0], run) << "\n";
      return Interruption::signal_number() == SIGTERM ? ExitCode::terminated : ExitCode::interrupted;
    }
  }

 private:
  static std::string resuming_command(const std::string& job, const RunOptions& run) {
    return fmt::format("mcufit search {} --run-folder {} --workers {}", job, run.folder.string(),
                       run.workers);
  }

  static ExitCode finish(const SearchResult& result, const RunOptions& run, bool json,
                         const std::string& job) {
    const std::string report = report_json(result).dump(2) + "\n";
    write_file(run.folder / "report.json", report);
    if (json) {
      std::cout << report;
    } else {
      std::cout << report_text(result) << "\nnext:\n"
                << fmt::format("  mcufit validate {}\n  mcufit fit --target {} --input {} --classes {}\n",
                               result.package.string(), result.target.name,
                               to_string(result.winner().trial.architecture.task.input),
                               result.winner().trial.architecture.task.classes)
                << fmt::format("  {} --fresh\n", resuming_command(job, run));
    }
    if (!result.device) return ExitCode::device_not_found;
    return result.device->first_mismatch ? ExitCode::validation_mismatch : ExitCode::ok;
  }
};

}  // namespace

const Verb& make_verb_search() {
  static const SearchVerb verb;
  return verb;
}

}  // namespace mcufit
